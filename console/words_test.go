package console

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// families are the beginnings of keys whose rest is data.
var families = []string{"outcome.", "state.", "step.", "reading.", "do.", "help.", "end.", "only."}

// TestWords: each text that a page or the code names is in the table, in both languages with the same values; and each
// text of the table is used.
func TestWords(t *testing.T) {
	used := map[string]bool{}
	note := func(text string, pattern string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			used[m[1]] = true
		}
	}
	err := fs.WalkDir(templateFiles, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := templateFiles.ReadFile(path)
		note(string(text), `[({]t "([\w.]+)"`)
		note(string(text), `\(t "([\w.]+)"`)
		note(string(text), `:= t "([\w.]+)"`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sources, _ := filepath.Glob("*.go")
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") || path == "words.go" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		note(string(text), `say\("([\w.]+)"`)
		note(string(text), `Title: +"([\w.]+)"`)
		note(string(text), `fail\([^"]*"([\w.]+)"`)
	}
	for _, s := range sinces {
		used[s.Value] = true
	}
	for key := range used {
		if strings.HasSuffix(key, ".") {
			continue
		}
		if _, ok := words[key]; !ok {
			t.Errorf("%q is not in the table", key)
		}
	}
	verbs := regexp.MustCompile(`%[a-z]`)
	for key, both := range words {
		for l, text := range both {
			if text == "" {
				t.Errorf("%q has no text in %v", key, lang(l))
			}
		}
		if a, b := strings.Join(verbs.FindAllString(both[0], -1), ""), strings.Join(verbs.FindAllString(both[1], -1), ""); a != b {
			t.Errorf("%q takes %s in Norwegian and %s in English", key, a, b)
		}
		inFamily := false
		for _, f := range families {
			inFamily = inFamily || strings.HasPrefix(key, f)
		}
		if !inFamily && !used[key] {
			t.Errorf("nothing uses %q", key)
		}
	}
	for status, both := range meanings {
		if both[0] == "" || both[1] == "" {
			t.Errorf("%s lacks a meaning", status)
		}
	}
}

func TestLanguage(t *testing.T) {
	for header, want := range map[string]string{"": "en", "nb-NO,nb;q=0.9,en;q=0.8": "nb", "nn": "nb", "no": "nb", "en-GB,nb;q=0.5": "en", "de": "en", "%%": "en"} {
		r, _ := http.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", header)
		if got := languageOf(r).String(); got != want {
			t.Errorf("%s: %s, want %s", header, got, want)
		}
		r.AddCookie(&http.Cookie{Name: languageCookie, Value: "en"})
		if got := languageOf(r); got != english {
			t.Errorf("%s, switched: %v", header, got)
		}
	}
}

func TestFormats(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.Local)
	for got, want := range map[string]string{
		clock(now.Add(-time.Hour), now): "11:00:00", clock(now.AddDate(0, 0, -1), now): "2026-11-28 12:00:00",
		span(900 * time.Microsecond): "900 µs", span(1234 * time.Microsecond): "1.2 ms", span(38 * time.Millisecond): "38 ms",
		span(1900 * time.Millisecond): "1.9 s", span(65 * time.Second): "65 s", span(5 * time.Minute): "5 min", span(48 * time.Hour): "48 h",
		size(512): "512 B", size(1536): "1.5 KiB", size(3 << 30): "3.0 GiB", number(1234567): "1\u202f234\u202f567", number(-1234): "-1\u202f234", number(0.5): "0.50",
		wait(1200 * time.Millisecond): "2 s", cut(strings.Repeat("ø", 101) + "x"): strings.Repeat("ø", 100),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for text, want := range map[string]string{"called by +47 999 99 999 today": "called by *** today", "case 1234567": "case 1234567", "kari@example.org, 99999999": "***, ***",
		"0047 99999999": "***", "work of 2026-11-29": "work of 2026-11-29"} {
		if got := masked(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if norwegian.decimal("1.9 s") != "1,9 s" || english.decimal("1.9 s") != "1.9 s" {
		t.Error("decimals")
	}
	if daysTo(now.Add(-time.Second), now) != -1 || daysTo(now.Add(36*time.Hour), now) != 1 {
		t.Error("days")
	}
}
