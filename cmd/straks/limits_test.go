package main

import (
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
)

// TestLimitsCommand: nothing is suspected, so nothing can be lifted; and what is missing is said. internal/daemon tests
// what there is to see.
func TestLimitsCommand(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	for _, c := range []struct {
		args []string
		code int
		told string
	}{
		{[]string{"list"}, exitDone, "nothing is suspected of pumping"},
		{[]string{"list", "-json"}, exitDone, ""},
		{[]string{"lift", "+371210"}, exitUsage, "-org is missing"},
		{[]string{"lift", "-org", "ttd", "+371210"}, exitUsage, "-reason is missing"},
		{[]string{"lift", "-org", "ttd", "-reason", "a cup", "+371210"}, exitFailed, "nothing of that name is suspected"},
		{[]string{"lift", "-org", "ttd", "-reason", "a cup"}, exitUsage, "PREFIX"},
	} {
		code, stdout, stderr := straks(t, "", append([]string{"limits", c.args[0], "-config", w.ConfigFile()}, c.args[1:]...)...)
		if code != c.code || !strings.Contains(stdout+stderr, c.told) {
			t.Errorf("%q: exit %d, want %d with %q: %s%s", c.args, code, c.code, c.told, stdout, stderr)
		}
	}
}
