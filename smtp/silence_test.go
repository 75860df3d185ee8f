package smtp

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/internal/silence"
	"straks/smtp/relaytest"
)

// impatience is how soon a relay counts as silent in these tests.
const impatience = time.Second

// impatient is runPool with that.
func impatient(t *testing.T, relays ...Relay) *Pool {
	t.Helper()
	p := runPool(t, relays...)
	for _, r := range p.setup.Load().relays {
		r.mu.Lock()
		r.silence = silence.New(impatience)
		r.handler.Late = func(string, Result) {}
		r.mu.Unlock()
	}
	return p
}

func (p *Pool) sendFor(d time.Duration) Result {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return p.Send(ctx, to("kari@mottaker.example"))
}

func isSilent(r Result) bool {
	var silent *silence.Error
	return r.Outcome == handover.NotSent && errors.As(r.Err, &silent)
}

// A relay takes mails, replies to NOOP, and does not reply to the dot.
func TestSilentRelay(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		refused, unknown := 0, 0
		relay := listen(t, relaytest.Profile{Freeze: relaytest.AtDot, Faults: 3})
		config := plain("mx", relay)
		config.DataTimeout = 5 * time.Second // for which the end of the test waits
		p := impatient(t, config)
		if r := p.sendFor(2 * impatience); r.Outcome != handover.Unknown {
			t.Fatalf("%+v", r)
		}
		eventually.True(t, "the silence to show", func() bool { return p.Ready() != nil })
		if why := p.Ready().Error(); !strings.HasPrefix(why, "mx does not answer (") {
			t.Error(why)
		}
		if s := p.States()[0]; s.Overdue == 0 || !strings.HasPrefix(s.Reason, "mx does not answer (") {
			t.Errorf("%+v", s)
		}
		var sends sync.WaitGroup
		results := make(chan Result, 10_000)
		accepted := func() bool {
			for len(results) > 0 {
				switch r := <-results; {
				case isSilent(r):
					refused++
				case r.Outcome == handover.Unknown:
					unknown++
				case r.Outcome == handover.Accepted:
					return true
				default:
					t.Fatalf("%+v", r)
				}
			}
			return false
		}
		eventually.True(t, "the first reply", func() bool {
			sends.Go(func() { results <- p.sendFor(4 * time.Second) })
			time.Sleep(20 * time.Millisecond)
			return accepted()
		})
		sends.Wait()
		for accepted() {
		}
		if unknown != 2 || refused < 20 {
			t.Errorf("until the first reply %d mails were let through, %d refused; want 2 and many", unknown, refused)
		}
		for range 20 {
			if r := p.Send(within(t), to("kari@mottaker.example")); r.Outcome != handover.Accepted {
				t.Errorf("%+v", r)
			}
		}
		eventually.True(t, "the relay to be well", func() bool { return p.Ready() == nil })
	})
}

func TestFailsOverWhenSilent(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		mute, well := listen(t, relaytest.Profile{Freeze: relaytest.AtDot}), listen(t, relaytest.Profile{})
		first := plain("first", mute)
		first.DataTimeout = 5 * time.Second // for which the end of the test waits
		p := impatient(t, first, plain("second", well))
		eventually.True(t, "both relays", func() bool { return p.States()[0].Up && p.States()[1].Up })
		if r := p.sendFor(2 * impatience); r.Outcome != handover.Unknown {
			t.Fatalf("%+v", r)
		}
		eventually.True(t, "the silence to show", func() bool { return p.States()[0].Overdue > 0 })
		for range 50 {
			if r := p.Send(within(t), to("kari@mottaker.example")); r.Outcome != handover.Accepted || r.Relay != "second" {
				t.Errorf("%+v", r)
			}
			time.Sleep(30 * time.Millisecond) // for longer than it takes until NOOP is replied to
		}
		if n := len(mute.Messages()); n != 1 || p.Ready() != nil {
			t.Errorf("%d mails reached the silent relay; %v", n, p.Ready())
		}
	})
}

// A relay that takes its time for each reply is slow, not silent.
func TestSlowRelayIsNotSilent(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		relay := listen(t, relaytest.Profile{Delay: 700 * time.Millisecond})
		p := impatient(t, plain("mx", relay))
		for range 4 {
			if r := p.Send(within(t), to("kari@mottaker.example")); r.Outcome != handover.Accepted {
				t.Errorf("%+v", r)
			}
			if err := p.Ready(); err != nil {
				t.Error(err)
			}
		}
	})
}
