package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
	"straks/orders/bolt"
)

const (
	fillers  = 1000 // workers, which share commits
	fillStep = 64   // answers and receipts of one worker that share a call
	fillDays = 80 * 24 * time.Hour
	fillAge  = 12 * time.Hour // of orders, after which retention runs
)

// fill creates a journal at path with n delivered shipments, accepted evenly over the last
// 80 days, as a daemon would have left it. The journal has this module's format.
func fill(ctx context.Context, path string, n int) error {
	opt := bolt.Options{MaxBatch: 4096, Log: slog.New(slog.DiscardHandler)}
	if err := bolt.Create(path, opt); err != nil {
		return err
	}
	j, err := bolt.Open(path, opt)
	if err != nil {
		return err
	}
	f := filling{journal: j, n: int64(n), start: time.Now().UTC().Add(-fillDays - time.Hour)}
	err = f.live(ctx)
	if closeErr := j.Close(); err == nil {
		err = closeErr
	}
	return err
}

type filling struct {
	journal *bolt.Journal
	n       int64
	start   time.Time
	next    atomic.Int64
}

// live stores the orders of all days, and runs deadlines and retention in between, so that
// new records take the space of old ones.
func (f *filling) live(ctx context.Context) error {
	for lived := fillAge; ; lived += fillAge {
		if err := f.run(ctx, int64(float64(f.n)*float64(lived)/float64(fillDays))); err != nil {
			return err
		}
		if lived >= fillDays {
			return f.age(ctx, time.Now())
		}
		if err := f.age(ctx, f.start.Add(lived)); err != nil {
			return err
		}
	}
}

// run stores orders up to number last.
func (f *filling) run(ctx context.Context, last int64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range fillers {
		wg.Go(func() {
			if err := f.worker(ctx, last); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func (f *filling) worker(ctx context.Context, last int64) error {
	var facts []orders.Event
	for i := f.take(last); i > 0; i = f.take(last) {
		in := f.acceptRequest(i)
		s, _, err := f.journal.Accept(ctx, in)
		if err != nil {
			return fmt.Errorf("filling the journal: %w", err)
		}
		facts = append(facts, factsOf(s, in.At, strconv.FormatInt(1e9+i, 10))...)
		if len(facts) < 2*fillStep {
			continue
		}
		if _, err := f.journal.Apply(ctx, facts); err != nil {
			return fmt.Errorf("filling the journal: %w", err)
		}
		facts = facts[:0]
	}
	_, err := f.journal.Apply(ctx, facts)
	return err
}

// take returns the number of the next order, or 0 after the last.
func (f *filling) take(last int64) int64 {
	for {
		done := f.next.Load()
		if done >= last {
			return 0
		}
		if f.next.CompareAndSwap(done, done+1) {
			return done + 1
		}
	}
}

func (f *filling) acceptRequest(i int64) orders.AcceptRequest {
	at := f.start.Add(time.Duration(float64(fillDays) * float64(i) / float64(f.n)))
	return orders.AcceptRequest{
		Shipment: idAt(at), OrderID: idAt(at), Claim: uuid.New(), Key: "fill-" + strconv.FormatInt(i, 10), At: at, ClaimFor: 10 * time.Second,
		Organisation: organisation, Channel: orders.SMS, TTL: 5 * time.Minute,
		Recipient: orders.Recipient(fmt.Sprintf("+4790%06d", i%1e6)),
	}
}

// factsOf returns the carrier's answer and its receipt.
func factsOf(s orders.Shipment, at time.Time, id string) []orders.Event {
	refs := []string{"id:" + id}
	return []orders.Event{
		orders.Answer{Shipment: s.ID, Claim: s.Claim, At: at, Outcome: handover.Accepted, Carrier: carrier, Total: 1,
			Parts: []orders.PartAnswer{{Refs: refs, Taken: true}}},
		orders.Report{Carrier: carrier, Refs: refs, At: at, Status: orders.SMSDelivered, Detail: "err:000"},
	}
}

// idAt returns a UUIDv7 of the given time (RFC 9562 §5.7).
func idAt(t time.Time) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	ms := t.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

// age does what a running daemon does over time: it passes over deadlines and removes
// what retention no longer keeps.
func (f *filling) age(ctx context.Context, now time.Time) error {
	for {
		due, next, err := f.journal.Due(ctx, now, 500)
		if err != nil {
			return err
		}
		if len(due) == 0 && (next.IsZero() || next.After(now)) {
			break
		}
	}
	for more := true; more; {
		swept, err := f.journal.Sweep(ctx, now, orders.Retention{All: orders.DefaultRetention}, 10_000)
		if err != nil {
			return fmt.Errorf("filling the journal: %w", err)
		}
		more = swept.More
	}
	return nil
}
