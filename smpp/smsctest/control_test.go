package smsctest

import (
	"context"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"straks/smpp/wire"
)

func TestStormRestoresTheProfile(t *testing.T) {
	s := listen(t, Profile{Seed: 7, Behaviour: Behaviour{AnswerID: IDHex}})
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { s.Storm(ctx); close(over) }()
	if err := s.Wait(within(t), func(st Stats) bool { return st.Outages+st.Frozen > 0 }); err != nil {
		t.Error(err)
	}
	cancel()
	<-over
	if got := s.script().Behaviour; !reflect.DeepEqual(got, Behaviour{AnswerID: IDHex}) {
		t.Errorf("not restored: %+v", got)
	}
	e := transceiver(t, s)
	if _, resp := e.submit(number, "x"); resp.MessageID != "a21fe81" {
		t.Errorf("message id %q", resp.MessageID)
	}
}

// TestStormIsBounded checks that under every draw message ids stay distinct and nothing lasts
// longer than Storm promises.
func TestStormIsBounded(t *testing.T) {
	const most = 300 * time.Millisecond
	fair := Profile{Behaviour: Behaviour{AnswerID: IDHexUpper, Receipt: Receipt{ID: IDDecimal}}}
	rng := rand.New(rand.NewPCG(1, 2))
	drawn := map[wire.Status]bool{}
	for range 2000 {
		p := stormy(fair, rng)
		if p.AnswerID != IDHexUpper || p.Receipt.ID != IDDecimal || p.IDReuse != 0 || p.FreezeFor <= 0 || p.FreezeFor > most ||
			p.Delay+p.Jitter > most || p.BindDelay > most || p.Window < 1 {
			t.Fatalf("%+v", p)
		}
		drawn[p.Status] = true
	}
	if len(drawn) != 5 {
		t.Errorf("statuses drawn: %v", drawn)
	}
}
