package mail

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/orders"
	"straks/smtp/relaytest"
	"straks/smtp/returnpath"
)

// dsnReport returns a report as Postfix writes it.
func dsnReport(action, status, diagnostic string, about uuid.UUID) string {
	return strings.ReplaceAll(fmt.Sprintf(`From: MAILER-DAEMON@relay.bank.example
Subject: Delivery Status Notification
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b

This is the mail system. Your code is 483920.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.bank.example
Original-Envelope-Id: %s

Final-Recipient: rfc822; kari@example.org
Action: %s
Status: %s
Diagnostic-Code: %s

--b
Content-Type: text/rfc822-headers

From: noreply@bank.example
Subject: Your code
Message-ID: <%s@bank.example>

--b--
`, about, action, status, diagnostic, about), "\n", "\r\n")
}

const unknownUser = "smtp; 550 5.1.1 <kari@example.org>: User unknown"

// vectors are the reports of real servers, and the status that each must lead to.
func vectors(t *testing.T) map[string]string {
	all := make(map[string]string)
	for _, dir := range []string{"../../dlr/dsn/testdata", "../../dlr/dsn/testdata/unverified"} {
		files, err := filepath.Glob(dir + "/*.eml")
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			mail, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(file)] = string(mail)
		}
	}
	if len(all) < 80 {
		t.Fatalf("%d vectors", len(all))
	}
	return all
}

// Each report of a real server leads to the status that it must, through the journal; and twice changes nothing.
func TestReportsOfRealServers(t *testing.T) {
	w := newWorld(t, relaytest.Profile{}, Config{})
	open := map[string]bool{"expanded": true, "delayed": true, "auto_reply": true, "complaint": true, "nothing": true}
	i := 0
	for name, mail := range vectors(t) {
		i++
		_, rest, _ := strings.Cut(mail, "status=")
		want := strings.Fields(rest)[0]
		switch {
		case open[want]:
			want = orders.EmailSucceeded.String()
		case want == "relayed":
			want = orders.EmailDelivered.String()
		}
		s := w.send(name, fmt.Sprintf("person%d@example.org", i))
		w.report(s.ID, mail)
		feed := len(w.feed(s.ID))
		w.report(s.ID, mail)
		if got := w.status(s.ID).String(); got != want || len(w.feed(s.ID)) != feed {
			t.Errorf("%s: %s, want %s; %d entries in the feed, then %d", name, got, want, feed, len(w.feed(s.ID)))
		}
	}
	for _, leaked := range []string{"483920", "person1@", "nosuch@", "User unknown in"} {
		if strings.Contains(w.log.String(), leaked) {
			t.Errorf("the log has %q", leaked)
		}
	}
}

// A token counts before every other id in the report. Without one, the envelope id counts before the Message-ID.
// The recipient never does.
func TestWhichMailAReportIsAbout(t *testing.T) {
	w := newWorld(t, relaytest.Profile{}, Config{})
	a, b := w.send("a", "kari@example.org"), w.send("b", "kari@example.org")
	w.report(a.ID, dsnReport("failed", "5.2.2", "smtp; 552 5.2.2 Mailbox full", b.ID))
	w.wantStatus(a.ID, orders.EmailFailedBounced)
	w.wantStatus(b.ID, orders.EmailSucceeded)

	// A token of a mail that is gone proves nothing about another one.
	w.report(uuid.Must(uuid.NewV7()), dsnReport("failed", "5.2.2", "smtp; 552 5.2.2 Mailbox full", b.ID))
	w.wantStatus(b.ID, orders.EmailSucceeded)

	both := dsnReport("failed", "5.2.2", "smtp; 552 5.2.2 Mailbox full", b.ID)
	c := w.send("c", "kari@example.org")
	w.report(uuid.Nil, strings.Replace(both, "Original-Envelope-Id: "+b.ID.String(), "Original-Envelope-Id: "+c.ID.String(), 1))
	w.wantStatus(c.ID, orders.EmailFailedBounced)
	w.wantStatus(b.ID, orders.EmailSucceeded)
	unknown := uuid.Must(uuid.NewV7()).String()
	w.report(uuid.Nil, strings.Replace(both, "Original-Envelope-Id: "+b.ID.String(), "Original-Envelope-Id: "+unknown, 1))
	w.wantStatus(b.ID, orders.EmailFailedBounced)

	d := w.send("d", "kari@example.org")
	w.report(uuid.Nil, dsnReport("failed", "5.1.1", unknownUser, uuid.Nil)) // its recipient is d's
	w.wantStatus(d.ID, orders.EmailSucceeded)
	for label, want := range map[[2]string]float64{
		{"bounced", "return_path"}: 2, {"bounced", "envelope_id"}: 2, {"no_such_mailbox", "none"}: 1,
	} {
		if got := testutil.ToFloat64(w.channel.metrics.reports.WithLabelValues(label[0], label[1])); got != want {
			t.Errorf("%v: %v mails counted, want %v", label, got, want)
		}
	}
}

// What suppresses an address: that it does not exist, in a report with a token. Then no mail leaves.
func TestWhatSuppressesAnAddress(t *testing.T) {
	w := newWorld(t, relaytest.Profile{}, Config{})
	complaint, err := os.ReadFile("../../dlr/dsn/testdata/unverified/arf-abuse.eml")
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		status, diagnostic string
		token              bool
		want               orders.Status // of the next mail to the address
	}{
		{"5.1.1", unknownUser, true, orders.EmailFailedSuppressedRecipient},
		{"5.1.2", "smtp; 550 5.1.2 Host unknown", true, orders.EmailFailedSuppressedRecipient},
		{"5.1.10", "smtp; 550 5.1.10 RESOLVER.ADR.RecipientNotFound", true, orders.EmailFailedSuppressedRecipient},
		{"5.2.1", "smtp; 550 5.2.1 The account is disabled", true, orders.EmailFailedSuppressedRecipient},
		{"5.1.1", "X-Postfix; unknown user: \"kari\"", true, orders.EmailFailedSuppressedRecipient},
		{"5.1.1", "smtp; 550 No such user here", true, orders.EmailFailedSuppressedRecipient},
		{"complaint", "", true, orders.EmailFailedSuppressedRecipient},

		{"complaint", "", false, orders.EmailSucceeded},
		{"5.1.1", unknownUser, false, orders.EmailSucceeded},
		{"5.1.1", "smtp; 550 Mailbox is full", true, orders.EmailSucceeded},   // as sendmail writes it
		{"5.1.1", "smtp; 550 5.7.1 Go away", true, orders.EmailSucceeded},     // of one who makes the code up
		{"5.0.0", "smtp; 550 No such user here", true, orders.EmailSucceeded}, // no code says so
		{"5.2.2", "smtp; 552 5.2.2 Mailbox full", true, orders.EmailSucceeded},
		{"5.7.1", "smtp; 550 5.7.1 User unknown or blocked", true, orders.EmailSucceeded},
		{"5.1.3", "smtp; 553 5.1.3 Bad address syntax", true, orders.EmailSucceeded},
		{"4.1.1", "smtp; 450 4.1.1 User unknown", true, orders.EmailSucceeded},
	} {
		to := fmt.Sprintf("person%d@example.org", i)
		s := w.send(fmt.Sprint("a", i), to)
		mail := dsnReport("failed", c.status, c.diagnostic, s.ID)
		if c.status == "complaint" {
			mail = string(complaint)
		}
		token := s.ID
		if !c.token {
			token = uuid.Nil
		}
		w.report(token, mail)
		before := len(w.relay.Messages())
		next := w.send(fmt.Sprint("b", i), to)
		if sent := len(w.relay.Messages()) - before; next.Status != c.want || sent == 1 != (c.want == orders.EmailSucceeded) {
			t.Errorf("after %s, %s: %v, %d mails sent; want %v", c.status, c.diagnostic, next.Status, sent, c.want)
		}
	}
	if strings.Contains(w.log.String(), "person1@") {
		t.Error("an address is in the log")
	}
}

// What is no report changes nothing, and is taken: its sender must not send it again.
func TestWhatIsNoReport(t *testing.T) {
	w := newWorld(t, relaytest.Profile{}, Config{})
	s := w.send("k", "kari@example.org")
	for _, mail := range []string{"", "\r\n", "no mail", "Subject: Re: Your code\r\n\r\nDid you mean 483920?\r\n",
		"Subject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nI'm away.\r\n",
		strings.Repeat("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", 500), string(make([]byte, 1<<20)),
		dsnReport("invented", "", "", s.ID),
	} {
		w.report(s.ID, mail)
		w.wantStatus(s.ID, orders.EmailSucceeded)
	}
	if feed := w.feed(s.ID); len(feed) != 1 {
		t.Errorf("feed %v", feed)
	}
}

// The reports about a mail, each several times and in any order, at the same moment: the end is the same, and the
// feed has each change once.
func TestReportsInAnyOrder(t *testing.T) {
	w := newWorld(t, relaytest.Profile{}, Config{})
	delayed := func(id uuid.UUID) string { return dsnReport("delayed", "4.4.1", "smtp; 450 4.4.1 later", id) }
	relayed := func(id uuid.UUID) string { return dsnReport("relayed", "2.0.0", "smtp; 250 ok", id) }
	failed := func(id uuid.UUID) string { return dsnReport("failed", "5.1.1", unknownUser, id) }
	for i := range 30 {
		s := w.send(fmt.Sprint(i), fmt.Sprintf("person%d@example.org", i))
		var all []string
		for _, report := range []string{delayed(s.ID), relayed(s.ID), failed(s.ID)} {
			for range 1 + rand.IntN(3) {
				all = append(all, report)
			}
		}
		rand.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
		var reports sync.WaitGroup
		for _, mail := range all {
			reports.Go(func() { w.report(s.ID, mail) })
		}
		reports.Wait()
		feed := w.feed(s.ID)
		direct := slices.Equal(feed, []orders.Status{orders.EmailSucceeded, orders.EmailFailedRecipientNotIdentified})
		corrected := slices.Equal(feed, []orders.Status{orders.EmailSucceeded, orders.EmailDelivered, orders.EmailFailedRecipientNotIdentified})
		if !direct && !corrected {
			t.Errorf("feed %v", feed)
		}
	}
}

// A report is taken when it is stored, and not before: while it can't be, its sender must send it again.
func TestReportThatIsNotStored(t *testing.T) {
	w := newWorld(t, relaytest.Profile{}, Config{})
	s := w.send("k", "kari@example.org")
	mail := []byte(dsnReport("delivered", "2.0.0", "smtp; 250 ok", s.ID))
	if err := New(Config{}, w.channel.pool, w.channel.log, nil).Report(t.Context(), Report{Shipment: s.ID, Mail: mail}); err == nil {
		t.Error("taken before there is a journal")
	}
	w.journal.Close()
	if err := w.channel.Report(t.Context(), Report{Shipment: s.ID, Mail: mail}); err == nil {
		t.Error("taken without a journal")
	}
}

// What silence means: by what the relay offers, or by its settings.
func TestWaitForReports(t *testing.T) {
	addressed := ReturnPaths{Address: "bounces@bank.example", ComeBack: true}
	for i, c := range []struct {
		profile    relaytest.Profile
		cfg        Config
		unreported bool
		wait       time.Duration
	}{
		{relaytest.Profile{DSN: true}, Config{Paths: addressed}, false, LongestWait},
		{relaytest.Profile{}, Config{Paths: addressed}, true, LongestWait},
		{relaytest.Profile{DSN: true}, Config{}, true, LongestWait}, // they don't come back
		{relaytest.Profile{DSN: true}, Config{Paths: addressed, Waits: map[string]Wait{"mx": {time.Hour, Succeeded}}}, true, time.Hour},
		{relaytest.Profile{}, Config{Waits: map[string]Wait{"mx": {ShortestWait, FailedTTL}}}, false, ShortestWait},
		{relaytest.Profile{}, Config{Waits: map[string]Wait{"another": {time.Hour, FailedTTL}}}, true, LongestWait},
	} {
		w := newWorld(t, c.profile, c.cfg)
		s := w.send("k", "kari@example.org")
		if s.Unreported != c.unreported || s.Deadline.Sub(s.Accepted) != c.wait {
			t.Errorf("case %d: unreported %v, wait %v; want %v, %v", i, s.Unreported, s.Deadline.Sub(s.Accepted), c.unreported, c.wait)
		}
	}
}

// A complaint comes to an address without a token, and has that of its mail in a field: the token of the field
// counts, and not the ids.
func TestComplaintNamesTheReturnPath(t *testing.T) {
	keys, err := returnpath.NewKeys(returnpath.Key{ID: 1, Secret: make([]byte, returnpath.MinSecret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	complaint, err := os.ReadFile("../../dlr/dsn/testdata/unverified/arf-abuse.eml")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, relaytest.Profile{}, Config{Paths: ReturnPaths{Domain: "bounce.bank.example", Keys: keys, ComeBack: true}})
	for i, c := range []struct {
		from func(orders.Shipment) string
		want orders.Status
	}{
		{func(s orders.Shipment) string { return keys.Address(s.ID, "BOUNCE.bank.example") }, orders.EmailFailedSuppressedRecipient},
		{func(s orders.Shipment) string { return keys.Address(s.ID, "another.example") }, orders.EmailSucceeded},
		{func(s orders.Shipment) string { return "b+" + strings.Repeat("a", 44) + "@bounce.bank.example" }, orders.EmailSucceeded},
	} {
		to := fmt.Sprintf("person%d@example.org", i)
		s := w.send(fmt.Sprint("a", i), to)
		w.report(uuid.Nil, strings.Replace(string(complaint), "b+token@bounces.bank.example", c.from(s), 1))
		if next := w.send(fmt.Sprint("b", i), to); next.Status != c.want {
			t.Errorf("case %d: %v, want %v", i, next.Status, c.want)
		}
	}
}
