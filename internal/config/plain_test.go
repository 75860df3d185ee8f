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
