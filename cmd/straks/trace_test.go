package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// "My code never came, +47…": one command finds the message by whatever is known of it, and says what
// became of it, in a journal of whatever kind.
func TestTrace(t *testing.T) {
	for _, kind := range kindsOfJournal(t) {
		t.Run(kind.name, func(t *testing.T) { testTrace(t, kind) })
	}
}

func testTrace(t *testing.T, kind journalKind) {
	t.Parallel()
	p := smsctest.Profile{Rules: smsctest.Sandbox().Rules}
	p.Receipt.EchoText = true
	w := kind.world(t, p, relaytest.Profile{Rules: relaytest.StandardRules()})
	log := w.KeepLog()
	w.Start()
	trace := func(args ...string) (code int, stdout, stderr string) {
		t.Helper()
		return straks(t, "", append(append([]string{"trace"}, args...), "-admin", w.Daemon.AdminAddr())...)
	}
	finds := func(what string, wants ...string) {
		t.Helper()
		code, out, stderr := trace("-reason", "\x1b[2Jasked", what)
		for _, want := range wants {
			if code != exitDone || !strings.Contains(out, want) {
				t.Errorf("%s: exit %d, want %q in\n%s%s", what, code, want, out, stderr)
			}
		}
		if strings.Contains(out, "123456") || strings.Contains(out, "Your code") {
			t.Errorf("%s: a text:\n%s", what, out)
		}
	}
	delivered := w.Send("key-1", "+4799999999")
	w.Await(delivered.ShipmentID, "SMS_Delivered")
	id := w.SMSC.Submits()[0].MessageID
	for _, what := range []string{"+4799999999", "004799999999", "+47 999 99 999", delivered.ShipmentID, "key-1", "ref-key-1", id} {
		finds(what, "Delivered, as telco says, ", delivered.ShipmentID, "written to telco/1 (1 part, gsm)", "answered by telco", "message id "+id)
	}
	failed := w.Send("key-2", "+4799999901")
	w.Await(failed.ShipmentID, "SMS_Failed_Undelivered")
	finds("+4799999901", "Not delivered, as telco says", "SMS_Failed_Undelivered (UNDELIV err:")
	w.Send("key-3", "+4799999907") // never a receipt
	finds("key-3", "Taken by telco. A receipt or ")
	mail, err := w.Client.SendEmail(t.Context(), daemontest.Mail("key-4", "nosuch@example.org"))
	if err != nil {
		t.Fatal(err)
	}
	finds("NOSUCH@example.org", "Not delivered, as mx says", mail.ShipmentID, "550 5.1.1")

	code, out, _ := trace("-json", "key-1")
	var s daemon.TracedShipment
	if err := json.Unmarshal([]byte(out), &s); code != exitDone || err != nil || s.Status != "SMS_Delivered" ||
		s.StoredMicros <= 0 || s.SlotMicros < s.StoredMicros || s.WrittenMicros < s.SlotMicros || s.AnsweredMicros < s.WrittenMicros {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"+4791111111"}, "no message of the last 24h0m0s"},
		{[]string{"-since", "1ns", "+4799999999"}, "no message of the last 1ns"},
		{[]string{"-since", "-1h", "+4799999999"}, "want a time like 24h"},
		{[]string{strings.Repeat("x", maxTraceArgument)}, "q is what to look for"},
		{nil, "WHAT"},
	} {
		if code, _, stderr := trace(c.args...); code == exitDone || !strings.Contains(stderr, c.want) {
			t.Errorf("%.60q: exit %d, %s", c.args, code, stderr)
		}
	}
	if text := log.String(); !strings.Contains(text, `"msg":"messages looked up by an operator","by_what":"recipient","found":1,"by":"`) ||
		strings.Contains(text, "99999999") || strings.Contains(text, "\x1b") {
		t.Errorf("log:\n%s", text)
	}
}

const maxTraceArgument = 2000

// Each state of a message has its sentence.
func TestTraceSentences(t *testing.T) {
	at := time.Date(2026, 2, 4, 11, 33, 9, 0, time.UTC)
	for want, s := range map[string]daemon.TracedShipment{
		"Delivered, as telco says, 1.9s after":     {Status: "SMS_Delivered", Final: true, Delivered: true, Carrier: "telco"},
		"Not sent: the recipient is blocked":       {Status: "SMS_Failed_RecipientReserved", Final: true},
		"Not known: no final receipt came from":    {Status: "SMS_Failed_TTL", Final: true, Carrier: "telco"},
		"Not delivered, as telco says, 1.9s":       {Status: "SMS_Failed_Expired", Final: true, Carrier: "telco"},
		"Not delivered, as telco says, 1.9s after": {Status: "SMS_Failed", Final: true, Carrier: "telco"},
		"Not sent: that was found too late":        {Status: "SMS_Failed", Final: true},
		"Not sent: no carrier could take it":       {Status: "SMS_New"},
		"Perhaps sent: the carrier has not":        {Status: "SMS_Sending"},
		"Taken by telco. A receipt or":             {Status: "SMS_Accepted", Carrier: "telco"},
	} {
		s.Accepted, s.Updated = at, at.Add(1900*time.Millisecond)
		if got := sentence(&s); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", s.Status, got, want)
		}
	}
}
