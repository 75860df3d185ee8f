package config

import (
	"strings"
	"testing"
	"time"

	"straks/internal/limits"
)

// TestOrderLimits: an organisation has its own limits, or those of all; each fault has its key; and a change takes
// effect after a restart.
func TestOrderLimits(t *testing.T) {
	credentials(t, map[string]string{"telco.password": "hemlig"})
	limited := func(section, organisation string) *Config {
		t.Helper()
		cfg, _, found, err := parse(smallest+"\n"+organisation+"\n[limits]\n"+section, now, false)
		if err != nil || len(found) > 0 {
			t.Fatalf("%v %v", err, found)
		}
		return cfg
	}
	const prefix = "[[organisation.prefix_limit]]\nprefix = \"+371\"\norders = 100\nrecipients = 20\n"
	cfg := limited("recipient = [\"5 in 10m\", \"20 in 1d\"]\nrecipient_across = [\"30 in 1h\"]", prefix)
	l, any := cfg.OrderLimits()
	o := l.Organisations["ttd"]
	if !any || len(o.Recipient) != 2 || o.Recipient[1] != (limits.Window{Orders: 20, Per: 24 * time.Hour}) || l.Across[0].Orders != 30 ||
		o.Prefixes[0] != (limits.Prefix{Prefix: "+371", Per: time.Hour, Orders: 100, Recipients: 20}) {
		t.Errorf("%+v, %v", l, any)
	}
	if _, any := limited("", "").OrderLimits(); any {
		t.Error("there are limits that nobody has set")
	}
	other := limited("recipient = [\"6 in 10m\"]", prefix)
	if changed := other.KeepFixed(cfg); strings.Join(changed, " ") != "limits" {
		t.Errorf("needs a restart: %v", changed)
	}
	if kept, _ := other.OrderLimits(); kept.Organisations["ttd"].Recipient[0].Orders != 5 {
		t.Errorf("%+v", kept)
	}
	for text, want := range map[string]string{
		"[limits]\nrecipient = [\"5 in 10m\", \"5 per minute\"]":                     "limits.recipient[1] is",
		"[limits]\nrecipient = [\"0 in 10m\"]":                                       "limits.recipient[0] is",
		"[limits]\nrecipient_across = [\"5 in 32d\"]":                                "limits.recipient_across[0] is",
		"[[organisation.prefix_limit]]\nprefix = \"371\"\norders = 1":                "organisation[0].prefix_limit[0].prefix is",
		"[[organisation.prefix_limit]]\nprefix = \"+371\"":                           "organisation[0].prefix_limit[0].orders is missing",
		"[[organisation.prefix_limit]]\nprefix = \"+371\"\norders = 1\nper = \"1s\"": "organisation[0].prefix_limit[0].per is",
	} {
		_, _, found, err := parse(smallest+"\n"+text, now, false)
		if err != nil || len(found) != 1 || !strings.HasPrefix(found[0].Key+" "+found[0].Message, want) {
			t.Errorf("%s: %v %v, want %s", text, found, err, want)
		}
	}
}
