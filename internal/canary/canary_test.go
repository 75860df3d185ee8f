package canary

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const number = "+4794839801"

// TestLog: a number is found in whatever field it is, and what may have any digits is none.
func TestLog(t *testing.T) {
	secret := regexp.MustCompile("94839801")
	found, levels, err := Log(`{"time":"94839801","level":"INFO","msg":"a","ms":94839801,"hash":"94839801","id":"94839801-0000-7000-8000-000000000000","trace":"c94839801ff18f377877469f312a74a3"}
{"level":"DEBUG","msg":"b","deep":{"to":["`+number+`"]}}
`, secret)
	if err != nil || len(found) != 1 || !strings.Contains(found[0], `"94839801" in {"deep"`) || levels["INFO"] != 1 || levels["DEBUG"] != 1 {
		t.Errorf("%q %v %v", found, levels, err)
	}
	if _, _, err := Log("panic: "+number, secret); err == nil {
		t.Error("a line that is no JSON is passed over")
	}
}

// TestPlain: figures are taken out, and a number stays.
func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		`straks_x{to="` + number + `"} 1.94839801e+08`:         `straks_x{to="` + number + `"} 0`,
		`main.f(0xc094839801, {0x94839801})`:                   `main.f(0, {0})`,
		`"at":"2026-02-04T11:33:09.94839801Z","to":"94839801"`: `"at":"2026-02-04T11:33:0Z","to":"94839801"`,
	} {
		if got := Plain(text); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestInID: digits may be those of an id, in hexadecimal with or without hyphens. A number with other digits beside it is none.
func TestInID(t *testing.T) {
	for text, want := range map[string]bool{
		number:          false,
		"id:94839801ab": false,
		"\x00" + number + "\x00ffffffffffffffffffffffffffffffff": false,
		`"94839801-0000-7000-8000-000000000000"`:                 true,
		"c94839801ff18f377877469f312a74a3":                       true,
		`\x` + strings.Repeat("ab94839801", 4):                   true,
	} {
		from := strings.Index(text, "94839801")
		if got := inID([]byte(text), from, from+8); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// TestFiles: each file with something in it is named.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"a": "x", "b/c": "\x00" + number} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, files, err := Files(dir, func(octets []byte) (words []string) {
		if strings.Contains(string(octets), number) {
			words = []string{"number"}
		}
		return words
	})
	if err != nil || files != 2 || len(found) != 1 || found[0].Where != filepath.Join(dir, "b", "c") || found[0].Words[0] != "number" {
		t.Errorf("%v in %d files, %v", found, files, err)
	}
	if _, _, err := Files(filepath.Join(dir, "none"), nil); err == nil {
		t.Error("there is no such folder, and no error")
	}
}
