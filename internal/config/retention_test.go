package config

import (
	"strings"
	"testing"
	"time"
)

// kept reads the smallest configuration with a retention of the journal, lines of its organisation, and more.
func kept(journal, organisation, rest string) string {
	text := strings.Replace(smallest, "[journal]", "[journal]\nretention = \""+journal+"\"", 1)
	return strings.Replace(text, "[[organisation.token]]", organisation+"\n[[organisation.token]]", 1) + "\n" + rest
}

// TestRetention: an organisation has the journal's retention or its own, which changes without a restart.
func TestRetention(t *testing.T) {
	credentials(t, map[string]string{"telco.password": "hemlig"})
	read := func(journal, organisation string) *Config {
		t.Helper()
		cfg, _, found, err := parse(kept(journal, organisation, ""), now, false)
		if err != nil || len(found) > 0 {
			t.Fatalf("%v %v", err, found)
		}
		return cfg
	}
	none, own := read("60d", ""), read("60d", `retention = "30d"`)
	if r := none.Retention(); r.All != 60*day || len(r.Own) != 0 || r.Of("ttd") != 60*day || none.Organisations[0].Retention != 60*day {
		t.Errorf("%+v", r)
	}
	if r := own.Retention(); r.All != 60*day || r.Of("ttd") != 30*day || r.Of("other") != 60*day {
		t.Errorf("%+v", r)
	}
	if changed := own.KeepFixed(none); len(changed) > 0 || own.Retention().Of("ttd") != 30*day {
		t.Errorf("needs a restart: %v", changed)
	}
	// The journal's takes a restart, also for organisations that have none of their own.
	shorter := read("20d", "")
	if changed := shorter.KeepFixed(none); len(changed) != 1 || shorter.Retention().Of("ttd") != 60*day {
		t.Errorf("%v, %v", changed, shorter.Retention())
	}
	for _, same := range []string{"3d", "60d", "72h"} {
		if want, _ := time.ParseDuration(same); want > 0 && read("60d", "retention = \""+same+"\"").Retention().Of("ttd") != want {
			t.Error(same)
		}
	}
}

// TestRetentionFaults: each fault has its key, and orders are kept for as long as limits look back.
func TestRetentionFaults(t *testing.T) {
	credentials(t, map[string]string{"telco.password": "hemlig"})
	const price, window = "[[price]]\nprice = \"1.00\"\n", "[limits]\nrecipient = [\"9 in 10d\"]"
	for _, c := range []struct{ journal, organisation, rest, want string }{
		{"60d", `retention = "2d"`, "", "organisation[0].retention is 2d, must be between 3d and 60d"},
		{"60d", `retention = "0s"`, "", "organisation[0].retention is 0s, must be"},
		{"60d", `retention = "61d"`, "", "organisation[0].retention is 61d, must be between 3d and 60d"},
		{"30d", "orders_per_month = 5", "", "organisation[0].orders_per_month needs journal.retention to be 31d"},
		{"31d", "orders_per_month = 5", "", ""},
		{"60d", "orders_per_month = 5\nretention = \"30d\"", "", "organisation[0].orders_per_month needs retention to be 31d"},
		{"60d", "orders_per_month = 5\nretention = \"31d\"", "", ""},
		{"60d", "orders_per_day = 5\nretention = \"3d\"", "", ""},
		{"60d", "budget_per_month = \"5\"\nretention = \"30d\"", price, "organisation[0].budget_per_month needs retention to be 31d"},
		{"60d", "recipient_limits = [\"9 in 1d\", \"9 in 10d\"]\nretention = \"9d\"", "", "organisation[0].recipient_limits[1] needs retention to be 10d"},
		{"9d", "recipient_limits = [\"9 in 10d\"]", "", "organisation[0].recipient_limits[0] needs journal.retention to be 10d"},
		{"9d", "", window, "limits.recipient[0] needs journal.retention to be 10d"},
		{"60d", `retention = "9d"`, window, "organisation[0].retention is 9d, but limits of recipients"},
		{"60d", "retention = \"9d\"\nrecipient_limits = []", window, ""},
		{"60d", `retention = "9d"`, "[limits]\nrecipient_across = [\"9 in 10d\"]", "organisation[0].retention is 9d, but limits of recipients"},
		{"60d", `retention = "9d"`, "[[organisation.prefix_limit]]\nprefix = \"+371\"\norders = 1\nper = \"10d\"", "organisation[0].prefix_limit[0].per needs retention to be 10d"},
	} {
		_, _, found, err := parse(kept(c.journal, c.organisation, c.rest), now, false)
		if c.want == "" && len(found) == 0 && err == nil {
			continue
		}
		if err != nil || len(found) != 1 || c.want == "" || !strings.HasPrefix(found[0].Key+" "+found[0].Message, c.want) {
			t.Errorf("%+v: %v %v", c, found, err)
		}
	}
}
