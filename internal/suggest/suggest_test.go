package suggest

import "testing"

func TestFor(t *testing.T) {
	words := []string{"listen", "password_file", "system_id", "addr"}
	for word, want := range map[string]string{
		"lisen": "listen", "passwordfile": "password_file", "adr": "addr", "address": "addr", "relay": "", "systemid": "system_id",
		"x": "", "": "", "completely_else": "",
	} {
		if got := For(word, words); got != want {
			t.Errorf("For(%q) = %q, want %q", word, got, want)
		}
	}
}
