package config

import (
	"strings"
	"testing"
)

func TestModes(t *testing.T) {
	cfg, warnings, found, err := parse(withIssuers+"mode = \"allowlist\"\nallowed_recipients = [\"0047 999 99 999\", \"kari@example.org\", \"@blåbær.no\"]\n", now, false)
	if err != nil || len(found) > 0 {
		t.Fatal(err, found)
	}
	if got := strings.Join(cfg.Modes()["ttd"].Allowed, " "); got != "+4799999999 kari@example.org @blåbær.no" {
		t.Errorf("allowed: %s", got)
	}
	if !strings.Contains(textOf(warnings), "organisation[0].mode is \"allowlist\"") {
		t.Errorf("no warning: %v", warnings)
	}
	for _, c := range []struct{ lines, key, says string }{
		{"mode = \"test\"", "organisation[0].mode", "must be one of"},
		{"mode = \"allowlist\"", "organisation[0].allowed_recipients", "is missing"},
		{"allowed_recipients = [\"+4799999999\"]", "organisation[0].allowed_recipients", "is for mode"},
		{"mode = \"allowlist\"\nallowed_recipients = [\"99999999\"]", "organisation[0].allowed_recipients[0]", "no phone number"},
		{"mode = \"allowlist\"\nallowed_recipients = [\"@\"]", "organisation[0].allowed_recipients[0]", "no phone number"},
		{"[[smsc]]\nname = \"simulated\"\naddr = \"10.0.0.6:2775\"\nsystem_id = \"x\"", "smsc[1].name", "not sent"},
	} {
		_, _, found, err := parse(withIssuers+c.lines+"\n", now, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 1 || found[0].Key != c.key || !strings.Contains(found[0].Message, c.says) {
			t.Errorf("%s: %v, want %s %s", c.lines, found, c.key, c.says)
		}
	}
}
