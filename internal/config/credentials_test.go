package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A bare name is found as systemd hands it over: alone, or as a file of a folder, which comes first.
func TestCredentialOfFolder(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", folder)
	for _, step := range []struct{ file, want string }{{"", "can't be read"}, {"telco.password", "alone"}, {"straks_telco.password", "of the folder"}} {
		if step.file != "" {
			if err := os.WriteFile(filepath.Join(folder, step.file), []byte(step.want+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if secret, err := ReadSecret("telco.password"); secret != step.want && (err == nil || !strings.Contains(err.Error(), step.want)) {
			t.Errorf("with %q: %q, %v", step.file, secret, err)
		}
	}
	// Nobody needs access to it, since systemd hands it over.
	cfg, _, found, err := parse(strings.Replace(smallest, "[[relay]]", "[[relay]]\nusername = \"u\"\npassword_file = \"telco.password\"\n", 1), now, false)
	if err != nil || len(found) > 0 {
		t.Fatal(found, err)
	}
	if files := cfg.Files(); len(files) > 0 {
		t.Errorf("files %v", files)
	}
}

// Where systemd handed over nothing, the packages' folder is taken, if it can be read.
func TestAdoptCredentials(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "telco.password"), []byte("hemlig\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	AdoptCredentials(filepath.Join(folder, "none"))
	if _, err := ReadSecret("telco.password"); err == nil || !strings.Contains(err.Error(), CredentialFolder) {
		t.Errorf("without a folder: %v", err)
	}
	AdoptCredentials(folder)
	if secret, err := ReadSecret("telco.password"); err != nil || secret != "hemlig" {
		t.Errorf("%q, %v", secret, err)
	}
	AdoptCredentials(t.TempDir()) // what systemd handed over stays
	if secret, err := ReadSecret("telco.password"); err != nil || secret != "hemlig" {
		t.Errorf("%q, %v", secret, err)
	}
}
