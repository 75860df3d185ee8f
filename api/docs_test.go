package api

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"straks/orders"
)

func withDocs(c *Config, _ *orders.Config) { c.Docs = true }

// TestDocsAreOff: without the setting there is no page.
func TestDocsAreOff(t *testing.T) {
	w := start(t)
	for _, path := range []string{"/docs", "/docs/docs.js"} {
		if a := w.doAt(path, "GET", ""); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, a.status)
		}
	}
}

// TestDocs: the page and all that it loads come from this host, under the base path, and nothing in it
// is inline.
func TestDocs(t *testing.T) {
	for _, base := range []string{DefaultBasePath, "/"} {
		w := start(t, withDocs, func(c *Config, _ *orders.Config) { c.BasePath = base })
		base = strings.TrimSuffix(base, "/")
		for _, path := range []string{"/docs", "/docs/", base + "/docs", "/Docs"} {
			page := w.doAt(path, "GET", "", header("Authorization", ""))
			if page.status != http.StatusOK || page.header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Fatalf("%s: %d %v", path, page.status, page.header)
			}
			if regexp.MustCompile(`<script[^>]*>[^<]|<style| style=| on[a-z]+=|https?:`).MatchString(page.body) {
				t.Errorf("%s has something inline, or of another host:\n%s", path, page.body)
			}
			links := regexp.MustCompile(`(?:src|href)="(/[^"]*)"`).FindAllStringSubmatch(page.body, -1)
			if len(links) != 4 {
				t.Errorf("%s has the links %q", path, links)
			}
			for _, link := range links {
				a := w.doAt(link[1], "GET", "", header("Authorization", ""))
				if a.status != http.StatusOK || !strings.HasPrefix(link[1], base+"/") {
					t.Errorf("%s: %d", link[1], a.status)
				}
			}
		}
	}
}

// TestDocsHeaders: each file has the policy and its type, is not sent again to those who have it, and the
// licence is among them.
func TestDocsHeaders(t *testing.T) {
	w := start(t, withDocs)
	for name, kind := range map[string]string{"": "text/html", "/docs.js": "text/javascript", "/swagger-ui.css": "text/css", "/LICENSE": "text/plain"} {
		a := w.doAt("/docs"+name, "GET", "")
		if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), kind+";") || a.body == "" {
			t.Errorf("%s: %d %v", name, a.status, a.header)
		}
		policy := a.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", name, a.header)
		}
		if again := w.doAt("/docs"+name, "GET", "", header("If-None-Match", a.header.Get("ETag"))); again.status != http.StatusNotModified {
			t.Errorf("%s again: %d", name, again.status)
		}
	}
	if a := w.doAt("/docs/none.js", "GET", ""); a.status != http.StatusNotFound {
		t.Errorf("no such file: %d", a.status)
	}
	if a := w.doAt("/docs", "POST", ""); a.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", a.status)
	}
}

// TestDocsAreUnchanged: what is of others is as they made it.
func TestDocsAreUnchanged(t *testing.T) {
	const dir = "docs/swagger-ui"
	sums, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		body, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("%x  %s\n", sha256.Sum256(body), f.Name())
		if ours := f.Name() == "SHA256SUMS" || f.Name() == "README.md"; !ours && !strings.Contains(string(sums), line) {
			t.Errorf("%s is not in SHA256SUMS", f.Name())
		}
	}
}
