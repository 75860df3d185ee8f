package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/internal/pgcluster"
	"straks/orders"
)

// TestReadBeforeAFailover: a reader has an entry of the feed from a primary that alone has it, and the write that the reader
// waits for succeeds on the next primary. The entry is not shown: the next primary gives its number to another one.
func TestReadBeforeAFailover(t *testing.T) {
	t.Parallel()
	c, opt := ownServers(t, 2, nil)
	j := open(t, opt)
	defer j.Close()
	old, next := c.Servers[0], c.Servers[1]
	in := order("k")
	s, _, err := j.Accept(t.Context(), in)
	if err == nil {
		_, err = j.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: in.At, Outcome: handover.Accepted, Carrier: "telco", Total: 1,
			Parts: []orders.PartAnswer{{Refs: []string{"m"}, Taken: true}}}})
	}
	if err != nil {
		t.Fatal(err)
	}
	await := func(s *pgcluster.Server, query, want string) {
		t.Helper()
		for got := ""; got != want && t.Context().Err() == nil; time.Sleep(5 * time.Millisecond) {
			if got, err = s.SQL(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A second entry that no standby has, and that is visible, as after a restart.
	await(old, "select count(*) from pg_stat_replication where replay_lsn = pg_current_wal_lsn()", "1")
	if err := next.Set(map[string]string{"primary_conninfo": ""}); err != nil {
		t.Fatal(err)
	}
	await(next, "select count(*) from pg_stat_wal_receiver", "0")
	const waiting = "from pg_stat_activity where wait_event = 'SyncRep'"
	applied := make(chan error, 1)
	go func() {
		_, err := j.Apply(context.Background(), []orders.Event{orders.Report{Carrier: "telco", Refs: []string{"m"}, IDs: 1, At: in.At, Status: orders.SMSDelivered}})
		applied <- err
	}()
	const entries = "select count(*) from straks.feed"
	for got := ""; got != "2"; time.Sleep(5 * time.Millisecond) {
		if _, err = old.SQL(t.Context(), "select pg_cancel_backend(pid) "+waiting); err == nil {
			got, err = old.SQL(t.Context(), entries)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := <-applied; !errors.Is(err, orders.ErrUnavailable) {
		t.Fatal(err)
	}
	type page struct {
		entries []orders.FeedEntry
		err     error
	}
	read := func() chan page {
		got := make(chan page, 1)
		go func() {
			entries, err := j.Feed(context.Background(), orders.FeedQuery{Organisation: "ttd", Limit: 10})
			got <- page{entries, err}
		}()
		return got
	}
	state := func() (running, another bool) {
		j.barrier.mu.Lock()
		defer j.barrier.mu.Unlock()
		return j.barrier.running, j.barrier.next != nil
	}
	first := read()
	for running, another := false, true; !running || another; running, another = state() {
		time.Sleep(time.Millisecond)
	}
	second := read()
	for another := false; !another; _, another = state() { // it waits for the write after the one that is under way
		time.Sleep(time.Millisecond)
	}
	if err := c.Failover(t.Context()); err != nil {
		t.Fatal(err)
	}
	j.pool.Reset() // so that the next write finds no session with the old primary
	if err := c.Fence(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	for _, got := range []page{<-first, <-second} {
		if !errors.Is(got.err, orders.ErrUnavailable) {
			t.Errorf("%d entries, %v", len(got.entries), got.err)
		}
	}
	var left []orders.FeedEntry
	insist(t, func() (err error) {
		left, err = j.Feed(context.Background(), orders.FeedQuery{Organisation: "ttd", Limit: 10})
		return err
	})
	if len(left) != 1 || j.heads.isKept("ttd", 2) {
		t.Errorf("after the failover: %+v", left)
	}
}
