package main

import (
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// TestRoute uses the example configuration, whose password files do not exist.
func TestRoute(t *testing.T) {
	const example = "../../configs/straks.toml"
	for _, tt := range []struct {
		args []string
		code int
		told []string
	}{
		{[]string{"+4799999999"}, exitDone, []string{"norway", "telco/1", "reserve", "straks (alphanumeric, TON 5", "4799999999 (TON 1, NPI 1)", "gsm (data_coding 0x00)", "1, for 19 characters"}},
		{[]string{"004799999999", "-sender", "2077"}, exitDone, []string{"to            +4799999999", "2077 (short code, TON 3"}},
		{[]string{"+4799999999", "-text", strings.Repeat("й", 71)}, exitDone, []string{"ucs2 (data_coding 0x08)", "2, for 71 characters, as udh8"}},
		{[]string{"+46 70-123 45 67"}, exitFailed, []string{"no route leads to this number", "400"}},
		{[]string{"0047 999-99 999"}, exitDone, []string{"to            +4799999999\n", "norway"}},
		{[]string{"+4712345678"}, exitFailed, []string{"refused with 400", "must be a valid phone number"}},
		{[]string{"99999999"}, exitFailed, []string{"must be a valid phone number"}},
		{[]string{"+4799999999", "-sender", "MuchTooLongSender"}, exitDone, []string{"MuchTooLong (alphanumeric, TON 5"}},
		{[]string{"+4799999999", "-sender", "ŠkodaAuto"}, exitFailed, []string{"refused", "outside the GSM alphabet"}},
		{[]string{"+4799999999", "-text", " "}, exitFailed, []string{"refused with 400", "must not be blank"}},
		{[]string{"+4799999999", "-ttl", "59s"}, exitFailed, []string{"refused with 400", "from 60 to 172800"}},
		{[]string{"+4799999999", "-ttl", "49h"}, exitFailed, []string{"refused with 400", "from 60 to 172800"}},
		{[]string{"+4799999999", "-ttl", "61.5s"}, exitFailed, []string{"refused with 400", "whole seconds"}},
		{[]string{"+4799999999", "-ttl", "48h"}, exitDone, []string{"norway"}},
		{[]string{"+4799999999", "-org", "nobody"}, exitFailed, []string{`no organisation "nobody"`}},
		{nil, exitUsage, []string{"NUMBER|ADDRESS is missing"}},
		{[]string{"kari@example.org"}, exitDone, []string{"route         all", "1. relay        mx", "opportunistic", "from          no-reply@", "10.0.0.6:25", "2 to 8"}},
		{[]string{"kari@example.org", "-sender", "varsel@avsender.no", "-org", "ttd"}, exitDone, []string{"from          varsel@avsender.no"}},
		{[]string{"pål@example.org"}, exitDone, []string{"SMTPUTF8"}},
		{[]string{"kari@example"}, exitFailed, []string{"refused       recipient: has a domain that is not valid", "400"}},
		{[]string{"kari@example.org", "-sender", "nobody"}, exitFailed, []string{"refused       sender: must be one address", "400"}},
		{[]string{"kari@example.org", "-org", "nobody"}, exitFailed, []string{`no organisation "nobody"`}},
	} {
		code, stdout, stderr := straks(t, "", append([]string{"route", "-config", example}, tt.args...)...)
		if code != tt.code {
			t.Errorf("%q: exit %d, want %d: %s", tt.args, code, tt.code, stderr)
		}
		for _, want := range tt.told {
			if !strings.Contains(stdout+stderr, want) {
				t.Errorf("%q: %q is missing:\n%s%s", tt.args, want, stdout, stderr)
			}
		}
	}
}

// TestRoutePrice: what a message costs at each SMSC.
func TestRoutePrice(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("[[organisation]]\n", "[cost]\nemail = \"0.002\"\n[[price]]\nprefix = \"+47\"\nprice = \"0.45\"\nclass = \"home\"\n[[organisation]]\n")
	for to, want := range map[string]string{
		"+4799999999":      "1.35 NOK (class home), 0.45 for each part",
		"+46701740605":     "not known: no [[price]] is for this number",
		"kari@example.org": "0.002 NOK",
	} {
		if out := succeed(t, "route", "-config", w.ConfigFile(), "-text", strings.Repeat("x", 400), to); !strings.Contains(out, want) {
			t.Errorf("%s: %q is missing:\n%s", to, want, out)
		}
	}
}
