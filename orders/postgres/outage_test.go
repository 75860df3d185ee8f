package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/internal/handover"
	"straks/internal/pgcluster"
	"straks/orders"
)

// ownServer starts a server that the test may kill.
func ownServer(t *testing.T, settings map[string]string) (*pgcluster.Cluster, Options) {
	t.Helper()
	if err := pgcluster.Available(); err != nil {
		t.Skip(err)
	}
	c, err := pgcluster.Start(t.Context(), pgcluster.Options{Servers: 1, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	opt := Options{DSN: c.DSN(), Readers: 4, Log: quiet()}
	if err := Create(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	return c, opt
}

func order(key string) orders.AcceptRequest {
	return orders.AcceptRequest{Shipment: uuid.Must(uuid.NewV7()), OrderID: uuid.New(), Claim: uuid.New(), Key: key,
		At: time.Now().UTC(), ClaimFor: 10 * time.Second, Organisation: "ttd", Channel: orders.SMS, Recipient: "+4799999999", TTL: time.Hour, Total: 1}
}

// insist repeats a call while the journal knows nothing, as callers do.
func insist(t *testing.T, call func() error) {
	for {
		err := call()
		if err == nil {
			return
		}
		if !errors.Is(err, orders.ErrUnavailable) && !errors.Is(err, orders.ErrBusy) {
			t.Error(err)
			return
		}
		time.Sleep(20 * time.Millisecond) // as a client's Retry-After
	}
}

// life takes an order from its claim to its receipt, on two nodes.
func life(t *testing.T, nodes []*Journal, n int) uuid.UUID {
	one, other := nodes[n%len(nodes)], nodes[(n+1)%len(nodes)]
	in := order(fmt.Sprint("k", n))
	var s orders.Shipment
	insist(t, func() (err error) {
		var claimed bool
		if s, claimed, err = one.Accept(context.Background(), in); err == nil && !claimed {
			t.Errorf("key %d was not claimed: %+v", n, s)
		}
		return err
	})
	ref := fmt.Sprint("m", n)
	apply := func(j *Journal, e orders.Event) {
		insist(t, func() error {
			_, err := j.Apply(context.Background(), []orders.Event{e})
			return err
		})
	}
	var both sync.WaitGroup
	both.Go(func() {
		apply(one, orders.Answer{Shipment: s.ID, Claim: s.Claim, At: time.Now().UTC(), Outcome: handover.Accepted, Carrier: "telco", Total: 1,
			Parts: []orders.PartAnswer{{Refs: []string{ref}, Taken: true}}})
	})
	both.Go(func() {
		apply(other, orders.Report{Carrier: "telco", Refs: []string{ref}, IDs: 1, At: time.Now().UTC(), Status: orders.SMSDelivered})
	})
	both.Wait()
	insist(t, func() error {
		again := in
		again.Claim, again.Shipment = uuid.New(), uuid.Must(uuid.NewV7())
		have, claimed, err := other.Accept(context.Background(), again)
		if err == nil && (claimed || have.ID != s.ID) {
			t.Errorf("key %d again: claimed %v, %v", n, claimed, have.ID)
		}
		return err
	})
	return s.ID
}

// TestServerDies has the server killed, stopped and its sessions ended under load: no order is lost or doubled, no
// status is missing, and the feed is dense.
func TestServerDies(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	second := opt
	second.Node = 2
	nodes := []*Journal{open(t, opt), open(t, second)}
	var sent atomic.Int64
	var all sync.Map
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 24 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					all.Store(life(t, nodes, int(sent.Add(1))), true)
				}
			}
		})
	}
	more := func(n int64) { // until as many orders more have begun
		for from := sent.Load(); sent.Load() < from+n && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
	}
	server := c.Servers[0]
	for i := range 3 {
		more(40)
		if _, err := server.SQL(t.Context(), "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'straks'"); err != nil {
			t.Error(err)
		}
		more(40)
		end := server.Kill
		if i == 1 {
			end = server.Stop
		}
		if err := errors.Join(end(), server.Start(t.Context())); err != nil {
			t.Error(err)
		}
	}
	more(40)
	close(stop)
	load.Wait()
	complete(t, nodes, &all)
	for _, j := range nodes {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

// complete checks that both nodes show each shipment as delivered, and its two entries in a dense feed.
func complete(t *testing.T, nodes []*Journal, all *sync.Map) {
	t.Helper()
	for _, j := range nodes {
		entries := make(map[uuid.UUID][]orders.Status)
		seq := uint64(0)
		for {
			page, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: "ttd", Seq: seq, Limit: 500})
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, e := range page {
				if seq++; e.Seq != seq {
					t.Fatalf("entry %d follows %d", e.Seq, seq-1)
				}
				entries[e.Shipment.ID] = append(entries[e.Shipment.ID], e.Shipment.Status)
			}
		}
		all.Range(func(id, _ any) bool {
			if got := fmt.Sprint(entries[id.(uuid.UUID)]); got != "[SMS_Accepted SMS_Delivered]" {
				t.Errorf("shipment %v: %s", id, got)
			}
			delete(entries, id.(uuid.UUID))
			return true
		})
		if len(entries) > 0 {
			t.Errorf("the feed has %d shipments that nobody placed", len(entries))
		}
	}
}

// TestUnreplicated has a commit wait for a standby that is not there, and somebody cancel the wait: then the row is
// visible, and on one disk. Neither the call nor a repeat nor a reader may say that it is stored.
func TestUnreplicated(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	opt.Lease = time.Minute // it is not renewed meanwhile
	j := open(t, opt)
	defer j.Close()
	server := c.Servers[0]
	set := func(names string) {
		t.Helper()
		if err := server.Set(map[string]string{"synchronous_standby_names": names}); err != nil {
			t.Fatal(err)
		}
		for got := "?"; got != names; {
			var err error
			if got, err = server.SQL(t.Context(), "show synchronous_standby_names"); err != nil {
				t.Fatal(err)
			}
		}
	}
	waiting := func(n string) {
		t.Helper()
		for got := ""; got != n; {
			var err error
			if got, err = server.SQL(t.Context(), "select count(*) from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'straks'"); err != nil {
				t.Fatal(err)
			}
		}
	}
	in := order("k")
	accept := func(in orders.AcceptRequest) chan error {
		done := make(chan error, 1)
		go func() {
			_, _, err := j.Accept(context.Background(), in)
			done <- err
		}()
		return done
	}
	set("nobody")
	first := accept(in)
	waiting("1")
	if _, err := server.SQL(t.Context(), "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'straks'"); err != nil {
		t.Fatal(err)
	}
	if err := <-first; !errors.Is(err, orders.ErrUnavailable) {
		t.Fatalf("a commit on one disk: %v", err)
	}
	for j.orders.refuse() != nil { // for a moment after a failure, calls are refused at once
		time.Sleep(10 * time.Millisecond)
	}
	again := accept(in)
	waiting("1")
	known := make(chan error, 1)
	go func() {
		_, ok, err := j.Known(context.Background(), in.Organisation, in.Key, in.At.Add(time.Minute))
		if err == nil && !ok {
			err = errors.New("the key is not known")
		}
		known <- err
	}()
	waiting("2")
	set("")
	if err := <-again; err != nil {
		t.Errorf("the repeat, once it may be stored: %v", err)
	}
	if err := <-known; err != nil {
		t.Error(err)
	}
}

// TestCallerLeaves: a caller that leaves leaves its write running.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	j := open(t, opt)
	defer j.Close()
	conn, err := pgx.Connect(t.Context(), c.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(conn)
	tx, err := conn.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), "lock table straks.keys in exclusive mode") // a write waits here
	}
	if err != nil {
		t.Fatal(err)
	}
	in := order("k")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, _, err := j.Accept(ctx, in)
		done <- err
	}()
	for got := ""; got != "1"; {
		if got, err = c.Servers[0].SQL(t.Context(), "select count(*) from pg_locks where not granted"); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-done; !errors.Is(err, orders.ErrUnavailable) {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, claimed, err := j.Accept(t.Context(), in); err != nil || !claimed || s.ID != in.Shipment {
		t.Fatalf("the repeat: %v, %v", claimed, err)
	}
	if _, err := j.Shipment(t.Context(), "ttd", in.Shipment); err != nil {
		t.Fatal(err)
	}
}
