package postgres

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"straks/orders"
)

// TestSameReferences: two nodes insert the same new references at the same time, as with answers at one node and the receipts
// for them at the other. One waits for the other, and neither for both: the server has no deadlock to end.
func TestSameReferences(t *testing.T) {
	t.Parallel()
	opt := made(t)
	opt.Log = quiet()
	const refs = 8 // of a report that waits, at the most
	nodes := []*Journal{open(t, opt), open(t, node(opt, 2))}
	for range 5 {
		var reports []orders.Event
		for range 200 {
			r := orders.Report{Carrier: "telco", IDs: 1, At: order("").At, Status: orders.SMSDelivered}
			for range refs {
				r.Refs = append(r.Refs, uuid.NewString())
			}
			reports = append(reports, r)
		}
		var both sync.WaitGroup
		for _, j := range nodes {
			both.Go(func() {
				if _, err := j.Apply(t.Context(), reports); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
	}
	for _, j := range nodes {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
	count := func(sql string) (n int) { return ask(t, opt, sql) }
	eventually(t, "sessions are left that have not told of their deadlocks", func() bool {
		return count("select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()") == 0
	})
	if n := count("select deadlocks from pg_stat_database where datname = current_database()"); n != 0 {
		t.Errorf("%d deadlocks", n)
	}
	if n := count("select count(*) from straks.refs where parked is not null"); n != 5*200*refs {
		t.Errorf("%d references", n)
	}
}

// ask asks the database for a number.
func ask(t *testing.T, opt Options, sql string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), opt.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer closeConn(conn)
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", sql, err))
	}
	return n
}
