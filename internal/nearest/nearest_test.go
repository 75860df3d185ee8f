package nearest

import "testing"

func TestTo(t *testing.T) {
	words := []string{"listen", "password_file", "system_id", "addr"}
	for word, want := range map[string]string{
		"lisen": "listen", "passwordfile": "password_file", "adr": "addr", "address": "addr", "relay": "", "systemid": "system_id",
		"x": "", "": "", "completely_else": "",
	} {
		if got := To(word, words); got != want {
			t.Errorf("To(%q) = %q, want %q", word, got, want)
		}
	}
}
