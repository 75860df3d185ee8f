package config

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// The names are read from a file with faults; one that is not TOML or not there is an error.
func TestReadNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "straks.toml")
	for text, want := range map[string]*Names{
		"":         {},
		"[[[":      nil,
		"smsc = 1": {},
		"[[smsc]]\nname = 'telco'\npassword_file = 'none'\n[[smsc]]\nname = 1\n[[relay]]\nname = 'mx'\n[[organisation]]\nname = 'ttd'\n[[organisation]]\nname = 'skd'\n": {
			[]string{"ttd", "skd"}, []string{"telco"}, []string{"mx"}},
		"organisation = [{name = 'ttd'}]": {[]string{"ttd"}, nil, nil},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadNames(path)
		if (err != nil) != (want == nil) || want != nil && !reflect.DeepEqual(got, *want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := ReadNames(path + ".none"); err == nil {
		t.Error("no error without a file")
	}
}
