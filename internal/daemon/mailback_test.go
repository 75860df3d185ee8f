package daemon_test

import (
	netsmtp "net/smtp"
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/inbound"
	"straks/smtp/relaytest"
)

// mailWorld is a daemon that takes reports, whose relay offers DSN.
func mailWorld(t *testing.T, lines string) *daemontest.World {
	t.Helper()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{DSN: true}, "")
	w.TakeReports(lines)
	w.Start()
	return w
}

// ordered places an order of an e-mail, and returns its shipment and what the relay got.
func ordered(t *testing.T, w *daemontest.World, key string) (string, relaytest.Message) {
	t.Helper()
	before := len(w.Relay.Messages())
	p, err := w.Client.SendEmail(t.Context(), daemontest.Mail(key, key+"@example.org"))
	if err != nil {
		t.Fatal(err)
	}
	got := w.Relay.Messages()
	if len(got) != before+1 {
		t.Fatalf("the relay got %d mails", len(got)-before)
	}
	return p.ShipmentID, got[before]
}

// The envelope sender is ours, and reports are asked for where they come back.
func TestEnvelope(t *testing.T) {
	w := mailWorld(t, "")
	id, m := ordered(t, w, "k")
	if !strings.HasPrefix(m.From, "b+") || !strings.HasSuffix(m.From, "@"+daemontest.BounceDomain) || m.EnvelopeID != id || len(m.Notify) != 3 {
		t.Errorf("from %s, id %s, notify %v", m.From, m.EnvelopeID, m.Notify)
	}
	if strings.Contains(string(m.Data), m.From) {
		t.Error("the return path is in the mail")
	}
}

// Without a return path a mail has the null sender, and asks for nothing.
func TestNullSender(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{DSN: true}, "")
	w.Start()
	if _, m := ordered(t, w, "k"); m.From != "" || m.EnvelopeID != "" || len(m.Notify) != 0 {
		t.Errorf("from %s, id %s, notify %v", m.From, m.EnvelopeID, m.Notify)
	}
}

// A mail to the postmaster reaches the operator, once, and does not go round.
func TestPostmasterIsForwarded(t *testing.T) {
	w := mailWorld(t, "postmaster = \"ops@example.net\"")
	post := func(mail string) error {
		return netsmtp.SendMail(w.Daemon.MailAddr(), nil, "kari@example.com", []string{"abuse@" + daemontest.BounceDomain}, []byte(mail))
	}
	if err := post("Subject: spam\r\n\r\nYou send spam.\r\n"); err != nil {
		t.Fatal(err)
	}
	got := w.Relay.Messages()
	if len(got) != 1 || got[0].To != "ops@example.net" || got[0].From != "" {
		t.Fatalf("got %+v", got)
	}
	text := string(got[0].Data)
	for _, want := range []string{"Subject: Mail to abuse@" + daemontest.BounceDomain, "message/rfc822", "\r\n\r\nSubject: spam\r\n\r\nYou send spam.\r\n", "<kari@example.com>"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if err := post(text); err == nil || !strings.Contains(err.Error(), "loop") {
		t.Errorf("the forwarded mail came back: %v", err)
	}
	if err := post("Subject: not ascii\r\n\r\næøå\r\n"); err != nil {
		t.Fatal(err)
	}
	if text := string(w.Relay.Messages()[1].Data); !strings.Contains(text, "base64") {
		t.Errorf("got\n%s", text)
	}
}

// report is a report as Postfix writes it, reduced to what counts.
func report(action, status string) string {
	return "Subject: report\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n" +
		"--b\r\n\r\nFor people.\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.org\r\n\r\n" +
		"Final-Recipient: rfc822; kari@example.org\r\nAction: " + action + "\r\nStatus: " + status + "\r\n\r\n--b--\r\n"
}

// An order goes out, and what a server reports comes back and settles it: over SMTP, LMTP and a relay that is slow.
func TestOrderOutReportBack(t *testing.T) {
	w := mailWorld(t, "")
	send := func(to, text string) error {
		return netsmtp.SendMail(w.Daemon.MailAddr(), nil, "", []string{to}, []byte(text))
	}
	for key, test := range map[string]struct{ action, status, want string }{
		"relayed": {"relayed", "2.0.0", "Email_Delivered"},
		"unknown": {"failed", "5.1.1", "Email_Failed_RecipientNotIdentified"},
		"expired": {"failed", "4.4.1", "Email_Failed_TransientError"},
	} {
		id, m := ordered(t, w, key)
		if err := send(m.From, report(test.action, test.status)); err != nil {
			t.Fatal(err)
		}
		w.Await(id, test.want)
	}
	id, m := ordered(t, w, "lmtp")
	if err := inbound.Submit(t.Context(), w.LMTPSocket(), "", []string{m.From}, []byte(report("delivered", "2.0.0"))); err != nil {
		t.Fatal(err)
	}
	w.Await(id, "Email_Delivered")
	_, other := ordered(t, w, "forged")
	forged := []byte(other.From)
	forged[10] ^= 1
	if err := send(string(forged), report("failed", "5.1.1")); err == nil {
		t.Error("a forged token was taken")
	}
}

// A daemon that ends lets a report arrive that has begun, and a restarted one takes reports about mails from before.
func TestReportAfterRestart(t *testing.T) {
	w := mailWorld(t, "")
	id, m := ordered(t, w, "k")
	w.Stop()
	w.Start()
	if err := netsmtp.SendMail(w.Daemon.MailAddr(), nil, "", []string{m.From}, []byte(report("failed", "5.1.1"))); err != nil {
		t.Fatal(err)
	}
	w.Await(id, "Email_Failed_RecipientNotIdentified")
}
