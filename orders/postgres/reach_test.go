package postgres

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestUnusable: whatever keeps a program from the database is said in one line, with what to do, and without a password.
func TestUnusable(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeConn(conn) })
	role := fmt.Sprintf("guest%d", server.databases.Load())
	if _, err := conn.Exec(t.Context(), "create role "+role+" login"); err != nil {
		t.Fatal(err)
	}
	own := Options{DSN: dsn, Password: "hemlig"}
	without := func(s Options, old, new string) Options { s.DSN = strings.Replace(s.DSN, old, new, 1); return s }
	guest, nowhere := without(own, "user=straks", "user="+role), without(own, "dbname=test", "dbname=none")
	deaf := Options{DSN: "host=127.0.0.1,::1 port=1,1 user=straks dbname=straks", Password: "hemlig"}
	if err := Create(t.Context(), guest); err == nil || !strings.Contains(err.Error(), "must own the database") {
		t.Errorf("made by a guest: %v", err)
	}
	if err := Create(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(Options) error{
		"Create":    func(o Options) error { return Create(t.Context(), o) },
		"Upgrade":   func(o Options) error { _, err := Upgrade(t.Context(), o); return err },
		"Open":      func(o Options) error { _, err := Open(t.Context(), o); return err },
		"Probe":     func(o Options) error { _, err := Probe(t.Context(), o); return err },
		"Check":     func(o Options) error { return Check(t.Context(), o, func(int64) {}) },
		"ReadStats": func(o Options) error { _, err := ReadStats(t.Context(), o); return err },
		"Jump":      func(o Options) error { _, err := Jump(t.Context(), o); return err },
	}
	for name, call := range calls {
		for says, o := range map[string]Options{"must own the database": guest, "check dbname": nowhere, "connection refused": deaf} {
			err := call(o)
			if err == nil || !strings.Contains(err.Error(), says) || strings.ContainsAny(err.Error(), "\n\t") || strings.Contains(err.Error(), "hemlig") {
				t.Errorf("%s: %v, want %q", name, err, says)
			}
		}
	}
}

// TestFrozenFirst: the first address of the DSN takes connections and never answers, as a server that is frozen. The node
// starts all the same, and gets its lease back after it has lost all its sessions.
func TestFrozenFirst(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	frozen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = frozen.Close() })
	_, port, _ := net.SplitHostPort(frozen.Addr().String())
	opt := Options{DSN: strings.NewReplacer("host=", "host=127.0.0.1,", "port=", "port="+port+",", "sslmode=disable", "sslmode=prefer", "connect_timeout=60", "connect_timeout=2").Replace(dsn),
		Lease: 2 * time.Second}
	log := newSettings("")
	opt.Log = slog.New(slog.NewTextHandler(log, nil))
	if err := Create(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	j := open(t, opt)
	t.Cleanup(func() { _ = j.Close() })
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeConn(conn) })
	if _, err := conn.Exec(t.Context(), "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lease is renewed again", func() bool { return log.logged("this node's lease is renewed again") > 0 })
	eventually(t, "the node is ready again", func() bool { return j.Ready() == nil })
}

// TestConnectTimeout: the DSN says how long connecting may take. pgx's own two minutes are none that anybody chose.
func TestConnectTimeout(t *testing.T) {
	for dsn, want := range map[string]time.Duration{"host=db1": connectTime, "host=db1 connect_timeout=1": time.Second, "host=db1,db2 connect_timeout=30": 30 * time.Second} {
		cfg, err := ConnConfig(Options{DSN: dsn})
		if err != nil || cfg.ConnectTimeout != want {
			t.Errorf("%s: %v, %v", dsn, cfg.ConnectTimeout, err)
		}
	}
}
