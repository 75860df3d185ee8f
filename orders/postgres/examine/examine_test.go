package examine

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/internal/eventually"
	"straks/internal/pgcluster"
)

func cluster(t *testing.T, o pgcluster.Options) *pgcluster.Cluster {
	t.Helper()
	if err := pgcluster.Available(); err != nil {
		t.Skip(err)
	}
	c, err := pgcluster.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func config(t *testing.T, dsn string) *pgx.ConnConfig {
	t.Helper()
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func look(t *testing.T, dsn string, o Options) map[string]Finding {
	t.Helper()
	if o.PatroniPort == "" {
		o.PatroniPort = "1" // nobody is there
	}
	named := make(map[string]Finding)
	for _, f := range Examine(t.Context(), config(t, dsn), o) {
		named[f.Name] = f
	}
	return named
}

func run(t *testing.T, s *pgcluster.Server, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := s.SQL(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// wait waits until the server has read its settings again: a session sees a new value later than the postmaster.
func wait(t *testing.T, dsn, name string, want Level) Finding {
	t.Helper()
	var f Finding
	eventually.True(t, name, func() bool { f = look(t, dsn, Options{})[name]; return f.Level == want })
	return f
}

// TestFindings provokes what can be provoked on a cluster, one after the other, and takes it back.
func TestFindings(t *testing.T) {
	c := cluster(t, pgcluster.Options{})
	dsn, p := c.DSN(), c.Primary
	for _, name := range Names() {
		if f, ok := look(t, dsn, Options{})[name]; !ok || f.Level == Fix || f.Says == "" {
			t.Errorf("%s of a cluster that is well: %+v", name, f)
		}
	}
	plain := strings.Replace(dsn, "target_session_attrs=read-write", "", 1)
	for _, provoke := range []struct{ name, dsn, do, undo, says string }{
		{"standby_names", dsn, "alter system set synchronous_standby_names = ''", "alter system reset synchronous_standby_names", "sent twice"},
		{"standbys", dsn, "alter system set synchronous_standby_names = 'ANY 1 (nobody)'", "alter system reset synchronous_standby_names", "called otherwise (n2, n3)"},
		{"fsync", dsn, "alter system set fsync = off", "alter system reset fsync", "fsync is off"},
		{"full_page_writes", dsn, "alter system set full_page_writes = off", "alter system reset full_page_writes", "full_page_writes is off"},
		{"synchronous_commit", dsn, "alter system set synchronous_commit = local", "alter system reset synchronous_commit", "synchronous_commit is local"},
		{"synchronous_commit", dsn, "alter role straks set synchronous_commit = off", "", "role straks sets synchronous_commit=off"},
		{"synchronous_commit", dsn, "alter database straks set synchronous_commit = remote_write", "", "database straks sets"},
		{"synchronous_commit", dsn, "alter role straks in database straks set synchronous_commit = off", "", "role straks of database straks sets"},
		{"synchronous_commit", dsn, "alter role all set synchronous_commit = off", "", "sets synchronous_commit=off"},
		{"primary", plain, "alter system set default_transaction_read_only = on", "alter system reset default_transaction_read_only", "read-only"},
		{"primary", plain, "alter role straks set default_transaction_read_only = on", "", "read-only"},
		{"primary", plain, "alter database straks set default_transaction_read_only = on", "", "read-only"},
		{"primary", plain, "alter role straks in database straks set default_transaction_read_only = on", "", "read-only"},
	} {
		run(t, p, provoke.do, reload)
		f := wait(t, provoke.dsn, provoke.name, Fix)
		if !strings.Contains(f.Says, provoke.says) {
			t.Errorf("%s: %+v", provoke.do, f)
		}
		mend(t, p, f)
		wait(t, provoke.dsn, provoke.name, OK)
		if provoke.undo != "" {
			run(t, p, provoke.undo, reload)
			wait(t, provoke.dsn, provoke.name, OK)
		}
	}
	if got := look(t, dsn, Options{}); got["standbys"].Level != OK || got["reachable"].Level != OK {
		t.Errorf("once all is mended: %+v", got)
	}
	standby := look(t, c.Servers[1].DSN(), Options{})
	if f := standby["primary"]; f.Level != Fix || !strings.Contains(f.Says, "target_session_attrs") {
		t.Errorf("of a standby: %+v", f)
	}
	if f := look(t, dsn, Options{Sessions: 99})["connections"]; f.Level != Note {
		t.Errorf("of sessions: %+v", f)
	}
	roles(t, c)
	losses(t, c)
}

// mend runs the SQL that a finding says to run.
func mend(t *testing.T, s *pgcluster.Server, f Finding) {
	t.Helper()
	n := 0
	for _, line := range f.Run {
		if sql, _, _ := strings.Cut(line, "  --"); strings.HasSuffix(sql, ";") {
			run(t, s, sql)
			n++
		}
	}
	if n == 0 {
		t.Errorf("%s has no SQL: %q", f.Name, f.Run)
	}
}

// roles: what an ordinary role sees, and others that may cancel its sessions.
func roles(t *testing.T, c *pgcluster.Cluster) {
	run(t, c.Primary, "create role node login", "create role batch login in role pg_signal_backend", "create role helper login in role node")
	node := strings.Replace(c.DSN(), "user=straks", "user=node", 1)
	got := look(t, node, Options{})
	if f := got["standbys"]; f.Level != Unknown || len(f.Run) != 1 || f.Run[0] != "grant pg_monitor to node;" {
		t.Errorf("of a role that sees nothing: %+v", f)
	}
	if f := got["cancellers"]; f.Level != Note || !strings.Contains(f.Says, "batch, helper") {
		t.Errorf("of others: %+v", f)
	}
	mend(t, c.Primary, got["standbys"])
	mend(t, c.Primary, got["cancellers"])
	got = look(t, node, Options{})
	for _, name := range []string{"standbys", "cancellers"} {
		if got[name].Level != OK {
			t.Errorf("%s: %+v", name, got[name])
		}
	}
	if f := look(t, c.DSN(), Options{})["cancellers"]; f.Level != Note || !strings.Contains(f.Says, "superuser") {
		t.Errorf("of a superuser: %+v", f)
	}
}

// losses takes one standby away, then the other, then all.
func losses(t *testing.T, c *pgcluster.Cluster) {
	c.Servers[1].Kill()
	wait(t, c.DSN(), "standbys", Note)
	c.Servers[2].Freeze()
	run(t, c.Primary, "alter system set wal_sender_timeout = '1min'", "select pg_reload_conf()")
	if f := look(t, c.DSN(), Options{})["commit_time"]; f.Level != Fix && f.Level != Unknown {
		t.Errorf("of a standby that hangs: %+v", f)
	}
	c.Servers[2].Kill()
	if f := wait(t, c.DSN(), "standbys", Fix); !strings.Contains(f.Says, "No commit ends") || !strings.Contains(fmt.Sprint(f.Run), "pg_stat_replication") {
		t.Errorf("without a standby: %+v", f)
	}
	if f := look(t, c.DSN(), Options{})["commit_time"]; f.Level != Unknown || !strings.Contains(f.Says, "see the finding standbys") {
		t.Errorf("without a standby: %+v", f)
	}
	c.Primary.Kill()
	got := look(t, c.DSN(), Options{})
	if f := got["reachable"]; f.Level != Fix || len(got) != 1 || len(f.Run) != 4 || !strings.Contains(f.Run[3], "pg_isready -h "+c.Servers[2].Host()+" -p ") {
		t.Errorf("without a server: %+v", got)
	}
}

// TestWALLevel: a server that nobody can follow.
func TestWALLevel(t *testing.T) {
	c := cluster(t, pgcluster.Options{Servers: 1, Settings: map[string]string{"wal_level": "minimal", "max_wal_senders": "0"}})
	got := look(t, c.DSN(), Options{})
	for _, name := range []string{"wal_level", "standby_names", "standbys"} {
		if got[name].Level != Fix {
			t.Errorf("%s: %+v", name, got[name])
		}
	}
	if f := got["commit_time"]; f.Level != OK && f.Level != Note {
		t.Errorf("%+v", f)
	}
}

// TestJudge: what no server of a test can be made to say.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		f    facts
		name string
		want Level
	}{
		{facts{version: 140009}, "version", Fix},
		{facts{version: 170002}, "version", OK},
		{facts{offset: 3 * time.Second, uncertainty: 2 * time.Millisecond}, "clock", Fix},
		{facts{offset: -3 * time.Second}, "clock", Fix},
		{facts{offset: time.Second}, "clock", Note},
		{facts{offset: 3 * time.Second, uncertainty: 2900 * time.Millisecond}, "clock", OK},
		{facts{readOnly: true}, "primary", Fix},
		{facts{synchronousCommit: "remote_apply"}, "synchronous_commit", OK},
		{facts{names: "FIRST 2 (a, b)", standbys: []standby{{"a", "streaming", "sync"}, {"b", "catchup", "sync"}}, sees: true}, "standbys", Fix},
		{facts{names: "*", standbys: []standby{{"a", "streaming", "sync"}, {"b", "streaming", "potential"}}}, "standbys", Note},
		{facts{standbys: []standby{{"a", "streaming", "async"}}, sees: true}, "standbys", OK}, // commits end: what is wrong is standby_names
		{facts{standbys: []standby{{"a", "startup", "async"}}, sees: true}, "standbys", Fix},
	} {
		for _, f := range c.f.judge(1) {
			if f.Name == c.name && f.Level != c.want {
				t.Errorf("%+v: %+v", c.f, f)
			}
		}
	}
}

func TestQuorum(t *testing.T) {
	for names, want := range map[string]int{"": 0, " ": 0, "*": 1, "a, b": 1, "ANY 1 (a, b)": 1, "any 2 (*)": 2, "FIRST 3 (a, \"b c\", d)": 3, "2 (a, b)": 2, `"any"`: 1} {
		if got := quorum(names); got != want {
			t.Errorf("%q: %d", names, got)
		}
	}
}

func TestPatroni(t *testing.T) {
	for said, want := range map[string]Level{
		`{"patroni": {"version": "2.1.4", "scope": "x"}}`: Fix, `{"patroni": {"version": "3.0.2"}}`: Fix, `{"patroni": {"version": "3.0.3"}}`: Note,
		`{"patroni": {"version": "4.0.5"}}`: OK, `{"patroni": {}}`: OK, `{}`: OK, `<html>`: OK, `{"patroni": {"version": "new"}}`: OK,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/patroni" {
				io.WriteString(w, said)
			}
		}))
		address, _ := url.Parse(server.URL)
		host, port, _ := net.SplitHostPort(address.Host)
		if f := judgePatroni(t.Context(), []string{host}, port); f.Level != want {
			t.Errorf("%s: %+v", said, f)
		}
		server.Close()
	}
}

// TestWatch: a node is not ready before the first look, and while something must be fixed; a metric has each.
func TestWatch(t *testing.T) {
	c := cluster(t, pgcluster.Options{Servers: 1})
	reg := prometheus.NewRegistry()
	w := NewWatch(config(t, c.DSN()), Options{PatroniPort: "1"}, true, slog.New(slog.DiscardHandler), reg)
	if w.Ready() == nil {
		t.Error("ready before it looked")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if !w.look(ctx) {
		t.Error("one server alone is well")
	}
	if err := w.Ready(); err == nil || !strings.Contains(err.Error(), "standby_names, standbys") {
		t.Errorf("ready: %v", err)
	}
	for name, want := range map[string]float64{"standby_names": 1, "fsync": 0} {
		if got := testutil.ToFloat64(w.gauge.WithLabelValues(name)); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
	w.required = false
	if err := w.Ready(); err != nil {
		t.Errorf("where it is not required: %v", err)
	}
	cancel()
	if err := w.Run(ctx); err != nil {
		t.Error(err)
	}
}

// TestReason: no password is in what is said of a connection that fails.
func TestReason(t *testing.T) {
	got := look(t, "host=127.0.0.1 port=1 user=u password=hemlig dbname=d", Options{})
	if text := fmt.Sprint(got); got["reachable"].Level != Fix || strings.Contains(text, "hemlig") || !strings.Contains(text, "refused") {
		t.Error(text)
	}
}
