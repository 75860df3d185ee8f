package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/codes"
	"straks/internal/handover"
	"straks/internal/logtest"
	"straks/internal/pgcluster"
	"straks/orders"
)

// ownServer starts a server that the test may kill. Leases outlast the test, as made has them: they are not renewed meanwhile.
func ownServer(t *testing.T, settings map[string]string) (*pgcluster.Cluster, Options) {
	t.Helper()
	return ownServers(t, 1, settings)
}

// ownServers starts so many.
func ownServers(t *testing.T, n int, settings map[string]string) (*pgcluster.Cluster, Options) {
	t.Helper()
	if err := pgcluster.Available(); err != nil {
		t.Skip(err)
	}
	c, err := pgcluster.Start(t.Context(), pgcluster.Options{Servers: n, Settings: settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	opt := Options{DSN: c.DSN(), Readers: 4, Log: quiet(), Lease: time.Hour}
	if err := Create(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	return c, opt
}

// waitFor has commits wait for a standby that is not there, or for none.
func waitFor(t *testing.T, s *pgcluster.Server, standby string) {
	t.Helper()
	if err := s.WaitFor(t.Context(), standby); err != nil {
		t.Fatal(err)
	}
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
// visible, and on one disk. Neither the call nor a repeat may say that it is stored, nor may its claim be ended.
func TestUnreplicated(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	j := open(t, opt)
	defer j.Close()
	server := c.Servers[0]
	waiting := func(n string) { // sessions whose commit waits, or that wait for the rows of one
		t.Helper()
		eventually(t, n+" sessions do not wait", func() bool {
			got, err := server.SQL(t.Context(), "select count(*) from pg_stat_activity where wait_event in ('SyncRep', 'transactionid') and application_name = 'straks'")
			if err != nil {
				t.Fatal(err)
			}
			return got == n
		})
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
	waitFor(t, server, "nobody")
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
	waiting("1") // the repeat, or before it a write of the journal's own, which is tried after a failure
	s, known, err := j.Known(t.Context(), in.Organisation, in.Key, in.At.Add(time.Minute))
	if err != nil || !known || !s.Claimed() { // who asks ends the claim before it tells anybody
		t.Errorf("known %v, %+v, %v", known, s, err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := j.Apply(context.Background(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: in.At, Outcome: handover.Unknown, Total: 1}})
		ended <- err
	}()
	waiting("2")
	select {
	case err := <-again:
		t.Errorf("the repeat, while it is on one disk: %v", err)
	case err := <-ended:
		t.Errorf("the end of the claim, while it is on one disk: %v", err)
	default:
	}
	waitFor(t, server, "")
	if err := <-again; err != nil {
		t.Errorf("the repeat, once it may be stored: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the end of the claim, once it may be stored: %v", err)
	}
}

// TestErrorsInOneLine: what is logged and answered while no server can be reached stands in one line, however many addresses
// were tried.
func TestErrorsInOneLine(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	var log logtest.Log
	opt.Log = slog.New(slog.NewTextHandler(&log, nil))
	opt.DSN = c.DSNAt("straks", c.Servers[0].Host()+",127.0.0.1,::1", "5432,1,1")
	j := open(t, opt)
	defer j.Close()
	if err := c.Servers[0].Stop(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	if _, _, err := j.Accept(ctx, order("first")); err == nil { // from now on it is not ready
		t.Error("an order was stored")
	}
	for name, call := range map[string]func() error{
		"Accept": func() error { _, _, err := j.Accept(ctx, order("k")); return err },
		"Known":  func() error { _, _, err := j.Known(ctx, "ttd", "k", time.Now()); return err },
		"Apply": func() error {
			_, err := j.Apply(ctx, []orders.Event{orders.Expiry{Shipment: uuid.New(), At: time.Now()}})
			return err
		},
		"Shipment":   func() error { _, err := j.Shipment(ctx, "ttd", uuid.New()); return err },
		"Feed":       func() error { _, err := j.Feed(ctx, orders.FeedQuery{Organisation: "ttd", Limit: 1}); return err },
		"Find":       func() error { _, err := j.Find(ctx, orders.FindQuery{Recipient: "+4799999999", Limit: 1}); return err },
		"Waiting":    func() error { _, err := j.Waiting(ctx, "+4799999999", 1); return err },
		"Blocks":     func() error { _, err := j.Blocks(ctx, orders.BlockQuery{Limit: 1}); return err },
		"Due":        func() error { _, _, err := j.Due(ctx, time.Now(), 1); return err },
		"Sweep":      func() error { _, err := j.Sweep(ctx, time.Now(), orders.Retention{All: time.Hour}, 1); return err },
		"Abandoned":  func() error { _, err := j.Abandoned(ctx); return err },
		"Matches":    func() error { _, err := j.Matches(ctx, time.Now(), time.Now(), 1); return err },
		"Heads":      func() error { _, err := j.Heads(ctx); return err },
		"Cursors":    func() error { _, err := j.Cursors(ctx); return err },
		"PutCursors": func() error { return j.PutCursors(ctx, []orders.Cursor{{Organisation: "ttd", Name: "n"}}, nil) },
		"Others":     func() error { _, err := j.Others(ctx); return err },
		"Accepted":   func() error { return j.Accepted(ctx, time.Now(), func(orders.Shipment) {}) },
		"UpdateCodes": func() error {
			return j.UpdateCodes(ctx, func(tx codes.Tx) error { _, err := tx.Get(codes.Requests, nil); return err })
		},
		"ViewCodes": func() error {
			return j.ViewCodes(ctx, func(r codes.Reader) error { _, err := r.Get(codes.Requests, nil); return err })
		},
		"Ready": j.Ready,
	} {
		var err error
		eventually(t, name+" does not fail", func() bool { err = call(); return err != nil })
		if strings.ContainsAny(err.Error(), "\n\t") {
			t.Errorf("%s: %q", name, err)
		}
	}
	eventually(t, "nothing is logged", func() bool {
		return strings.Contains(log.String(), "can't be written")
	})
	if strings.Contains(log.String(), `\n`) || strings.Contains(log.String(), `\t`) {
		t.Error(log.String())
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
	insist(t, func() error {
		s, claimed, err := j.Accept(t.Context(), in)
		if err == nil && (!claimed || s.ID != in.Shipment) {
			t.Errorf("the repeat: claimed %v, %v", claimed, s.ID)
		}
		return err
	})
	if _, err := j.Shipment(t.Context(), "ttd", in.Shipment); err != nil {
		t.Fatal(err)
	}
}

// locking opens a session that has locked rows, for as long as it is open.
func locking(t *testing.T, opt Options, sql string) *pgx.Conn {
	t.Helper()
	cfg, err := opt.config()
	if err != nil {
		t.Fatal(err)
	}
	delete(cfg.RuntimeParams, "idle_in_transaction_session_timeout")
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"begin", sql} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// TestSessionEndsInTheRules: the one look that the rules take themselves, for the report that waits longest, fails with its
// session. Nothing is known then, as with any other failure of the database.
func TestSessionEndsInTheRules(t *testing.T) {
	t.Parallel()
	opt := made(t)
	opt.MaxParked, opt.Log = 1, quiet()
	j := open(t, opt)
	defer j.Close()
	park := func(ref string) error {
		_, err := j.Apply(t.Context(), []orders.Event{orders.Report{Carrier: "telco", Refs: []string{ref}, IDs: 1, At: time.Now().UTC(), Status: orders.SMSDelivered}})
		return err
	}
	if err := park("m1"); err != nil {
		t.Fatal(err)
	}
	conn := locking(t, opt, "select from parked for update")
	defer closeConn(conn)
	parked := make(chan error, 1)
	go func() { parked <- park("m2") }()
	eventually(t, "the look does not wait", func() bool {
		var ended int
		err := conn.QueryRow(t.Context(), `select count(pg_terminate_backend(pid)) from pg_locks l join pg_stat_activity a using (pid)
			where not l.granted and a.datname = current_database()`).Scan(&ended)
		return err == nil && ended == 1
	})
	if err := <-parked; !errors.Is(err, orders.ErrUnavailable) {
		t.Errorf("the session has ended: %v", err)
	}
	if _, err := conn.Exec(t.Context(), "rollback"); err != nil {
		t.Fatal(err)
	}
	insist(t, func() error { return park("m2") })
}
