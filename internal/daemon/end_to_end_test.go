package daemon_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
	"straks/smtp/relaytest"
)

func TestSMSFromOrderToFeed(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	p := w.Send("k", "+4799999999")
	if !p.Created || p.SendersReference != "ref-k" {
		t.Errorf("%+v", p)
	}
	w.Await(p.ShipmentID, "SMS_Delivered")
	if got := w.Statuses(p.ShipmentID); got != "SMS_Accepted SMS_Delivered" {
		t.Errorf("feed: %s", got)
	}
	submits := w.SMSC.Submits()
	if len(submits) != 1 || submits[0].Text() != "Your code is 123456" || submits[0].Dest != "4799999999" {
		t.Errorf("the SMSC got %+v", submits)
	}
	again := w.Send("k", "+4799999999")
	if again.Created || again.ShipmentID != p.ShipmentID || again.OrderID != p.OrderID || len(w.SMSC.Submits()) != 1 {
		t.Errorf("repeat: %+v", again)
	}
}

func TestEmailFromOrderToFeed(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	p, err := w.Client.SendEmail(t.Context(), daemontest.Mail("k", "kari@example.org"))
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Statuses(p.ShipmentID); got != "Email_Succeeded" {
		t.Errorf("feed: %s", got)
	}
	if n := len(w.Relay.Messages()); n != 1 {
		t.Errorf("the relay got %d mails", n)
	}
}

func TestTwentyFourAtOnce(t *testing.T) {
	profile := smsctest.Profile{}
	profile.Delay = 20 * time.Millisecond
	w := daemontest.New(t, profile, "")
	var wg sync.WaitGroup
	placed := make([]client.Placed, 24)
	for i := range placed {
		wg.Go(func() {
			var err error
			if placed[i], err = w.Client.SendSMS(t.Context(), daemontest.SMS("k", "+4799999999")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	created := 0
	for _, p := range placed {
		if p.Created {
			created++
		}
		if p.ShipmentID != placed[0].ShipmentID || p.OrderID != placed[0].OrderID {
			t.Errorf("ids differ: %+v", p)
		}
	}
	if n := len(w.SMSC.Submits()); created != 1 || n != 1 {
		t.Errorf("%d were 201, %d submits", created, n)
	}
}

func TestSMSCDown(t *testing.T) {
	t.Parallel()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.ShortenDeadline()
	w.Start()
	w.SMSC.Down()
	eventually.True(t, "the loss of the bind", func() bool { return w.Daemon.Ready() != nil })
	if code, _ := w.Admin("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("readyz says %d", code)
	}
	problem := w.Refused("k", "+4799999999")
	if problem.Status != 503 || problem.Code != "NOT-00004" || problem.RetryAfter == 0 {
		t.Errorf("%+v", problem)
	}
	if feed := w.Feed(); len(feed) != 0 {
		t.Errorf("the feed has an order that was not sent: %+v", feed)
	}
	if err := w.SMSC.Up(); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the bind", func() bool { return w.Daemon.Ready() == nil })
	p := w.Send("k", "+4799999999")
	w.Await(p.ShipmentID, "SMS_Delivered")
	if again := w.Send("k", "+4799999999"); again.Created || again.ShipmentID != p.ShipmentID || len(w.SMSC.Submits()) != 1 {
		t.Errorf("%+v, %d submits", again, len(w.SMSC.Submits()))
	}
}

// A retry of an order that was not sent succeeds under the same key.
func TestRetryKeepsTheShipment(t *testing.T) {
	t.Parallel()
	profile := smsctest.Profile{}
	profile.Throttle = 1
	w := daemontest.NewStopped(t, profile, relaytest.Profile{}, "")
	w.ShortenDeadline()
	w.Start()
	if p := w.Refused("k", "+4799999999"); p.Status != 503 || p.Code != "NOT-00004" {
		t.Fatalf("%+v", p)
	}
	tried := w.SMSC.Stats().Throttled
	if tried == 0 {
		t.Fatal("nothing was throttled")
	}
	profile.Throttle = 0
	w.SMSC.SetProfile(profile)
	p := w.Send("k", "+4799999999")
	if !p.Created || w.SMSC.Stats().Taken != 1 {
		t.Errorf("%+v, %d taken", p, w.SMSC.Stats().Taken)
	}
}

// The SMSC accepts the message and dies before it answers. The outcome is unknown, so it
// is never sent again. Its receipt settles it, by the user reference that it echoes.
func TestSMSCDiesBeforeItsAnswer(t *testing.T) {
	t.Parallel()
	profile := smsctest.Profile{}
	profile.Close = 1
	profile.Receipt = smsctest.Receipt{EchoReference: true, Delay: 300 * time.Millisecond}
	w := daemontest.New(t, profile, "")
	p := w.Send("k", "+4799999999")
	if !p.Created {
		t.Errorf("%+v", p)
	}
	if got := w.Status(p.ShipmentID); got != "SMS_Sending" && got != "SMS_Delivered" {
		t.Errorf("status %s", got)
	}
	if again := w.Send("k", "+4799999999"); again.Created {
		t.Errorf("%+v", again)
	}
	w.Await(p.ShipmentID, "SMS_Delivered")
	if n := len(w.SMSC.Submits()); n != 1 {
		t.Errorf("%d submits", n)
	}
}

func TestUnknownSurvivesARestart(t *testing.T) {
	t.Parallel()
	profile := smsctest.Profile{}
	profile.Lose = 1
	profile.Receipt.Missing = 1
	w := daemontest.NewStopped(t, profile, relaytest.Profile{}, "[sms]\ndrain_time = \"300ms\"")
	w.ShortenDeadline()
	w.Start()
	p := w.Send("k", "+4799999999")
	w.Stop()
	w.Start()
	if got := w.Status(p.ShipmentID); got != "SMS_Sending" {
		t.Errorf("status %s after a restart", got)
	}
	if again := w.Send("k", "+4799999999"); again.Created || again.ShipmentID != p.ShipmentID || len(w.SMSC.Submits()) != 1 {
		t.Errorf("%+v, %d submits", again, len(w.SMSC.Submits()))
	}
}

func TestRefusedAtSubmit(t *testing.T) {
	profile := smsctest.Profile{}
	profile.On("1", func(b *smsctest.Behaviour) { b.Status = wire.ESMEInvDstAdr })
	profile.On("2", func(b *smsctest.Behaviour) { b.Status = wire.ESMESubmitFail })
	w := daemontest.New(t, profile, "")
	for number, want := range map[string]string{"+4799999991": "SMS_Failed_InvalidRecipient", "+4799999992": "SMS_Failed_Rejected"} {
		p := w.Send(number, number)
		if got := w.Status(p.ShipmentID); !p.Created || got != want {
			t.Errorf("%s: %s, want %s", number, got, want)
		}
	}
}

func TestReceiptsOfEveryKind(t *testing.T) {
	profile := smsctest.Profile{}
	kinds := map[string]string{"UNDELIV": "SMS_Failed_Undelivered", "EXPIRED": "SMS_Failed_Expired", "REJECTD": "SMS_Failed_Rejected",
		"DELETED": "SMS_Failed_Deleted", "UNKNOWN": "SMS_Failed", "DELIVRD": "SMS_Delivered"}
	want := map[string]string{}
	for state, status := range kinds {
		suffix := string(rune('1' + len(want)))
		profile.On(suffix, func(b *smsctest.Behaviour) {
			b.Receipt = smsctest.Receipt{State: state, Early: len(want)%2 == 0, Duplicate: 1, Intermediate: "ACCEPTD"}
		})
		want["+479999999"+suffix] = status
	}
	w := daemontest.New(t, profile, "")
	for number, status := range want {
		p := w.Send(number, number)
		w.Await(p.ShipmentID, status)
	}
}

func TestLongMessage(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	long := daemontest.SMS("k", "+4799999999")
	for range 20 {
		long.Recipient.Settings.Body += " Blåbærsyltetøy €"
	}
	p, err := w.Client.SendSMS(t.Context(), long)
	if err != nil {
		t.Fatal(err)
	}
	w.Await(p.ShipmentID, "SMS_Delivered")
	if n := len(w.SMSC.Submits()); n != 3 {
		t.Errorf("%d parts", n)
	}
	for range 200 {
		long.Recipient.Settings.Body += " Blåbærsyltetøy €"
	}
	long.IdempotencyID = "k2"
	if _, err := w.Client.SendSMS(t.Context(), long); err == nil {
		t.Error("a message of too many parts was taken")
	}
}

func TestStopWordBlocks(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	if err := w.SMSC.SendMO("4799999999", "2077", " stopp "); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the acknowledgement", func() bool { return w.SMSC.Stats().Acked == 1 })
	p := w.Send("k", "+4799999999")
	if got := w.Status(p.ShipmentID); got != "SMS_Failed_RecipientReserved" || len(w.SMSC.Submits()) != 0 {
		t.Errorf("%s, %d submits", got, len(w.SMSC.Submits()))
	}
	if err := w.SMSC.SendMO("4799999999", "2077", "START"); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the acknowledgement", func() bool { return w.SMSC.Stats().Acked == 2 })
	p = w.Send("k2", "+4799999999")
	w.Await(p.ShipmentID, "SMS_Delivered")
}

// A relay without SMTPUTF8 gets the domain as an A-label. A local part with Norwegian
// letters has no such form: that mail can never be sent.
func TestNorwegianAddresses(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	for address, want := range map[string]string{"kari@blåbær.no": "Email_Succeeded", "gørild@blåbær.no": "Email_Failed_InvalidFormat"} {
		p, err := w.Client.SendEmail(t.Context(), daemontest.Mail(address, address))
		if err != nil || !p.Created {
			t.Errorf("%s: %+v, %v", address, p, err)
			continue
		}
		s, err := w.Client.Shipment(t.Context(), p.ShipmentID)
		if err != nil || s.Recipients[0].Status != want || s.Recipients[0].Destination != address {
			t.Errorf("%s: %+v, %v; want %s", address, s, err, want)
		}
	}
	if m := w.Relay.Messages(); len(m) != 1 || m[0].To != "kari@xn--blbr-roah.no" {
		t.Errorf("the relay has %+v", m)
	}
}

// A relay replies after the send deadline: until then the outcome is unknown.
func TestLateAnswerOfARelay(t *testing.T) {
	for reply, want := range map[string]string{
		"250 2.0.0 Ok: queued as 4XY\r\n":         "Email_Succeeded",
		"554 5.7.1 Content refused\r\n":           "Email_Failed_FilteredSpam",
		"451 4.3.0 Try again some other time\r\n": "Email_Failed",
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			gate := make(chan struct{})
			answer := sync.OnceFunc(func() { close(gate) })
			w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{
				Script: relaytest.Dialogue(relaytest.Reply{Verb: ".", Text: reply, After: gate})}, "")
			t.Cleanup(answer)
			w.ShortenDeadline()
			w.Start()
			t.Cleanup(func() { w.Stop() })
			p, err := w.Client.SendEmail(t.Context(), daemontest.Mail("k", "kari@example.org"))
			if err != nil || !p.Created || w.Status(p.ShipmentID) != "Email_Sending" {
				t.Fatalf("%+v, %v, %s", p, err, w.Status(p.ShipmentID))
			}
			answer()
			w.Await(p.ShipmentID, want)
			if got := w.Statuses(p.ShipmentID); got != want {
				t.Errorf("feed: %s", got)
			}
		})
	}
}
