package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
)

// routed is a world of two SMSCs and two organisations, with every kind of route.
type routed struct {
	*daemontest.World
	clients map[string]*client.Client // by organisation
	smscs   map[string]*smsctest.SMSC
}

// routes is a format of their configuration, for the second SMSC's address and the digest
// of the second organisation's token.
const routes = `
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
weights = { telco = 1, reserve = 1 }`

func newRouted(t *testing.T) *routed {
	t.Helper()
	reserve, err := smsctest.Listen("127.0.0.1:0", smsctest.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reserve.Close() })
	token := newToken()
	w := daemontest.New(t, smsctest.Profile{}, fmt.Sprintf(routes, reserve.Addr(), sha256.Sum256([]byte(token))))
	nav, err := client.New("http://"+w.Daemon.APIAddr()+"/notifications/api/v1", token, nil)
	if err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "both to be bound", func() bool { return reserve.Stats().BindsNow == 1 && w.SMSC.Stats().BindsNow == 1 })
	return &routed{w, map[string]*client.Client{"ttd": w.Client, "nav": nav},
		map[string]*smsctest.SMSC{"telco": w.SMSC, "reserve": reserve}}
}

// way is a message, and its expected route and encoding.
type way struct {
	org, number, sender, text string

	route, smsc, source, encoding, parts string
}

// TestRoutes sends along every route, and compares what the SMSCs got with what "straks
// route" printed.
func TestRoutes(t *testing.T) {
	w := newRouted(t)
	russian := strings.Repeat("Ё", 100)
	for i, c := range []way{
		{"ttd", "+4799999999", "", "Hei", "norway", "telco", "Telco", "gsm", "1"},
		{"ttd", "+4798765432", "", "Hei", "north", "reserve", "North", "gsm", "1"},
		{"ttd", "+4798765432", "DNB", "Hei", "north", "reserve", "DNB", "gsm", "1"}, // the longest prefix wins
		{"ttd", "+4799999999", "DNB", "Hei", "bank", "reserve", "DNB", "gsm", "1"},
		{"nav", "+4799999999", "", "“Hei”", "nav", "reserve", "NAV", "gsm", "1"},
		{"nav", "+4799999999", "DNB", "Hei", "bank", "reserve", "DNB", "gsm", "1"}, // the sender wins over the organisation
		{"ttd", "+4799999999", "", "“Hei”", "norway", "telco", "Telco", "ucs2", "1"},
		{"ttd", "+4799999999", "DNB", russian, "bank", "reserve", "DNB", "ucs2", "2"},
		{"ttd", "+4799999999", "", strings.Repeat("€", 81), "norway", "telco", "Telco", "gsm", "2"},
	} {
		w.checkTold(c)
		w.checkSent(c, fmt.Sprint("k", i))
	}
}

// checkTold checks the output of "straks route".
func (w *routed) checkTold(c way) {
	w.T.Helper()
	args := []string{"route", c.number, "-config", w.ConfigFile(), "-org", c.org, "-text", c.text, "-ttl", "2m"}
	if c.sender != "" {
		args = append(args, "-sender", c.sender)
	}
	_, told, _ := straks(w.T, "", args...)
	for _, want := range []string{"route         " + c.route + "\n", "1. SMSC         " + c.smsc + "\n", "source       " + c.source + " (",
		"encoding     " + c.encoding + " (", "parts        " + c.parts + ", ", "validity     00000000015"} {
		if !strings.Contains(told, want) {
			w.T.Errorf("%+v: straks route says\n%s and not %q", c, told, want)
		}
	}
}

// checkSent sends the message and checks what its SMSC got.
func (w *routed) checkSent(c way, key string) {
	w.T.Helper()
	order := daemontest.SMS(key, c.number)
	order.Recipient.Settings.Body, order.Recipient.Settings.Sender = c.text, c.sender
	before := len(w.smscs[c.smsc].Submits())
	if _, err := w.clients[c.org].SendSMS(w.T.Context(), order); err != nil {
		w.T.Fatalf("%+v: %v", c, err)
	}
	got := w.smscs[c.smsc].Submits()[before:]
	if fmt.Sprint(len(got)) != c.parts || got[0].Source != c.source || (got[0].DataCoding == 8) != (c.encoding == "ucs2") {
		w.T.Errorf("%+v: the SMSC got %+v", c, got)
	}
}

// SMSCs with weights share the messages, and "straks route" prints the proportion.
func TestRouteByLot(t *testing.T) {
	w := newRouted(t)
	if _, told, _ := straks(t, "", "route", "+46701234567", "-config", w.ConfigFile()); strings.Count(told, "in 1 of 2 messages the first") != 2 {
		t.Errorf("straks route says nothing of the lot:\n%s", told)
	}
	for i := range 60 {
		w.Send(fmt.Sprint("s", i), "+46701234567")
	}
	if n := len(w.SMSC.Submits()); n < 10 || n > 50 {
		t.Errorf("of 60 messages to equals, one got %d", n)
	}
}

// A message that no SMSC of its route could ever accept is refused before it is stored.
func TestRouteRefusals(t *testing.T) {
	w := newRouted(t)
	var problem *client.Problem
	foreign := daemontest.SMS("l", "+4799999999")
	foreign.Recipient.Settings.Sender = "ŠkodaAuto"
	if _, err := w.Client.SendSMS(t.Context(), foreign); !errors.As(err, &problem) || problem.Status != 400 ||
		!strings.Contains(fmt.Sprint(problem.Errors["recipientSms.smsSettings.sender"]), "outside the GSM alphabet") {
		t.Errorf("a sender that no SMSC can show: %v", err)
	}
	if _, err := w.Client.SendSMS(t.Context(), daemontest.SMS("n", "+4512345678")); !errors.As(err, &problem) || problem.Status != 400 {
		t.Errorf("no route leads there, and it says %v", err)
	}
}
