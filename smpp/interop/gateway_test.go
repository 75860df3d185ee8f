package interop

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smpp"
	"straks/smpp/wire"
)

// running is a gateway that runs until stop or the end of the test.
type running struct {
	*smpp.Gateway
	deliveries chan *wire.Message // acknowledged already
	stop       func()
}

// gateway starts a gateway with one SMSC, and waits until it is bound.
func gateway(t *testing.T, smsc smpp.SMSC) *running {
	t.Helper()
	smsc.Name, smsc.SystemID, smsc.Password = "telco", "straks", "secret"
	r := &running{deliveries: make(chan *wire.Message, 1000)}
	handler := smpp.Handler{
		Deliver: func(_ string, d *smpp.Delivery) {
			d.Respond(wire.ESMEOK)
			r.deliveries <- d.Message
		},
		Late: func(smpp.LateResponse) {},
	}
	g, err := smpp.New(smpp.Config{SMSCs: []smpp.SMSC{smsc}}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	r.Gateway = g
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx, handler) }()
	stopped := false
	r.stop = func() {
		if cancel(); stopped {
			return
		}
		stopped = true
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(r.stop)
	r.awaitBound(t)
	return r
}

func (r *running) awaitBound(t *testing.T) {
	t.Helper()
	eventually.True(t, "the bind", func() bool { return r.Ready() == nil })
}

// send hands one message over; the SMSC must accept all its parts.
func (r *running) send(t *testing.T, from, text string) smpp.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	res := r.Send(ctx, smpp.Message{
		ID: t.Name(), Organisation: "ttd", To: "+4799999999", From: from, Text: text,
		Expires: time.Now().Add(10 * time.Minute),
	})
	if res.Outcome != handover.Accepted || len(res.Parts) != res.Total {
		t.Fatalf("not accepted: %+v", res)
	}
	return res
}

// delivery returns the next receipt or message.
func (r *running) delivery(t *testing.T) *wire.Message {
	t.Helper()
	select {
	case m := <-r.deliveries:
		return m
	case <-time.After(patience):
		t.Fatalf("no delivery within %v", patience)
		return nil
	}
}
