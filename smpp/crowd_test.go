package smpp

import (
	"context"
	"errors"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/smpp/smsctest"
)

// An SMSC that hangs holds up its window and so many as may wait, and no more:
// the next is told at once, though its deadline is an hour away.
func TestCrowdIsBounded(t *testing.T) {
	s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Lose: 1}})
	conf := account("telco", s)
	conf.Window, conf.MaxWaiting = 2, 3
	g := run(t, Config{SMSCs: []SMSC{conf}}).allUp(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	ended := make(chan Result, 5)
	for range 5 {
		go func() { ended <- g.Send(ctx, Message{To: number, From: "straks", Text: "123456"}) }()
	}
	eventually(t, "the window and the queue to be full", func() bool {
		return s.Stats().Submits == 2 && g.slots.crowded(g.smscs)
	})
	r := g.Send(ctx, Message{To: number, From: "straks", Text: "123456"})
	if r.Outcome != handover.NotSent || !errors.Is(r.Err, errCrowd) {
		t.Errorf("%+v", r)
	}
	if err := g.Crowded(Message{To: number}); !errors.Is(err, errCrowd) {
		t.Errorf("said to have room: %v", err)
	}
	cancel()
	for range 5 {
		<-ended
	}
	if g.Crowded(Message{To: number}) != nil {
		t.Error("the queue holds those who have left")
	}
}
