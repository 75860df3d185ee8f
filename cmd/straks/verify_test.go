package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"straks/codes"
)

// latest returns the text of the newest message to a recipient, from the inbox of a sandbox.
func latest(t *testing.T, inbox, to string) string {
	t.Helper()
	resp, err := http.Get(inbox + "/messages/latest?wait=10&to=" + url.QueryEscape(to))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var m struct{ Text string }
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m.Text
}

// TestVerify: a code is asked for, read in the inbox, and checked: wrong, right, by the recipient, too late.
func TestVerify(t *testing.T) {
	sb := runSandbox(t)
	t.Setenv("STRAKS_URL", sb.BaseURL)
	t.Setenv("STRAKS_TOKEN", sb.Token)
	straks := func(want int, stdin string, args ...string) (stdout, stderr string) {
		t.Helper()
		var out, err strings.Builder
		if code := run(t.Context(), append([]string{"verify"}, args...), strings.NewReader(stdin), &out, &err); code != want {
			t.Fatalf("%q: exit code %d\n%s%s", args, code, &out, &err)
		}
		return out.String(), err.String()
	}
	id := regexp.MustCompile(`verification ([0-9a-f-]{36})`)
	code := regexp.MustCompile(`^\S+`)
	const phone = "+4799999990"

	out, _ := straks(0, "", "start", "-to", phone, "-origin", "example.no", "-attempts", "2")
	text := latest(t, sb.Inbox, phone)
	sent := code.FindString(text)
	if !strings.HasPrefix(out, "sent: ") || !strings.HasSuffix(text, "\n@example.no #"+sent) {
		t.Errorf("%s %q", out, text)
	}
	if again, _ := straks(0, "", "start", "-to", phone); !strings.HasPrefix(again, "continued: ") || id.FindString(again) != id.FindString(out) {
		t.Errorf("%s, then %s", out, again)
	}
	verification := id.FindStringSubmatch(out)[1]
	if _, wrong := straks(3, "", "check", verification, "1"); !strings.Contains(wrong, "the code is wrong; 1 attempts are left") {
		t.Error(wrong)
	}
	if right, _ := straks(0, sent+"\n", "check", "-to", phone); right != "approved: verification "+verification+"\n" {
		t.Error(right)
	}

	const address = "ola@example.org"
	out, _ = straks(0, "", "start", "-to", address, "-attempts", "1", "-alphabet", "letters", "-length", "8", "-language", "en")
	if text := latest(t, sb.Inbox, address); len(code.FindString(text)) != 8 || !strings.Contains(text, "is your code for") {
		t.Errorf("%q", text)
	}
	for range 2 {
		if _, ended := straks(3, "", "check", id.FindStringSubmatch(out)[1], "1"); !strings.Contains(ended, "No attempts are left") {
			t.Error(ended)
		}
	}
	for _, bad := range [][]string{{"start"}, {"check"}, {"check", "-to", phone, "1", "2"}} {
		straks(2, "", bad...)
	}
	if _, unknown := straks(1, "", "check", verification[:8], "1"); !strings.Contains(unknown, "no such verification") {
		t.Error(unknown)
	}
}

// TestVerifyKey: the file can be used, and nothing of its secret is printed.
func TestVerifyKey(t *testing.T) {
	dir := t.TempDir()
	var out, stderr strings.Builder
	if code := run(t.Context(), []string{"verify", "key", "-out", dir}, strings.NewReader(""), &out, &stderr); code != 0 {
		t.Fatal(code, stderr.String())
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 1 || !strings.Contains(out.String(), files[0]) {
		t.Fatalf("%q\n%s", files, out.String())
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	key, err := codes.ParseKey(strings.TrimSpace(string(text)))
	if err != nil || !strings.Contains(files[0], key.ID()) || strings.Contains(out.String(), strings.TrimSpace(string(text))) {
		t.Errorf("%v %v", key, err)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}
