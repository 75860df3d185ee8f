package main

import (
	"encoding/json"
	"strings"
	"testing"

	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// An operator finds out why a person gets nothing, and changes it, while the daemon runs.
func TestBlockCommand(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	log := w.KeepLog()
	w.Start()
	straksBlock := func(want string, args ...string) string {
		t.Helper()
		code, stdout, stderr := straks(t, "", append(append([]string{"block"}, args...), "-admin", w.Daemon.AdminAddr())...)
		if code != exitDone || !strings.Contains(stdout, want) {
			t.Fatalf("%q: exit %d, %s%s, want %q", args, code, stdout, stderr, want)
		}
		return stdout
	}
	status := func(key, want string) {
		t.Helper()
		if got := w.Status(w.Send(key, "+4799999999").ShipmentID); strings.HasPrefix(got, "SMS_Failed") != strings.HasPrefix(want, "SMS_Failed") {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	straksBlock("nobody is blocked", "list")
	straksBlock("not blocked", "show", "+47 999 99 999")

	w.SMSC.SendMO("4799999999", "2077", "Stopp!")
	eventually.True(t, "the phone to be blocked", func() bool {
		_, stdout, _ := straks(t, "", "block", "show", "004799999999", "-admin", w.Daemon.AdminAddr())
		return strings.Contains(stdout, "blocked") && strings.Contains(stdout, "STOPP")
	})
	status("blocked", "SMS_Failed_RecipientReserved")
	straksBlock("phone", "list", "-organisation", "ttd")
	straksBlock("is given the messages of this organisation again", "lift", "+4799999999", "-organisation", "ttd", "-reason", "Wants them again, called support")
	status("lifted", "SMS_Accepted") // or delivered by now
	straksBlock("nobody is blocked", "list")
	straksBlock("called support", "list", "-lifted")

	straksBlock("no messages", "add", "Kari@Example.org", "-organisation", "ttd", "-reason", "\x1b[2J \u202e bounced")
	if out := straksBlock("kari@example.org", "show", "kari@example.org"); strings.ContainsAny(out, "\x1b\u202e") {
		t.Errorf("shows %q", out)
	}
	var entry daemon.BlockEntry
	if err := json.Unmarshal([]byte(straksBlock("Email", "list", "-json")), &entry); err != nil || entry.Source != "operator" || entry.By == "" || entry.At.IsZero() || !entry.Blocked {
		t.Errorf("%+v, %v", entry, err)
	}
	placed, err := w.Client.SendEmail(t.Context(), daemontest.Mail("mail", "kari@example.org"))
	if err != nil || w.Status(placed.ShipmentID) != "Email_Failed_RecipientReserved" {
		t.Errorf("%+v, %v", placed, err)
	}
	if text := log.String(); !strings.Contains(text, "changed by an operator") || strings.Contains(text, "99999999") || strings.Contains(text, "kari") || strings.Contains(text, "support") {
		t.Errorf("log:\n%s", text)
	}

	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"add", "+4799999999", "-organisation", "nobody", "-reason", "x"}, `there are ["ttd"]`},
		{[]string{"add", "99999999", "-organisation", "ttd", "-reason", "x"}, "international form"},
		{[]string{"add", "a@b@c", "-organisation", "ttd", "-reason", "x"}, "no e-mail address"},
		{[]string{"add", "+4799999999", "-organisation", "ttd", "-reason", strings.Repeat("x", 201)}, "more than 200 octets"},
		{[]string{"add", "+4799999999", "-organisation", "ttd", "-reason", "  "}, "give a reason"},
		{[]string{"add", "+4799999999", "-organisation", "ttd"}, "-reason is missing"},
		{[]string{"lift", "+4799999999", "-reason", "x"}, "-organisation is missing"},
		{[]string{"show", "x"}, "international form"},
		{[]string{"show"}, "RECIPIENT"},
		{[]string{"list", "-organisation", "nobody"}, `there are ["ttd"]`},
	} {
		if code, _, stderr := straks(t, "", append(append([]string{"block"}, c.args...), "-admin", w.Daemon.AdminAddr())...); code == exitDone || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit %d, %s", c.args, code, stderr)
		}
	}
}

// A provider has called existing addresses unknown. An operator sees that, and lifts all of them; other entries stay.
func TestLiftSuppressedAddresses(t *testing.T) {
	relay := relaytest.Sandbox()
	relay.Reports.Delay = 0
	w := daemontest.NewStopped(t, smsctest.Profile{}, relay, "")
	w.TakeReports("")
	w.Start()
	w.Relay.ReportTo("tcp", w.Daemon.MailAddr())
	admin := []string{"-admin", w.Daemon.AdminAddr()}
	send := func(key, to, want string) {
		t.Helper()
		p, err := w.Client.SendEmail(t.Context(), daemontest.Mail(key, to))
		if err != nil {
			t.Fatal(err)
		}
		w.Await(p.ShipmentID, want)
	}
	send("a", "nosuch+1@example.org", "Email_Failed_RecipientNotIdentified")
	send("b", "nosuch+2@Example.ORG", "Email_Failed_RecipientNotIdentified")
	send("c", "nosuch@another.example", "Email_Failed_RecipientNotIdentified")
	send("d", "nosuch+1@example.org", "Email_Failed_SuppressedRecipient")
	if code, _, stderr := straks(t, "", append([]string{"block", "add", "kari@example.org", "-organisation", "ttd", "-reason", "asked"}, admin...)...); code != exitDone {
		t.Fatal(stderr)
	}
	if _, out, _ := straks(t, "", append([]string{"trace", "nosuch+1@example.org"}, admin...)...); !strings.Contains(out, "Not sent: earlier mails to the address came back") ||
		!strings.Contains(out, "no_such_mailbox: failed 550 5.1.1") || !strings.Contains(out, "Not delivered, as a report says") || !strings.Contains(out, "last report") {
		t.Errorf("trace:\n%s", out)
	}
	_, out, _ := straks(t, "", append([]string{"block", "list"}, admin...)...)
	if strings.Count(out, "suppressed until ") != 3 || strings.Count(out, "bounce") != 3 || !strings.Contains(out, "5.1.1") {
		t.Errorf("list:\n%s", out)
	}
	code, out, stderr := straks(t, "", append([]string{"block", "lift", "@EXAMPLE.org", "-organisation", "ttd", "-reason", "the provider failed"}, admin...)...)
	if code != exitDone || !strings.Contains(out, "2 suppressed addresses of @example.org lifted") {
		t.Errorf("exit %d, %s%s", code, out, stderr)
	}
	send("e", "nosuch+1@example.org", "Email_Failed_RecipientNotIdentified") // sent, and returned once more
	send("f", "kari@example.org", "Email_Failed_RecipientReserved")
	send("g", "nosuch@another.example", "Email_Failed_SuppressedRecipient")
}
