package config

import (
	"strings"
	"testing"
	"time"

	"straks/internal/limits"
)

// TestOrderLimits: an organisation has its own limits, or those of all, or none; each fault has its key; and a change
// takes no restart.
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
	l := cfg.OrderLimits()
	o := l.Organisations["ttd"]
	if len(o.Recipient) != 2 || o.Recipient[1] != (limits.Window{Orders: 20, Per: 24 * time.Hour}) || !o.Shared || l.Across[0].Orders != 30 ||
		o.Prefixes[0] != (limits.Prefix{Prefix: "+371", Per: time.Hour, Orders: 100, Recipients: 20}) {
		t.Errorf("%+v", l)
	}
	for _, c := range []struct {
		section, organisation string
		want                  int
	}{{"", "", 2}, {"recipient = []", "", 0}, {"", "recipient_limits = []", 0}, {"recipient = []", "recipient_limits = [\"1 in 1m\"]", 1}} {
		text := strings.Replace(smallest, "name = \"ttd\"\n", "name = \"ttd\"\n"+c.organisation+"\n", 1) + "\n[limits]\n" + c.section
		cfg, _, found, err := parse(text, now, false)
		if err != nil || len(found) > 0 {
			t.Fatal(err, found)
		}
		if got := cfg.OrderLimits().Organisations["ttd"].Recipient; len(got) != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	other := limited("recipient = [\"6 in 10m\"]", prefix)
	if changed := other.KeepFixed(cfg); len(changed) > 0 {
		t.Errorf("needs a restart: %v", changed)
	}
	for text, want := range map[string]string{
		"[limits]\nrecipient = [\"5 in 10m\", \"5 per minute\"]":                         "limits.recipient[1] is",
		"[limits]\nrecipient = [\"0 in 10m\"]":                                           "limits.recipient[0] is",
		"[limits]\nrecipient_across = [\"5 in 32d\"]":                                    "limits.recipient_across[0] is",
		"[[organisation.prefix_limit]]\nprefix = \"371\"\norders = 1":                    "organisation[0].prefix_limit[0].prefix is",
		"[[organisation.prefix_limit]]\nprefix = \"+371\"":                               "organisation[0].prefix_limit[0].orders is missing",
		"[[organisation.prefix_limit]]\nprefix = \"+371\"\norders = 1\nper = \"1s\"":     "organisation[0].prefix_limit[0].per is",
		"[[organisation.prefix_limit]]\ncountry = \"+371\"\norders = 1":                  "organisation[0].prefix_limit[0].country is",
		"[[organisation.prefix_limit]]\ncountry = \"LV\"\nprefix = \"+371\"\norders = 1": "organisation[0].prefix_limit[0].country is",
		"[[organisation.prefix_limit]]\norders = 1":                                      "organisation[0].prefix_limit[0].prefix is missing",
	} {
		_, _, found, err := parse(smallest+"\n"+text, now, false)
		if err != nil || len(found) != 1 || !strings.HasPrefix(found[0].Key+" "+found[0].Message, want) {
			t.Errorf("%s: %v %v, want %s", text, found, err, want)
		}
	}
}

// TestChannelsAndSenders: each fault has its key.
func TestChannelsAndSenders(t *testing.T) {
	credentials(t, map[string]string{"telco.password": "hemlig"})
	text := strings.Replace(smallest, "name = \"ttd\"\n", "name = \"ttd\"\nchannels = [\"sms\", \"fax\"]\nsms_senders = [\"\", \"Skatteetaten\"]\npumping = \"no\"\n", 1)
	_, _, found, err := parse(text+"[limits]\npumping = \"yes\"\npumping_stop = \"1s\"\n", now, false)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, f := range found {
		keys = append(keys, f.Key)
	}
	if got := strings.Join(keys, " "); got != "limits.pumping limits.pumping_stop organisation[0].channels[1] organisation[0].pumping organisation[0].sms_senders[0] organisation[0].sms_senders[1]" {
		t.Errorf("%s\n%v", got, found)
	}
}
