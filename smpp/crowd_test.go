package smpp

import (
	"errors"
	"testing"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// So many are admitted as have a place or may wait for one, whether they have come yet or not.
func TestAdmission(t *testing.T) {
	up, down := centre(t, smsctest.Profile{}), centre(t, smsctest.Profile{BindStatus: wire.ESMEBindFail})
	first, second := account("first", up), account("second", down)
	first.Window, first.MaxWaiting, first.Binds = 2, 3, 2
	second.Window, second.MaxWaiting = 2, 1
	g := run(t, Config{SMSCs: []SMSC{first, second}})
	eventually.True(t, "the binds of the first to be up", func() bool {
		bound := 0
		for _, b := range g.States() {
			if b.State == StateBound {
				bound++
			}
		}
		return bound == first.Binds
	})
	var leave []func()
	for !g.Full() && len(leave) < 100 {
		l, err := g.Admit(Message{To: number})
		if err != nil {
			t.Fatalf("%v, after %d", err, len(leave))
		}
		leave = append(leave, l)
	}
	if len(leave) != 2*2+3+1 {
		t.Errorf("%d admitted, want two windows of two, three that wait, and one at the SMSC that is down", len(leave))
	}
	if _, err := g.Admit(Message{To: number}); !errors.Is(err, errQueueFull) {
		t.Errorf("one more: %v", err)
	}
	for _, l := range leave {
		l()
		if g.Full() {
			t.Error("full, though one has left")
		}
	}
	if r := g.Send(t.Context(), Message{To: number, From: "straks", Text: "123456"}); r.Outcome != handover.Accepted {
		t.Errorf("%+v", r)
	}
}
