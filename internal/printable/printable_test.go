package printable

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// dangerous are characters that a terminal obeys: controls, and what turns text round.
const dangerous = "\x00\x07\b\t\r\x1b[2J\x7f\u0085\u009b31m\u200e\u200f\u061c\u202a\u202e\u2066\u2069\u2028\ufeff\u00ad\U000e0001"

func TestText(t *testing.T) {
	for s, want := range map[string]string{
		"":                 "",
		"blåbær €5 😀":      "blåbær €5 😀",
		"\x1b[2J":          `"\x1b[2J"`,
		"a\nb":             `"a\nb"`,
		"a\u202eb":         `"a\u202eb"`,
		"\x9b2J":           `"\x9b2J"`, // not UTF-8, and a sequence in Latin-1
		"\ufffd":           "\ufffd",
		"\u009b2J":         `"\u009b2J"`,
		"no\u00a0break":    `"no\u00a0break"`,
		"\xed\xa0\x80 x":   `"\xed\xa0\x80 x"`,
		"tag\U000e0001":    `"tag\U000e0001"`,
		`"quoted already"`: `"quoted already"`,
	} {
		if got := Text(s); got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
	if got := Line("one\ntwo\x1b"); got != `"one; two\x1b"` {
		t.Errorf("a line: %s", got)
	}
}

func TestLines(t *testing.T) {
	for s, want := range map[string]string{
		"one\n  two":           "one\n  two",
		"a \"b\" \\ blåbær":    "a \"b\" \\ blåbær",
		"\x1b[2J\ntwo\r":       `\x1b[2J` + "\n" + `two\r`,
		"\x9b2J \u202e \ufffd": `\x9b2J \u202e ` + "\ufffd",
	} {
		if got := Lines(s); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

// JSON has the same values after, and nothing in it that a terminal obeys.
func TestJSON(t *testing.T) {
	for _, value := range []any{dangerous, map[string]any{dangerous: []any{"blåbær", 1.5, nil, true}}, "\U0001F600 \U000e0001"} {
		text, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		raw := strings.NewReplacer(`\u2028`, "\u2028", `\u007f`, "\x7f").Replace(string(text)) // which others leave as they are
		out := JSON([]byte(raw))
		var before, after any
		if err := json.Unmarshal(text, &before); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &after); err != nil {
			t.Errorf("%s: %v", out, err)
		}
		a, _ := json.Marshal(before)
		b, _ := json.Marshal(after)
		if string(a) != string(b) {
			t.Errorf("%s became %s", a, b)
		}
		checkHarmless(t, strings.ReplaceAll(string(out), "\n", ""))
	}
	if got := string(JSON([]byte("\"\x9b\""))); got != `"\ufffd"` {
		t.Errorf("not UTF-8: %q", got)
	}
}

func checkHarmless(t *testing.T, s string) {
	t.Helper()
	for _, r := range s {
		if !unicode.IsPrint(r) {
			t.Errorf("%U is in %q", r, s)
		}
	}
	if !utf8.ValidString(s) {
		t.Errorf("%q is not UTF-8", s)
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add(dangerous)
	f.Add("\x9b2J\xff\xc3")
	f.Fuzz(func(t *testing.T, s string) {
		checkHarmless(t, Text(s))
		checkHarmless(t, Line(s))
		checkHarmless(t, strings.ReplaceAll(Lines(s), "\n", ""))
	})
}
