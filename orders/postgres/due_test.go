package postgres

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

// settled makes n shipments that are settled, with deadlines 5 ms apart until a time.
func (j *Journal) settled(t *testing.T, n int, until time.Time) {
	t.Helper()
	in := order("settled")
	s, _, err := j.Accept(t.Context(), in)
	if err == nil {
		_, err = j.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: in.At, Outcome: handover.Refused,
			Status: orders.SMSFailedRejected, Total: 1}})
	}
	if err == nil {
		_, err = j.pool.Exec(t.Context(), `insert into shipments (id, key, node, epoch, organisation, status, deadline, record)
			select (left(s.id::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, s.key, s.node, s.epoch, s.organisation, s.status,
				$1::timestamptz - n * interval '5 milliseconds', s.record from shipments s, generate_series(1, $2::int) n`, until, n)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDueAmongMany: a deadline is kept in time among many shipments that were settled before their deadlines passed, and
// a look does not begin with those again.
func TestDueAmongMany(t *testing.T) {
	t.Parallel()
	j := open(t, made(t))
	defer j.Close()
	now := time.Now().UTC().Add(time.Hour).Truncate(time.Microsecond)
	const many = dueScan * 3 / 2 // in 75 s
	j.settled(t, many, now)
	in := order("late")
	in.At, in.TTL = now.Add(-time.Minute), time.Minute-time.Second
	s, _, err := j.Accept(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for calls := 1; ; calls++ {
		due, next, err := j.Due(t.Context(), now, 500)
		if err != nil || calls > 1+many/dueScan {
			t.Fatalf("call %d: next %v, %v", calls, next.Sub(now), err)
		}
		if slices.Contains(due, s.ID) {
			break
		}
	}
	if _, err := j.Apply(t.Context(), []orders.Event{orders.Expiry{Shipment: s.ID, At: now}}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Second)
	for range 2 {
		if due, next, err := j.Due(t.Context(), now, 500); err != nil || len(due) > 0 || next.Equal(now) || j.due.look.at.Before(now.Add(-2*time.Second)) {
			t.Errorf("%v, next %v, then from %v: %v", due, next.Sub(now), j.due.look.at.Sub(now), err)
		}
	}
}

// TestDueAfterAStall: an order that is stored while the database has no standby becomes visible when it has one again. Its
// deadline has passed long before that, and is kept all the same.
func TestDueAfterAStall(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	opt.callersTime = true
	j := open(t, opt)
	defer j.Close()
	now := time.Now().UTC()
	if _, _, err := j.Due(t.Context(), now, 500); err != nil {
		t.Fatal(err)
	}
	waitFor(t, c.Servers[0], "nobody")
	in := order("k")
	in.TTL = time.Minute
	stored := make(chan error, 1)
	go func() {
		_, _, err := j.Accept(context.Background(), in)
		stored <- err
	}()
	eventually(t, "the order is not stored", func() bool {
		got, err := c.Servers[0].SQL(t.Context(), "select count(*) from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'straks'")
		return err == nil && got == "1"
	})
	for range maxBeside { // what else is written waits too
		j.others <- struct{}{}
	}
	for range 12 { // as the keeper does for 10 minutes
		now = now.Add(50 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // it can't be stored that nothing was due
		due, _, err := j.Due(ctx, now, 500)
		if cancel(); len(due) > 0 || err != nil && !errors.Is(err, orders.ErrUnavailable) {
			t.Fatalf("%v, %v", due, err)
		}
	}
	for range maxBeside {
		<-j.others
	}
	waitFor(t, c.Servers[0], "")
	if err := <-stored; err != nil {
		t.Fatal(err)
	}
	var due []uuid.UUID
	for range 10 {
		now = now.Add(15 * time.Second)
		insist(t, func() error {
			more, _, err := j.Due(t.Context(), now, 500)
			due = append(due, more...)
			return err
		})
	}
	if !slices.Contains(due, in.Shipment) {
		t.Error("its deadline is not kept")
	}
}
