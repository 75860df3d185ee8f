package postgres

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"straks/internal/handover"
	"straks/orders"
)

// TestEffectsOfALostCommit ends the session of a commit whose transaction is stored, and of one before that: what it has changed
// is told once it is known to be stored, and that it is not.
func TestEffectsOfALostCommit(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	j := open(t, opt)
	defer j.Close()
	server := c.Servers[0]
	sql := func(query string) string {
		t.Helper()
		got, err := server.SQL(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	const waits = " from pg_stat_activity where application_name = 'straks' and wait_event_type in ('Lock', 'IPC') and wait_event in ('relation', 'SyncRep')"
	for name, c := range map[string]struct {
		begin, end func()
		stored     bool
	}{
		"stored": {stored: true,
			begin: func() { waitFor(t, server, "nobody") },
			end:   func() { waitFor(t, server, "") }},
		"not stored": {begin: func() {}, end: func() {}},
	} {
		in := order(name)
		s, _, err := j.Accept(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		var lock pgx.Tx
		conn, err := pgx.Connect(t.Context(), opt.DSN)
		if err != nil {
			t.Fatal(err)
		}
		if c.begin(); !c.stored {
			if lock, err = conn.Begin(t.Context()); err == nil {
				_, err = lock.Exec(t.Context(), "lock table straks.feed in exclusive mode") // which the last trip writes
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		answer := []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: time.Now().UTC(), Outcome: handover.Accepted, Carrier: "telco", Total: 1,
			Parts: []orders.PartAnswer{{Refs: []string{name}, Taken: true}}}}
		failed := make(chan error, 1)
		go func() {
			_, err := j.Apply(context.Background(), answer)
			failed <- err
		}()
		eventually(t, "the commit does not wait", func() bool { return sql("select count(*)"+waits) == "1" })
		sql("select pg_terminate_backend(pid)" + waits)
		err = <-failed
		var undecided *orders.UndecidedError
		if !errors.As(err, &undecided) || !errors.Is(err, orders.ErrUnavailable) {
			t.Fatalf("%s: %v", name, err)
		}
		if c.end(); lock != nil {
			_ = lock.Rollback(t.Context())
		}
		closeConn(conn)
		var again []orders.Effect
		insist(t, func() (err error) {
			again, err = j.Apply(context.Background(), answer)
			return err
		})
		var later []orders.Effect
		select {
		case later = <-undecided.Effects:
		default:
			t.Fatalf("%s: undecided after a repeat", name)
		}
		if got := len(later) == 1 && len(later[0].Changes) == 1; got != c.stored || (len(again[0].Changes) == 1) == c.stored {
			t.Errorf("%s: then %+v, and to a repeat %+v", name, later, again)
		}
	}
}
