package config

import (
	"strings"
	"testing"
)

// TestPlainHTTP: the API is not reached from other machines in the clear, unless that is said.
func TestPlainHTTP(t *testing.T) {
	for _, c := range []struct {
		lines string
		ok    bool
	}{
		{`listen = "127.0.0.1:8080"`, true},
		{`listen = "[::1]:8080"`, true},
		{`listen = "localhost:8080"`, true},
		{`listen = ":8080"`, false},
		{`listen = "0.0.0.0:8080"`, false},
		{`listen = "10.0.0.1:8080"`, false},
		{"listen = \"0.0.0.0:8080\"\nplain_http = true", true},
	} {
		_, _, found, err := parse(strings.Replace(smallest, `listen = "127.0.0.1:8080"`, c.lines, 1), now, false)
		if err != nil {
			t.Fatal(err)
		}
		if told := strings.Contains(found.Error(), "in the clear"); told == c.ok {
			t.Errorf("%s: %v", c.lines, found)
		}
	}
}

// TestAPISocket: on a unix socket the API needs no certificate; its path and permissions are checked as those of others.
func TestAPISocket(t *testing.T) {
	for lines, fault := range map[string]string{
		`listen = "/run/straks/api.sock"`:                                          "",
		"listen = \"/run/straks/api.sock\"\nmode = \"0666\"\ngroup = \"www-data\"": "",
		`listen = "run/api.sock"`:                                                  "api.listen is",
		`listen = "/run/straks/"`:                                                  "a folder",
		"listen = \"/run/straks/api.sock\"\nmode = \"0060\"":                       "api.mode",
		`listen = "/run/straks/admin.sock"`:                                        "admin.listen is that of api",
	} {
		_, _, found, err := parse(strings.Replace(smallest, `listen = "127.0.0.1:8080"`, lines, 1), now, true)
		if err != nil {
			t.Fatal(err)
		}
		if text := found.Error(); fault == "" && len(found) > 0 || !strings.Contains(text, fault) {
			t.Errorf("%s: %s, want %q", lines, text, fault)
		}
	}
	_, warnings, _, _ := parse(strings.Replace(smallest, `listen = "127.0.0.1:8080"`, "listen = \"127.0.0.1:8080\"\nmode = \"0600\"", 1), now, false)
	if said := warnings; !strings.Contains(said[0].String()+said[len(said)-1].String(), "api.mode has no effect") {
		t.Errorf("%v", said)
	}
}
