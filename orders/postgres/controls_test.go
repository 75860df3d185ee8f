package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/internal/handover"
	"straks/orders"
)

// Controls that must fail: each does what the engine must not do, where the other tests have the engine do it right, and
// shows that the harm would be seen.

// TestControlOneDisk: a context that reaches a write makes it visible on one disk when it ends, and an insert that does
// nothing for a known key answers from there at once, where the engine's statement waits for a standby.
func TestControlOneDisk(t *testing.T) {
	t.Parallel()
	c, _ := ownServer(t, nil)
	server := c.Servers[0]
	waitFor(t, server, "nobody")
	waiting := func() bool {
		got, err := server.SQL(t.Context(), "select count(*) from pg_stat_activity where wait_event = 'SyncRep'")
		return err == nil && got == "1"
	}
	h, id := hashOf("ttd", "k"), [16]byte(uuid.Must(uuid.NewV7()))
	write := func(sql string, args ...any) (cancel context.CancelFunc, ended chan error) {
		conn, err := pgx.Connect(t.Context(), c.DSN())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended = make(chan error, 1)
		go func() {
			_, err := conn.Exec(ctx, sql, args...)
			closeConn(conn)
			ended <- err
		}()
		return cancel, ended
	}
	cancel, ended := write("insert into straks.keys (hash, shipment) values ($1, $2)", h[:], id)
	eventually(t, "the commit does not wait", waiting)
	cancel()
	if err := <-ended; err == nil {
		t.Error("the write was not cancelled")
	}
	eventually(t, "the control did not fail: what a context has cancelled is not visible", func() bool {
		got, err := server.SQL(t.Context(), "select count(*) from straks.keys")
		return err == nil && got == "1"
	})

	_, ended = write("insert into straks.keys (hash, shipment) values ($1, $2) on conflict do nothing", h[:], id)
	if err := <-ended; err != nil {
		t.Errorf("the control did not fail: do nothing waits: %v", err)
	}
	cancel, ended = write("set search_path = straks; " + `insert into keys (hash, shipment) values ('\x` + hexOf(h) + `', '` + uuid.UUID(id).String() + `')
		on conflict (hash) do update set shipment = keys.shipment returning hash, shipment`)
	eventually(t, "the engine's statement does not wait", waiting)
	cancel()
	<-ended
}

func hexOf(h hash) string {
	const digits = "0123456789abcdef"
	var text []byte
	for _, b := range h {
		text = append(text, digits[b>>4], digits[b&15])
	}
	return string(text)
}

// TestControlClocks: where each node believes its own clock, one that is ahead tells that a message was sent, without ending
// its claim, or keeps its deadline; and the node that has it finds its key free, or sends it after all.
func TestControlClocks(t *testing.T) {
	t.Parallel()
	opt := made(t) // the callers' times count alone
	j, ahead := open(t, opt), open(t, node(opt, 2))
	defer j.Close()
	defer ahead.Close()
	claim := func(key string) orders.Shipment {
		in := order(key)
		in.ClaimFor = time.Minute
		s, _, err := j.Accept(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	later := func(s orders.Shipment) time.Time { return s.Accepted.Add(2 * time.Hour) }
	answer := func(s orders.Shipment, o handover.Outcome) orders.Shipment {
		a := orders.Answer{Shipment: s.ID, Claim: s.Claim, At: s.Accepted.Add(time.Second), Outcome: o, Total: 1}
		if o == handover.Accepted {
			a.Parts = []orders.PartAnswer{{Refs: []string{"m"}, Taken: true}}
		}
		effects, err := j.Apply(t.Context(), []orders.Event{a})
		if err != nil {
			t.Fatal(err)
		}
		return effects[0].Shipment
	}
	told := claim("told")
	if s, known, err := ahead.Known(t.Context(), "ttd", "told", later(told)); err != nil || !known || s.Held {
		t.Fatalf("the control did not fail: known %v, held %v, %v", known, s.Held, err)
	}
	if s := answer(told, handover.NotSent); !s.Status.Free() {
		t.Errorf("the control did not fail: NotSent leaves %v", s.Status)
	}
	expired := claim("expired")
	effects, err := ahead.Apply(t.Context(), []orders.Event{orders.Expiry{Shipment: expired.ID, At: later(expired)}})
	if err != nil || effects[0].Shipment.Status != orders.SMSFailedTTL {
		t.Fatalf("the control did not fail: %+v, %v", effects, err)
	}
	if s := answer(expired, handover.Accepted); s.Status != orders.SMSFailedTTL {
		t.Errorf("the control did not fail: it was sent, and is %v", s.Status)
	}
}

// TestDeadlinesAreTheKeepers: a node that is not the keeper finds nothing due, and a deadline that a clock ahead would keep
// is not kept while the claim is in flight by the database's.
func TestDeadlinesAreTheKeepers(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	j, other := open(t, opt), open(t, node(opt, 2))
	defer j.Close()
	defer other.Close()
	in := order("k")
	in.ClaimFor, in.TTL = time.Hour, time.Second
	s, _, err := j.Accept(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	later := s.Accepted.Add(2 * time.Hour)
	if due, _, err := other.Due(t.Context(), later, 10); err != nil || len(due) != 0 {
		t.Errorf("due at a node that is not the keeper: %v, %v", due, err)
	}
	effects, err := other.Apply(t.Context(), []orders.Event{orders.Expiry{Shipment: s.ID, At: later}})
	if err != nil || effects[0].Shipment.Status != orders.SMSSending {
		t.Errorf("a deadline by a clock that is ahead: %+v, %v", effects, err)
	}
}
