package postgres

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"straks/orders"
)

// TestSweepSparesWhatIsRenewed: what is written again while retention is about to remove it stays: the block of a recipient
// whose block was lifted, a reference that a carrier uses again.
func TestSweepSparesWhatIsRenewed(t *testing.T) {
	t.Parallel()
	for table, rows := range map[string]struct{ old, renew string }{
		"refs": {"insert into refs (hash, bound_part, before_part, at) values ('\\x01', 0, 0, now() - interval '8 days')", "update refs set at = now()"},
		"blocked": {"insert into blocked (hash, gone, suppression, record) values ('\\x01', now() - interval '1 hour', false, '\\x01')",
			"update blocked set gone = null"},
		"unanswered": {"insert into unanswered (number, shipment, until) values ('\\x01', gen_random_uuid(), now() - interval '1 hour')",
			"update unanswered set until = now() + interval '1 hour'"},
	} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			opt := made(t)
			j := open(t, opt)
			defer j.Close()
			cfg, err := opt.config()
			if err != nil {
				t.Fatal(err)
			}
			conn, err := pgx.ConnectConfig(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer closeConn(conn)
			run := func(sql string) {
				t.Helper()
				if _, err := conn.Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			count := func(sql string) (n int) {
				t.Helper()
				if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			run(rows.old)
			run("begin")
			run(rows.renew)
			swept := make(chan error, 1)
			go func() {
				_, err := j.Sweep(t.Context(), time.Now(), orders.Retention{All: orders.DefaultRetention}, 100)
				swept <- err
			}()
			for count("select count(*) from pg_locks l join pg_stat_activity a using (pid) where not l.granted and a.datname = current_database()") == 0 {
				time.Sleep(time.Millisecond)
			}
			run("commit")
			if err := <-swept; err != nil {
				t.Fatal(err)
			}
			if count("select count(*) from "+table) != 1 {
				t.Error("it is gone")
			}
		})
	}
}
