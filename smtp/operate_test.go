package smtp

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// TestOperate: a paused relay gets no mail and keeps its connections; a drained one has none; both end.
func TestOperate(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		one, two := listen(t, relaytest.Profile{}), listen(t, relaytest.Profile{})
		p := newPool(t, plain("one", one), plain("two", two))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx, Handler{}) }()
		defer func() {
			stop()
			<-ended
		}()
		eventually.True(t, "both relays", func() bool { return p.States()[0].Up && p.States()[1].Up })
		send := func(want handover.Outcome, relay string) {
			t.Helper()
			if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != want || want == handover.Accepted && res.Relay != relay {
				t.Fatalf("got %+v; want %v by %s", res, want, relay)
			} else if want == handover.NotSent && !errors.Is(res.Err, ErrPaused) {
				t.Errorf("got %v", res.Err)
			}
		}
		p.Pause("one")
		send(handover.Accepted, "two")
		p.Pause("two")
		start := time.Now()
		send(handover.NotSent, "")
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v", took)
		}
		if err := p.Ready(); err == nil || !strings.Contains(err.Error(), "relay one is paused by an operator") {
			t.Errorf("ready: %v", err)
		}
		if s := p.States()[0]; s.Paused.IsZero() || !s.Up {
			t.Errorf("%+v", s)
		}
		p.Drain("one")
		eventually.True(t, "the last connection to close", func() bool { return p.States()[0].Open == 0 })
		p.TryNow("one")
		if s := p.States()[0]; s.Open != 0 || !s.Next.IsZero() {
			t.Errorf("a drained relay: %+v", s)
		}
		p.Resume("one")
		eventually.True(t, "the relay", func() bool { return p.States()[0].Up && p.Ready() == nil })
		send(handover.Accepted, "one")
		for _, f := range []func(string) error{p.Pause, p.Drain, p.Resume, p.TryNow} {
			if f("three") == nil {
				t.Error("there is no such relay")
			}
		}
	})
}
