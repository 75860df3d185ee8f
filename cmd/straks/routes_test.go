package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"straks/api/client"
	"straks/smpp/smsctest"
)

// TestRoutes sends along every kind of route that a configuration can have, and
// holds what two SMSCs got against what "straks route" had told.
func TestRoutes(t *testing.T) {
	reserve, err := smsctest.Listen("127.0.0.1:0", smsctest.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reserve.Close() })
	token := newToken()
	w := newWorld(t, smsctest.Profile{}, fmt.Sprintf(`
sender = "Telco"
[[smsc]]
name = "reserve"
addr = %q
system_id = "straks"
long_messages = "sar"
[[organisation]]
name = "nav"
sms_sender = "NAV"
transliterate = true
[[organisation.token]]
name = "backend"
sha256 = "%x"
[[route]]
name = "norway"
prefixes = ["+47"]
smscs = ["telco", "reserve"]
[[route]]
name = "north"
prefixes = ["+4797", "+4798"]
smscs = ["reserve"]
sender = "North"
[[route]]
name = "bank"
prefixes = ["+47"]
senders = ["DNB"]
smscs = ["reserve"]
[[route]]
name = "nav"
prefixes = ["+47"]
organisations = ["nav"]
smscs = ["reserve", "telco"]
sender = "not this"
[[route]]
name = "sweden"
prefixes = ["+46"]
smscs = ["telco", "reserve"]
weights = { telco = 1, reserve = 1 }`, reserve.Addr(), sha256.Sum256([]byte(token))))
	nav, err := client.New("http://"+w.daemon.apiAddr()+"/notifications/api/v1", token, nil)
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]*client.Client{"ttd": w.client, "nav": nav}
	smscs := map[string]*smsctest.SMSC{"telco": w.smsc, "reserve": reserve}
	eventually(t, "both to be bound", func() bool { return reserve.Stats().BindsNow == 1 && w.smsc.Stats().BindsNow == 1 })

	russian := strings.Repeat("Ё", 100)
	for i, c := range []struct {
		org, number, sender, text string

		route, smsc, source, encoding, parts string
	}{
		{"ttd", "+4799999999", "", "Hei", "norway", "telco", "Telco", "gsm", "1"},
		{"ttd", "+4798765432", "", "Hei", "north", "reserve", "North", "gsm", "1"},
		{"ttd", "+4798765432", "DNB", "Hei", "north", "reserve", "DNB", "gsm", "1"}, // the longest prefix comes first
		{"ttd", "+4799999999", "DNB", "Hei", "bank", "reserve", "DNB", "gsm", "1"},
		{"nav", "+4799999999", "", "“Hei”", "nav", "reserve", "NAV", "gsm", "1"},
		{"nav", "+4799999999", "DNB", "Hei", "bank", "reserve", "DNB", "gsm", "1"}, // the sender before the organisation
		{"ttd", "+4799999999", "", "“Hei”", "norway", "telco", "Telco", "ucs2", "1"},
		{"ttd", "+4799999999", "DNB", russian, "bank", "reserve", "DNB", "ucs2", "2"},
		{"ttd", "+4799999999", "", strings.Repeat("€", 81), "norway", "telco", "Telco", "gsm", "2"},
	} {
		args := []string{"route", c.number, "-config", w.configFile(), "-org", c.org, "-text", c.text, "-ttl", "2m"}
		order := sms(fmt.Sprint("k", i), c.number)
		order.Recipient.Settings.Body = c.text
		if c.sender != "" {
			args = append(args, "-sender", c.sender)
			order.Recipient.Settings.Sender = c.sender
		}
		_, told, _ := straks(t, "", args...)
		for _, want := range []string{"route         " + c.route + "\n", "1. SMSC         " + c.smsc + "\n", "source       " + c.source + " (",
			"encoding     " + c.encoding + " (", "parts        " + c.parts + ", ", "validity     00000000015"} {
			if !strings.Contains(told, want) {
				t.Errorf("%+v: straks route says\n%s and not %q", c, told, want)
			}
		}
		before := len(smscs[c.smsc].Submits())
		if _, err := clients[c.org].SendSMS(t.Context(), order); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		got := smscs[c.smsc].Submits()[before:]
		if fmt.Sprint(len(got)) != c.parts || got[0].Source != c.source || (got[0].DataCoding == 8) != (c.encoding == "ucs2") {
			t.Errorf("%+v: the SMSC got %+v", c, got)
		}
	}

	if _, told, _ := straks(t, "", "route", "+46701234567", "-config", w.configFile()); strings.Count(told, "in 1 of 2 messages the first") != 2 {
		t.Errorf("straks route says nothing of the lot:\n%s", told)
	}
	before := len(w.smsc.Submits())
	for i := range 60 {
		w.send(fmt.Sprint("s", i), "+46701234567")
	}
	if n := len(w.smsc.Submits()) - before; n < 10 || n > 50 {
		t.Errorf("of 60 messages to equals, one got %d", n)
	}
	var problem *client.Problem
	long := sms("l", "+4799999999")
	long.Recipient.Settings.Sender = "Skatteetaten" // one too many
	if _, err := w.client.SendSMS(t.Context(), long); !errors.As(err, &problem) || problem.Status != 400 ||
		!strings.Contains(fmt.Sprint(problem.Errors["recipientSms.smsSettings.sender"]), "at most 11") {
		t.Errorf("a sender of twelve characters: %v", err)
	}
	if _, err := w.client.SendSMS(t.Context(), sms("n", "+4512345678")); !errors.As(err, &problem) || problem.Status != 400 {
		t.Errorf("no route leads there, and it says %v", err)
	}
}
