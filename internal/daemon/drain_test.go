package daemon_test

import (
	"context"
	"errors"
	"fmt"
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

// drained is what clients learn about their orders while the daemon stops.
type drained struct {
	mu     sync.Mutex
	placed map[string]client.Placed // answered 201
	broken map[string]error         // no answer
}

// work places orders one after the other until there is no answer.
func (d *drained) work(t *testing.T, w *daemontest.World, number int) {
	for i := 0; ; i++ {
		key := fmt.Sprintf("%d-%d", number, i)
		p, err := w.Client.SendSMS(context.Background(), daemontest.SMS(key, fmt.Sprintf("+4790%06d", number*10_000+i)))
		var problem *client.Problem
		if errors.As(err, &problem) {
			t.Errorf("%s: %v", key, err) // every order that is accepted can be carried to its outcome
		}
		d.mu.Lock()
		if err == nil {
			d.placed[key] = p
		} else {
			d.broken[key] = err
		}
		d.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// TestDrain stops the daemon under load. Every order that it accepted is carried to its
// outcome and answered, none of the others was sent, and every receipt is stored, some
// after the restart.
func TestDrain(t *testing.T) {
	var p smsctest.Profile
	p.Delay, p.Jitter = 10*time.Millisecond, 20*time.Millisecond
	p.Receipt.Jitter = 100 * time.Millisecond
	p.Retry = 20 * time.Millisecond
	w := daemontest.New(t, p, "")
	d := &drained{placed: map[string]client.Placed{}, broken: map[string]error{}}
	var clients sync.WaitGroup
	const n = 16
	for i := range n {
		clients.Go(func() { d.work(t, w, i) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := w.SMSC.WaitSubmits(ctx, 20*n); err != nil {
		t.Fatal(err)
	}
	w.Stop()
	clients.Wait()
	if len(d.broken) != n || len(w.SMSC.Submits()) != len(d.placed) {
		t.Errorf("%d orders were answered, but %d submitted; %d were not answered: %v",
			len(d.placed), len(w.SMSC.Submits()), len(d.broken), d.broken)
	}
	w.Start()
	for key, p := range d.placed {
		if again, err := w.Client.SendSMS(ctx, daemontest.SMS(key, "+4799999999")); err != nil || again.Created || again.ShipmentID != p.ShipmentID {
			t.Errorf("%s was %s, and is now %+v, %v", key, p.ShipmentID, again, err)
		}
		w.Await(p.ShipmentID, "SMS_Delivered")
	}
	if got := len(w.SMSC.Submits()); got != len(d.placed) {
		t.Errorf("%d submits for %d orders", got, len(d.placed))
	}
}

// TestDrainNotice: for a while after the signal, /readyz says 503 and requests are still answered.
func TestDrainNotice(t *testing.T) {
	t.Parallel()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.Configure("[api]", `drain_notice = "10s"`)
	w.Start()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.Stop()
	}()
	eventually.True(t, "the notice", func() bool {
		code, text := w.Admin("/readyz")
		return code == 503 && strings.Contains(text, "draining")
	})
	w.Send("k", "+4799999999")
	<-stopped
	if n := len(w.SMSC.Submits()); n != 1 {
		t.Errorf("%d submits", n)
	}
}
