package relaytest

import (
	"bytes"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"straks/internal/eventually"
)

// reporting returns a relay that reports to another, which remembers the reports.
func reporting(t *testing.T, to Profile) (relay, server *Relay) {
	t.Helper()
	relay, server = listen(t, Profile{DSN: true, Rules: StandardRules(), Reports: &Reports{Rules: StandardReports()}}), listen(t, to)
	return relay, server
}

// sendAsking sends a mail and asks for these reports (RFC 3461 §4.1).
func sendAsking(t *testing.T, c *gosmtp.Client, from, to string, notify ...gosmtp.DSNNotify) {
	t.Helper()
	if err := c.Mail(from, &gosmtp.MailOptions{EnvelopeID: "id-1"}); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt(to, &gosmtp.RcptOptions{Notify: notify}); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err == nil {
		_, err = w.Write([]byte("Message-ID: <id-1@bank.example>\r\nSubject: code\r\n\r\n483920\r\n"))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Each recipient's mails come back as the table says, in order, to the return path.
func TestStandardReports(t *testing.T) {
	relay, server := reporting(t, Profile{})
	relay.ReportTo("tcp", server.Addr())
	c, all := dial(t, relay), []gosmtp.DSNNotify{gosmtp.DSNNotifySuccess, gosmtp.DSNNotifyFailure, gosmtp.DSNNotifyDelayed}
	for _, rule := range append(StandardReports(), ReportRule{"anybody", []Report{Relayed}}) {
		before := len(server.Messages())
		sendAsking(t, c, "b@bounce.example", rule.Local+"+1@x.example", all...)
		got, err := server.WaitMessages(t.Context(), before+len(rule.Reports))
		if err != nil {
			t.Fatal(err)
		}
		for i, report := range rule.Reports {
			m := got[before+i]
			text := string(m.Data)
			if m.From != "" || m.To != "b@bounce.example" || strings.Contains(text, "483920") || !strings.Contains(text, "<id-1@bank.example>") {
				t.Errorf("%s: from %s to %s:\n%s", rule.Local, m.From, m.To, text)
			}
			if report.Kind == Delivery && (!strings.Contains(text, "\r\nAction: "+report.Action+"\r\nStatus: "+report.Status+"\r\n") || !strings.Contains(text, "\r\nOriginal-Envelope-Id: id-1\r\n")) {
				t.Errorf("%s: %s is not in\n%s", rule.Local, report.Action, text)
			}
		}
	}
}

// A relay reports what it was asked for; of the null sender's mails, nothing.
func TestReportsAreAskedFor(t *testing.T) {
	relay, server := reporting(t, Profile{})
	c := dial(t, relay)
	sendAsking(t, c, "", "nosuch@x.example")
	sendAsking(t, c, "a@x.example", "nosuch@x.example", gosmtp.DSNNotifyNever)
	sendAsking(t, c, "a@x.example", "nosuch@x.example", gosmtp.DSNNotifySuccess)
	sendAsking(t, c, "a@x.example", "relayed@x.example", gosmtp.DSNNotifyFailure)
	sendAsking(t, c, "a@x.example", "relayed@x.example")
	sendAsking(t, c, "last@x.example", "nosuch@x.example")
	if sent, _ := relay.Reported(); sent != 0 {
		t.Errorf("%d sent, to nobody", sent)
	}
	relay.ReportTo("tcp", server.Addr())
	eventually.True(t, "all reports to be sent", func() bool { _, waiting := relay.Reported(); return waiting == 0 })
	got := server.Messages()
	if len(got) != 1 || got[0].To != "last@x.example" {
		t.Errorf("got %+v", got)
	}
}

// A report that the server does not take now is sent again; one that it refuses is not. It may come over LMTP.
func TestReportsAreRepeated(t *testing.T) {
	relay := listen(t, Profile{DSN: true, Reports: &Reports{}})
	socket := filepath.Join(t.TempDir(), "lmtp")
	relay.ReportTo("unix", socket)
	c := dial(t, relay)
	for _, from := range []string{"refused@x.example", "a@x.example"} {
		sendAsking(t, c, from, "full@x.example", gosmtp.DSNNotifySuccess)
	}
	l, err := net.Listen("unix", socket) // not there at first
	if err != nil {
		t.Fatal(err)
	}
	box := &lmtpBox{busy: 2}
	s := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &boxSession{box: box}, nil }))
	s.LMTP = true
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	eventually.True(t, "both to be done", func() bool { _, waiting := relay.Reported(); return waiting == 0 })
	if sent, _ := relay.Reported(); sent != 1 || !slices.Equal(box.to(), []string{"a@x.example"}) {
		t.Errorf("%d sent, %v", sent, box.to())
	}
}

// A relay that closes gives up the reports that wait.
func TestCloseGivesReportsUp(t *testing.T) {
	relay := listen(t, Profile{DSN: true, Reports: &Reports{Delay: time.Hour}})
	sendAsking(t, dial(t, relay), "a@x.example", "b@x.example", gosmtp.DSNNotifySuccess)
	if _, waiting := relay.Reported(); waiting != 1 {
		t.Errorf("%d waiting", waiting)
	}
	relay.Close()
}

func TestReportIsCRLF(t *testing.T) {
	for _, kind := range []Kind{Delivery, AutoReply, Complaint} {
		text := (&Report{Kind: kind}).text(Message{From: "a@x.example", Data: []byte("Subject: x\r\n\r\ny\r\n")})
		if bytes.Contains(bytes.ReplaceAll(text, []byte("\r\n"), nil), []byte("\n")) {
			t.Errorf("a lone LF in %q", text)
		}
	}
}
