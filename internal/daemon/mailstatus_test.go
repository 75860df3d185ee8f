package daemon_test

import (
	"net/http"
	netsmtp "net/smtp"
	"os"
	"strings"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/orders"
	"straks/orders/bolt"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// reportingWorld is a daemon whose relay reports what becomes of mails, once it is told where to.
func reportingWorld(t *testing.T, relay relaytest.Profile) *daemontest.World {
	t.Helper()
	relay.Rules, relay.Reports = relaytest.StandardRules(), &relaytest.Reports{Rules: relaytest.StandardReports()}
	w := daemontest.NewStopped(t, smsctest.Profile{}, relay, "")
	w.TakeReports("")
	return w
}

// mail places an order of an e-mail, and returns the shipment.
func mail(t *testing.T, w *daemontest.World, key, to string) string {
	t.Helper()
	p, err := w.Client.SendEmail(t.Context(), daemontest.Mail(key, to))
	if err != nil {
		t.Fatalf("to %s: %v", to, err)
	}
	return p.ShipmentID
}

// allReported waits until the relay has sent all reports that wait.
func allReported(t *testing.T, w *daemontest.World) {
	t.Helper()
	eventually.True(t, "all reports to be taken", func() bool { _, waiting := w.Relay.Reported(); return waiting == 0 })
}

// Each row of the contract's table of e-mail statuses, over the whole way: an order, a relay that queues it, and what
// comes back over SMTP.
func TestMailStatuses(t *testing.T) {
	w := reportingWorld(t, relaytest.Profile{DSN: true})
	log := w.KeepLog()
	w.Start()
	cases := []struct {
		to   string
		feed string // all changes
	}{
		{"anybody", "Email_Succeeded Email_Delivered"},
		{"delivered", "Email_Succeeded Email_Delivered"},
		{"relayed", "Email_Succeeded Email_Delivered"},
		{"nosuch", "Email_Succeeded Email_Failed_RecipientNotIdentified"},
		{"full", "Email_Succeeded Email_Failed_Bounced"},
		{"spam", "Email_Succeeded Email_Failed_FilteredSpam"},
		{"quarantined", "Email_Succeeded Email_Failed_Quarantined"},
		{"later", "Email_Succeeded Email_Failed_TransientError"},
		{"returned", "Email_Succeeded Email_Delivered Email_Failed_RecipientNotIdentified"},
		{"autoreply", "Email_Succeeded Email_Delivered"},
		{"complaint", "Email_Succeeded Email_Delivered"},
		{"expanded", "Email_Succeeded"},
		{"silent", "Email_Succeeded"},
		{"lost", "Email_Delivered"}, // the relay took it and gave no answer
		{"badsyntax", "Email_Failed_InvalidFormat"},
		{"filtered", "Email_Failed_FilteredSpam"},
	}
	ids := map[string]string{}
	for _, c := range cases {
		ids[c.to] = mail(t, w, c.to, c.to+"@example.org")
		if c.to == "lost" && w.Status(ids[c.to]) != "Email_Sending" {
			t.Errorf("without an answer: %s", w.Status(ids[c.to]))
		}
	}
	w.Relay.ReportTo("tcp", w.Daemon.MailAddr())
	allReported(t, w)
	for _, c := range cases {
		if got := w.Statuses(ids[c.to]); got != c.feed {
			t.Errorf("%s: the feed has %q, want %q", c.to, got, c.feed)
		}
	}

	// An address that does not exist, or calls mails spam, gets no more.
	for _, to := range []string{"nosuch", "complaint", "returned"} {
		before := w.Relay.Taken()
		id := mail(t, w, to+" again", strings.ToUpper(to)+"@Example.org")
		if got := w.Statuses(id); got != "Email_Failed_SuppressedRecipient" || w.Relay.Taken() != before {
			t.Errorf("%s: %q, %d mails sent", to, got, w.Relay.Taken()-before)
		}
	}
	if _, text := w.Admin("/blocks?recipient=nosuch@example.org"); !strings.Contains(text, `"source":"bounce","word":"5.1.1","reason":"shipment `+ids["nosuch"]) {
		t.Errorf("the block list: %s", text)
	}
	if _, text := w.Admin("/metrics"); !strings.Contains(text, `straks_mail_reports_total{key="return_path",verdict="relayed"} 6`) ||
		!strings.Contains(text, `straks_suppressions_total{event="bounce"} 2`) || !strings.Contains(text, `straks_suppressions_total{event="complaint"} 1`) ||
		!strings.Contains(text, `straks_orders_total{channel="Email",organisation="ttd",outcome="suppressed"} 3`) {
		t.Error("the metrics lack what came back")
	}

	// Those that are open end by their deadline: the one as taken, since no report comes after "expanded".
	expire(t, w)
	w.Start()
	for to, want := range map[string]string{"expanded": "Email_Succeeded", "silent": "Email_Failed_TTL"} {
		s, err := w.Client.Shipment(t.Context(), ids[to])
		if err != nil || s.Status != "Order_Completed" || s.Recipients[0].Status != want {
			t.Errorf("%s: %+v, %v", to, s, err)
		}
	}
	final := map[string]int{}
	feed, err := w.Client.Feed(t.Context(), client.FeedQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range feed {
		final[e.ShipmentID]++
	}
	for _, c := range cases {
		if n := final[ids[c.to]]; n != 1 && !(n == 2 && c.to == "returned") {
			t.Errorf("%s: %d final entries", c.to, n)
		}
	}
	for _, leaked := range []string{"123456", "nosuch@", "delivered@"} {
		if strings.Contains(log.String(), leaked) {
			t.Errorf("the log has %q", leaked)
		}
	}
}

// expire stops the daemon, and keeps the deadlines of all mails as two days later.
func expire(t *testing.T, w *daemontest.World) {
	t.Helper()
	w.Stop()
	j, err := bolt.Open(w.JournalFile(), bolt.Options{StallAfter: time.Hour, Log: w.Log})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	later := time.Now().UTC().Add(49 * time.Hour)
	due, _, err := j.Due(t.Context(), later, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range due {
		if _, err := j.Apply(t.Context(), []orders.Event{orders.Expiry{Shipment: id, At: later}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// Reports wait at the relay while the daemon is away, and count when it is back: also those of a key that has
// been replaced, and of a mail that has ended by its deadline.
func TestReportsAfterARestart(t *testing.T) {
	w := reportingWorld(t, relaytest.Profile{DSN: true})
	w.Start()
	ok, bad := mail(t, w, "ok", "relayed@example.org"), mail(t, w, "bad", "full@example.org")
	expire(t, w)
	w.Relay.ReportTo("unix", w.LMTPSocket())
	w.Start()
	allReported(t, w)
	w.Await(ok, "Email_Delivered")
	if got := w.Statuses(ok); got != "Email_Succeeded Email_Failed_TTL Email_Delivered" {
		t.Errorf("a late report: %q", got)
	}
	if got := w.Statuses(bad); got != "Email_Succeeded Email_Failed_TTL" {
		t.Errorf("a late failure: %q", got)
	}
}

// A relay without DSN reports failures only. So a mail of which nothing is heard ends as taken.
func TestMailWithoutReports(t *testing.T) {
	w := reportingWorld(t, relaytest.Profile{})
	w.Start()
	w.Relay.ReportTo("tcp", w.Daemon.MailAddr())
	quiet, bad := mail(t, w, "quiet", "anybody@example.org"), mail(t, w, "bad", "full@example.org")
	w.Await(bad, "Email_Failed_Bounced")
	allReported(t, w)
	expire(t, w)
	w.Start()
	s, err := w.Client.Shipment(t.Context(), quiet)
	if err != nil || s.Status != "Order_Completed" || w.Statuses(quiet) != "Email_Succeeded Email_Succeeded" {
		t.Errorf("%+v, %v; feed %q", s, err, w.Statuses(quiet))
	}
}

// A direct refusal suppresses nobody: nothing has left, and a relay that is set up wrongly may refuse everybody.
func TestRefusalSuppressesNobody(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{Rules: relaytest.StandardRules()}, "")
	w.TakeReports("")
	w.Start()
	for _, key := range []string{"a", "b"} {
		if got := w.Statuses(mail(t, w, key, "nosuch@example.org")); got != "Email_Failed_RecipientNotIdentified" {
			t.Errorf("%s: %q", key, got)
		}
	}
	if code, text := w.Admin("/blocks"); code != http.StatusOK || strings.Contains(text, "nosuch") {
		t.Errorf("blocked: %s", text)
	}
}

// A provider sends complaints to abuse@. One that names the return path of its mail suppresses the address; the operator
// gets each.
func TestComplaintToAbuse(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.TakeReports("postmaster = \"ops@example.net\"")
	w.Start()
	vector, err := os.ReadFile("../../dlr/dsn/testdata/unverified/arf-abuse.eml")
	if err != nil {
		t.Fatal(err)
	}
	mail(t, w, "a", "kari@example.org")
	for _, c := range []struct{ from, want string }{
		{"b+token@" + daemontest.BounceDomain, "Email_Succeeded"},
		{w.Relay.Messages()[0].From, "Email_Failed_SuppressedRecipient"},
	} {
		complaint := strings.ReplaceAll(strings.Replace(string(vector), "b+token@bounces.bank.example", c.from, 1), "\n", "\r\n")
		if err := netsmtp.SendMail(w.Daemon.MailAddr(), nil, "feedback@provider.example", []string{"abuse@" + daemontest.BounceDomain}, []byte(complaint)); err != nil {
			t.Fatal(err)
		}
		messages := w.Relay.Messages()
		if got := messages[len(messages)-1]; got.To != "ops@example.net" {
			t.Errorf("the last mail went to %s", got.To)
		}
		if got := w.Status(mail(t, w, c.want, "kari@example.org")); got != c.want {
			t.Errorf("after a complaint about %s: %s, want %s", c.from, got, c.want)
		}
	}
}
