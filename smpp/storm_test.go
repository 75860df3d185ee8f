package smpp_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
	"straks/smpp"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// stormTime is how long TestStorm runs; STRAKS_STORM=1m makes it a minute.
func stormTime(t *testing.T) time.Duration {
	d, err := time.ParseDuration(os.Getenv("STRAKS_STORM"))
	if err != nil && os.Getenv("STRAKS_STORM") != "" {
		t.Fatal(err)
	}
	if d == 0 {
		return 3 * time.Second
	}
	return d
}

// TestStorm sends through two SMSCs that have every quirk at once, and then
// compares the results of Send with the messages that the SMSCs accepted.
func TestStorm(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed) // of the SMSCs' choices; the order of events is up to the scheduler
	book := &ledger{taken: map[string][]fate{}, told: map[string]smpp.Result{}}
	a, b := book.smsc(t, "smsc0", seed), book.smsc(t, "smsc1", seed+1)
	g, stop := book.gateway(t, a, b)

	blow, calm := context.WithTimeout(t.Context(), stormTime(t))
	defer calm()
	var wg sync.WaitGroup
	for _, s := range []*smsctest.SMSC{a, b} {
		wg.Go(func() { s.Storm(blow) })
	}
	for i := range 12 {
		wg.Go(func() { book.send(blow, g, i) })
	}
	wg.Wait()

	settled, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	inFlight(t, settled, g)
	for _, s := range []*smsctest.SMSC{a, b} {
		if err := s.Wait(settled, func(st smsctest.Stats) bool { return st.WaitingNow == 0 }); err != nil {
			t.Errorf("receipts are outstanding: %v", err)
		}
	}
	inFlight(t, settled, g)
	stop()
	a.Close() // joins the goroutines that report to the ledger
	b.Close()
	book.balance(t, a.Stats(), b.Stats())
}

// inFlight waits until every slot is free again.
func inFlight(t *testing.T, ctx context.Context, g *smpp.Gateway) {
	t.Helper()
	for {
		taken := 0
		for _, b := range g.States() {
			taken += b.InFlight
		}
		if taken == 0 {
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			t.Errorf("%d slots are leaked", taken)
			return
		}
	}
}

// ledger has both sides of every message.
type ledger struct {
	mu         sync.Mutex
	taken      map[string][]fate // by message
	told       map[string]smpp.Result
	late       int
	deliveries int
	postponed  int
}

// fate is the SMSC that accepted a part, and the id that it gave.
type fate struct{ smsc, id string }

func (l *ledger) smsc(t *testing.T, name string, seed uint64) *smsctest.SMSC {
	t.Helper()
	p := smsctest.Profile{Seed: seed, FirstID: seed >> 8 << 8, Record: -1}
	p.OnSubmit = func(s smsctest.Submit) { l.submitted(name, s) }
	s, err := smsctest.Listen("127.0.0.1:0", p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// submitted records a part that an SMSC accepted. Its text begins with the message's name
// and the part's number, as send wrote it.
func (l *ledger) submitted(smsc string, s smsctest.Submit) {
	if s.Taken() {
		name, _, _ := strings.Cut(s.Text(), ":")
		l.mu.Lock()
		defer l.mu.Unlock()
		l.taken[name] = append(l.taken[name], fate{smsc, s.MessageID})
	}
}

func (l *ledger) gateway(t *testing.T, smscs ...*smsctest.SMSC) (g *smpp.Gateway, stop func()) {
	t.Helper()
	c := smpp.Config{DrainTime: time.Second, Routes: []smpp.Route{{
		SMSCs: []string{"smsc0", "smsc1"}, Weights: map[string]int{"smsc0": 1, "smsc1": 1}}}}
	for i, s := range smscs {
		c.SMSCs = append(c.SMSCs, smpp.SMSC{
			Name: fmt.Sprintf("smsc%d", i), Addr: s.Addr(), SystemID: "straks", Password: "secret", Sender: "Straks",
			Binds: 2, Window: 16, EnquireLink: 200 * time.Millisecond, DeadLink: time.Second, ResponseTimeout: 500 * time.Millisecond,
			RefusedDelay: 100 * time.Millisecond,
		})
	}
	g, err := smpp.New(c, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	g.Impatient(100 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- g.Run(ctx, smpp.Handler{Deliver: l.deliver, Late: func(smpp.LateResponse) { l.mu.Lock(); l.late++; l.mu.Unlock() }})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return g, stop
}

// deliver answers every tenth delivery with a temporary error, as with a full disk.
func (l *ledger) deliver(_ string, d *smpp.Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deliveries++; l.deliveries%10 == 0 {
		l.postponed++
		d.Respond(wire.ESMERxTAppn)
		return
	}
	d.Respond(wire.ESMEOK)
}

// send sends one message after the other, every fourth in two parts.
func (l *ledger) send(ctx context.Context, g *smpp.Gateway, worker int) {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("w%dm%d", worker, i)
		text := name + ":"
		if i%4 == 0 {
			text += strings.Repeat("x", 153-len(text)) + name + ":"
			text += strings.Repeat("y", 20)
		}
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		r := g.Send(limit, smpp.Message{ID: name, To: "+4799999999", Text: text})
		cancel()
		l.mu.Lock()
		l.told[name] = r
		l.mu.Unlock()
		if r.Outcome == handover.NotSent { // at once, while both are silent
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// balance checks that every outcome is true and that no part was accepted twice.
func (l *ledger) balance(t *testing.T, stats ...smsctest.Stats) {
	t.Helper()
	outcomes := map[handover.Outcome]int{}
	for name, r := range l.told {
		outcomes[r.Outcome]++
		if fault := l.fault(r, l.taken[name]); fault != "" {
			t.Errorf("%s: %s: result %+v, accepted as %v", name, fault, r, l.taken[name])
		}
	}
	for _, st := range stats {
		if st.Receipts > st.Acked || st.Rejected+st.Dropped > 0 {
			t.Errorf("receipts lost: %+v", st)
		}
	}
	t.Logf("%v, %d late answers, %d deliveries of which %d put off; %+v", outcomes, l.late, l.deliveries, l.postponed, stats)
	if outcomes[handover.Accepted] == 0 || outcomes[handover.Unknown] == 0 {
		t.Error("the storm is too strong, or too weak, to prove anything")
	}
}

func (l *ledger) fault(r smpp.Result, taken []fate) string {
	known := 0
	for _, p := range r.Parts {
		if !p.Taken {
			continue
		}
		known++
		if !slices.Contains(taken, fate{r.SMSC, p.MessageID}) && p.MessageID != "" {
			return "it names a part that was not taken so"
		}
	}
	switch {
	case slices.ContainsFunc(taken, func(f fate) bool { return f.smsc != r.SMSC }):
		return "another SMSC than it names took some"
	case len(taken) > max(r.Total, 1):
		return "sent twice"
	case r.Outcome == handover.Accepted && (len(taken) != r.Total || known != r.Total):
		return "accepted, but not taken whole"
	case r.Outcome == handover.NotSent && len(taken) > 0:
		return "not sent, but taken"
	case r.Outcome == handover.Refused && (len(taken) < known || len(taken) > len(r.Parts)): // some of its parts may have left
		return "refused, but parts were taken that it does not name"
	case r.Outcome == handover.Unknown && len(r.Parts) < len(taken):
		return "unknown, but more was taken than it names"
	}
	return ""
}
