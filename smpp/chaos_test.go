package smpp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/smpp/smsctest"
)

// Two SMSCs misbehave in every way while messages of one to three parts are
// sent. Afterwards every message that was taken was taken once, by the SMSC
// that the result names, and what surely did not leave is nowhere.
func TestNothingTwiceWhateverTheSMSCsDo(t *testing.T) {
	bad := smsctest.Behaviour{
		Jitter: 5 * time.Millisecond, Throttle: 20, QueueFull: 30, Lose: 60, Close: 150, Nack: 100, Twice: 20, Reorder: 3,
		Receipt: smsctest.Receipt{Jitter: 5 * time.Millisecond, Duplicate: 10},
	}
	g, a, b := pair(t, bad, bad, func(c *Config) {
		for i := range c.SMSCs {
			s := &c.SMSCs[i]
			s.Binds, s.Window, s.WindowWait, s.StallAfter = 2, 5, 5*time.Millisecond, 100*time.Millisecond
			s.ResponseTimeout = 400 * time.Millisecond
		}
		c.Routes = []Route{{SMSCs: []string{"first", "second"}, Weights: map[string]int{"first": 1, "second": 1}}}
		c.DrainTime = 500 * time.Millisecond
	})
	var sends sync.WaitGroup
	results := make([]Result, 400)
	gate := make(chan struct{}, 40)
	for i := range results {
		gate <- struct{}{}
		if i%100 == 99 {
			a.Outage(20 * time.Millisecond)
		}
		sends.Go(func() {
			results[i] = g.send(fmt.Sprintf("%06d", i)+strings.Repeat("x", rand.IntN(400)), 700*time.Millisecond)
			<-gate
		})
	}
	sends.Wait()
	found := map[string]map[string]int{} // text number -> SMSC and part -> times taken
	for name, s := range map[string]*smsctest.SMSC{"first": a, "second": b} {
		tally(s, name, found)
	}
	outcomes := map[handover.Outcome]int{}
	for i, r := range results {
		outcomes[r.Outcome]++
		checkFate(t, i, r, found[fmt.Sprintf("%06d", i)])
	}
	t.Logf("%v", outcomes)
	if outcomes[handover.Accepted] == 0 || outcomes[handover.Unknown] == 0 {
		t.Errorf("too tame: %v", outcomes)
	}
	g.idle(t)
}

// tally counts how often each first part was taken, and where.
func tally(s *smsctest.SMSC, name string, found map[string]map[string]int) {
	for _, m := range s.Submits() {
		text := m.Text()
		if seg, ok := m.Segment(); !m.Taken() || len(text) < 6 || ok && seg.Index != 1 {
			continue
		}
		if found[text[:6]] == nil {
			found[text[:6]] = map[string]int{}
		}
		found[text[:6]][name]++
	}
}

func checkFate(t *testing.T, i int, r Result, taken map[string]int) {
	t.Helper()
	total := taken["first"] + taken["second"]
	switch {
	case total > 1:
		t.Errorf("message %d was taken %v: %+v", i, taken, r)
	case total == 1 && taken[r.SMSC] != 1:
		t.Errorf("message %d is at another than %q", i, r.SMSC)
	case r.Outcome == handover.Accepted && total != 1:
		t.Errorf("message %d is nowhere: %+v", i, r)
	case r.Outcome == handover.NotSent && (total != 0 || len(r.Parts) != 0):
		t.Errorf("message %d was not sent and is there: %+v", i, r)
	case r.Outcome == handover.Accepted && len(r.Parts) != r.Total:
		t.Errorf("message %d has parts %+v", i, r)
	}
}
