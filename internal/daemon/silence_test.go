package daemon_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// placed counts how the orders of a stream were answered.
type placed struct {
	mu      sync.Mutex
	wg      sync.WaitGroup
	created int
	refused []string // keys of those that got 503
}

// stream places n orders, 20 ms apart.
func (p *placed) stream(t *testing.T, n int, place func(key string) (client.Placed, error)) {
	for i := range n {
		key := fmt.Sprintf("k%d", i)
		p.wg.Go(func() {
			answer, err := place(key)
			p.mu.Lock()
			defer p.mu.Unlock()
			var problem *client.Problem
			switch {
			case err == nil && answer.Created:
				p.created++
			case errors.As(err, &problem) && problem.Status == 503 && problem.Code == "NOT-00004" && problem.RetryAfter > 0:
				p.refused = append(p.refused, key)
			default:
				t.Errorf("%s: %+v, %v", key, answer, err)
			}
		})
		time.Sleep(20 * time.Millisecond)
	}
}

// The SMSC is bound and responds to enquire_link, and to no submit_sm: nothing is ready, and orders are
// refused at once except one a second. None is lost or sent twice.
func TestSilentSMSC(t *testing.T) {
	t.Parallel()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "enquire_link = \"1s\"\nresponse_timeout = \"1m\"\n")
	w.ShortenDeadline()
	w.Start()
	w.Send("before", "+4799999999")
	var mute smsctest.Profile
	mute.Lose = 1
	w.SMSC.SetProfile(mute)
	sms := func(key string) (client.Placed, error) {
		return w.Client.SendSMS(t.Context(), daemontest.SMS(key, "+4799999999"))
	}
	if p, err := sms("first"); err != nil || !p.Created {
		t.Fatalf("%+v, %v", p, err)
	}
	eventually.True(t, "not ready", func() bool { return w.Daemon.Ready() != nil })
	for _, path := range []string{"/readyz", "/readyz?channel=sms", "/status"} {
		if code, text := w.Admin(path); (code == http.StatusServiceUnavailable) != (path != "/status") ||
			!strings.Contains(text, "telco does not answer (") || !strings.Contains(text, " s overdue)") {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
	if code, text := w.Admin("/readyz?channel=email"); code != http.StatusOK {
		t.Errorf("e-mail: %d %s", code, text)
	}

	var p placed
	before, start := w.SMSC.Stats().Submits, time.Now()
	p.stream(t, 150, sms)
	p.wg.Wait()
	most := 2 + int(time.Since(start).Seconds())
	if n := w.SMSC.Stats().Submits - before; int(n) != p.created || p.created == 0 || p.created > most || len(p.refused)+p.created != 150 {
		t.Errorf("%d submits, %d orders created and %d refused; want 1 to %d submits", n, p.created, len(p.refused), most)
	}
	want := fmt.Sprintf("straks_smpp_refused_unanswered_total{smsc=\"telco\"} %d\n", len(p.refused))
	if _, text := w.Admin("/metrics"); !strings.Contains(text, want) {
		t.Errorf("the metrics lack %s", want)
	}

	w.SMSC.SetProfile(smsctest.Profile{})
	before = w.SMSC.Stats().Submits
	eventually.True(t, "an order to be let through", func() bool { p, err := sms(p.refused[0]); return err == nil && p.Created })
	for _, key := range p.refused[1:] { // the keys are free
		eventually.True(t, "an order to be sent", func() bool { p, err := sms(key); return err == nil && p.Created })
	}
	if n := int(w.SMSC.Stats().Submits - before); n != len(p.refused) || w.Daemon.Ready() != nil {
		t.Errorf("%d submits for %d orders, %v", n, len(p.refused), w.Daemon.Ready())
	}
}

// The relay takes mails, and does not reply to the dot.
func TestSilentRelay(t *testing.T) {
	t.Parallel()
	thaw := make(chan struct{})
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{OnMessage: func(relaytest.Message) { <-thaw }}, "")
	release := sync.OnceFunc(func() { close(thaw) })
	t.Cleanup(release)
	w.ShortenDeadline()
	w.Start()
	mail := func(key string) (client.Placed, error) {
		return w.Client.SendEmail(t.Context(), daemontest.Mail(key, "kari@mottaker.example"))
	}
	if p, err := mail("first"); err != nil || !p.Created {
		t.Fatalf("%+v, %v", p, err)
	}
	eventually.True(t, "not ready", func() bool { return w.Daemon.Ready() != nil })
	if code, text := w.Admin("/readyz?channel=email"); code != http.StatusServiceUnavailable || !strings.Contains(text, "mx does not answer (") {
		t.Errorf("%d %s", code, text)
	}
	var p placed
	start := time.Now()
	p.stream(t, 100, mail)
	p.wg.Wait()
	most := 2 + int(time.Since(start).Seconds())
	if p.created == 0 || p.created > most || len(p.refused)+p.created != 100 {
		t.Errorf("%d orders created and %d refused; want 1 to %d created", p.created, len(p.refused), most)
	}
	release()
	eventually.True(t, "the late replies, or a mail to be taken", func() bool {
		mail(p.refused[0])
		return w.Daemon.Ready() == nil
	})
	for _, key := range p.refused {
		eventually.True(t, "a mail to be sent", func() bool { p, err := mail(key); return err == nil && p.ShipmentID != "" })
	}
	sent := map[string]int{}
	for _, m := range w.Relay.Messages() {
		sent[string(m.Data)]++
	}
	if n := len(w.Relay.Messages()); n != 1+p.created+len(p.refused) || len(sent) != n {
		t.Errorf("%d mails, of which %d differ, for %d orders", n, len(sent), 1+p.created+len(p.refused))
	}
}
