package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/orders/bolt"
	"straks/smpp/smsctest"
)

// stormTime is the length of TestStorm; STRAKS_STORM=1m makes it a minute.
func stormTime(t *testing.T) time.Duration {
	text := os.Getenv("STRAKS_STORM")
	if text == "" {
		return 4 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestStorm sends orders through an SMSC that has every quirk at once, and then compares
// four records: the answers to clients, the SMSC's submits and receipts, the feed, and the
// journal.
func TestStorm(t *testing.T) {
	seed := rand.Uint64() >> 1
	t.Logf("seed %d", seed) // of the SMSC's choices; the scheduler's are not repeatable
	others, files := goleak.IgnoreCurrent(), openFiles(t)
	t.Cleanup(func() { // after all other cleanups
		goleak.VerifyNone(t, others)
		eventually.True(t, fmt.Sprintf("open files to be the %d of before", files), func() bool { return openFiles(t) <= files })
	})
	book := &stormBook{orders: map[string]*stormOrder{}}
	w := daemontest.New(t, smsctest.Profile{
		Seed: seed, FirstID: seed >> 8 << 8, Record: -1, OnSubmit: book.submitted, OnReceipt: book.receipt,
	}, `binds = 3
window = 16
enquire_link = "200ms"
dead_link = "1s"
response_timeout = "500ms"
refused_delay = "100ms"`)

	blow, calm := context.WithTimeout(t.Context(), stormTime(t))
	defer calm()
	var wg sync.WaitGroup
	wg.Go(func() { w.SMSC.Storm(blow) })
	for i := range 10 {
		wg.Go(func() { book.work(blow, t, w, i) })
	}
	wg.Wait()

	settled, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := w.SMSC.Wait(settled, func(st smsctest.Stats) bool { return st.WaitingNow == 0 }); err != nil {
		t.Errorf("receipts are left: %v", err)
	}
	eventually.True(t, "every place in every window to be free", func() bool { return inFlight(w) == 0 })
	book.read(w.Feed())
	book.checkParked(t, w.Daemon.Status().Journal.(bolt.Stats).Parked)
	w.Stop()
	w.SMSC.Close() // waits for the goroutines that write to the book
	book.balance(t, w.SMSC.Stats())
	daemontest.CheckJournal(t, filepath.Join(w.Dir, "journal.db"))
}

// inFlight counts the window slots in use.
func inFlight(w *daemontest.World) (n int) {
	for _, b := range w.Daemon.Status().SMSC {
		n += b.InFlight
	}
	return n
}

// openFiles counts this process's file descriptors, after the runtime has opened its own.
func openFiles(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Logf("open files are not checked: %v", err)
	}
	return len(files)
}

// stormOrder is what all sides know about one order.
type stormOrder struct {
	parts    int
	shipment string            // of the first answer; empty before that
	taken    []string          // message ids that the SMSC gave to its parts
	final    map[string]string // the first final receipt, by message id
	statuses []string          // in the feed, in order
}

type stormBook struct {
	mu     sync.Mutex
	orders map[string]*stormOrder // by key, with which each part's text begins
}

func (b *stormBook) of(key string) *stormOrder {
	o := b.orders[key]
	if o == nil {
		o = &stormOrder{final: map[string]string{}}
		b.orders[key] = o
	}
	return o
}

func (b *stormBook) submitted(s smsctest.Submit) {
	if s.Taken() {
		b.mu.Lock()
		defer b.mu.Unlock()
		o := b.of(daemontest.KeyOf(s))
		o.taken = append(o.taken, s.MessageID)
	}
}

func (b *stormBook) receipt(s smsctest.Submit, state string) {
	if stormStatuses[state] == "" { // an intermediate receipt
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if o := b.of(daemontest.KeyOf(s)); o.final[s.MessageID] == "" {
		o.final[s.MessageID] = state
	}
}

// stormStatuses maps a final receipt to the status of a message in one part.
var stormStatuses = map[string]string{
	"DELIVRD": "SMS_Delivered", "UNDELIV": "SMS_Failed_Undelivered",
	"EXPIRED": "SMS_Failed_Expired", "REJECTD": "SMS_Failed_Rejected",
}

// work places one order after the other, every fifth in two parts and every third twice
// at the same time.
func (b *stormBook) work(ctx context.Context, t *testing.T, w *daemontest.World, worker int) {
	for i := 0; ctx.Err() == nil; i++ {
		key := fmt.Sprintf("w%dm%d", worker, i)
		order := daemontest.SMS(key, fmt.Sprintf("+479%01d%06d", worker%10, i))
		parts := 1
		order.Recipient.Settings.Body = key + ":"
		if i%5 == 0 {
			parts = 2
			order.Recipient.Settings.Body += strings.Repeat("x", 153-len(key)-1) + key + ":" + strings.Repeat("y", 20)
		}
		b.mu.Lock()
		b.of(key).parts = parts
		b.mu.Unlock()
		var both sync.WaitGroup
		for range 1 + (i%3)/2 {
			both.Go(func() { b.place(ctx, t, w, order) })
		}
		both.Wait()
	}
}

// place sends until the order is accepted or the storm is over, as a client does that
// gets 503.
func (b *stormBook) place(ctx context.Context, t *testing.T, w *daemontest.World, order client.SMS) {
	for {
		placed, err := w.Client.SendSMS(context.WithoutCancel(ctx), order)
		var problem *client.Problem
		switch {
		case err == nil:
			b.told(t, order.IdempotencyID, placed.ShipmentID)
			return
		case !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable:
			t.Errorf("%s: %v", order.IdempotencyID, err)
			return
		case ctx.Err() != nil:
			return
		}
	}
}

func (b *stormBook) told(t *testing.T, key, shipment string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.of(key)
	if o.shipment != "" && o.shipment != shipment {
		t.Errorf("%s has two shipments", key)
	}
	o.shipment = shipment
}

func (b *stormBook) read(feed []client.FeedEntry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range feed {
		o := b.of(strings.TrimPrefix(e.SendersReference, "ref-"))
		o.statuses = append(o.statuses, e.Recipients[0].Status)
	}
}

func (b *stormBook) balance(t *testing.T, st smsctest.Stats) {
	t.Helper()
	ends := map[string]int{}
	for key, o := range b.orders {
		ends[o.end()]++
		if fault := o.fault(); fault != "" {
			t.Errorf("%s: %s: %+v", key, fault, *o)
		}
	}
	if st.Receipts > st.Acked || st.Rejected+st.Dropped > 0 {
		t.Errorf("receipts lost: %+v", st)
	}
	t.Logf("%d orders: %v; %+v", len(b.orders), ends, st)
	if ends["SMS_Delivered"] == 0 {
		t.Error("nothing was delivered: the storm is too strong to tell anything")
	}
}

// checkParked checks that only receipts of parts whose answer was lost are parked.
func (b *stormBook) checkParked(t *testing.T, parked int) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	lost := 0
	for _, o := range b.orders {
		if len(o.statuses) == 0 || o.statuses[0] != "SMS_Accepted" {
			lost += len(o.taken)
		}
	}
	t.Logf("%d receipts are parked, of %d parts whose answer may be lost", parked, lost)
	if parked > lost {
		t.Errorf("%d receipts are parked, but only %d can have lost their answer", parked, lost)
	}
}

// end returns the last status in the feed.
func (o *stormOrder) end() string {
	if len(o.statuses) == 0 {
		return "none"
	}
	return o.statuses[len(o.statuses)-1]
}

func (o *stormOrder) fault() string {
	finals := 0
	for _, s := range o.statuses {
		if s == "SMS_Delivered" || strings.HasPrefix(s, "SMS_Failed") {
			finals++
		}
	}
	accepted := len(o.statuses) > 0 && o.statuses[0] == "SMS_Accepted"
	switch {
	case len(o.taken) > o.parts:
		return "sent twice"
	case o.shipment == "" && len(o.taken) > 0:
		return "not sent, the client was told, but it was taken"
	case finals > 1:
		return "more than one end"
	case accepted && len(o.taken) < o.parts:
		return "accepted, but not taken whole"
	case o.end() == "SMS_Delivered" && o.delivered() < o.parts:
		return "delivered in the feed, but without a receipt"
	case o.parts > 1 || !accepted:
		return "" // the order of the parts' receipts is not recorded, and some ids are not known
	case len(o.final) == 1 && o.end() != stormStatuses[o.final[o.taken[0]]]:
		return "its receipt was not applied"
	case len(o.final) == 0 && finals > 0:
		return "ended without a receipt"
	}
	return ""
}

// delivered counts the parts with a receipt of DELIVRD.
func (o *stormOrder) delivered() (n int) {
	for _, state := range o.final {
		if state == "DELIVRD" {
			n++
		}
	}
	return n
}
