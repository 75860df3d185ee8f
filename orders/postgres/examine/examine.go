package examine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"straks/orders/postgres/reason"
)

// lookTime bounds a look at everything.
const lookTime = 20 * time.Second

// Options are those of a look.
type Options struct {
	Sessions    int    // that a node takes at the most
	PatroniPort string // of Patroni's REST API. Default: 8008
}

// Examine looks at the server that a configuration leads to. It returns a finding for each of Names that could be
// looked at, in their order.
func Examine(ctx context.Context, config *pgx.ConnConfig, o Options) []Finding {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	own := config.Copy()
	for name := range own.RuntimeParams {
		delete(own.RuntimeParams, name) // see what role and database set
	}
	own.RuntimeParams["application_name"] = "straks doctor"
	conn, err := pgx.ConnectConfig(ctx, own)
	if err != nil {
		return []Finding{unreachable(own, reason.Of(err))}
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		conn.Close(closing)
	}()
	f, err := read(ctx, conn)
	if err != nil {
		return []Finding{found("reachable", Fix, "The server does not answer what it is asked: %s.", reason.Of(err))}
	}
	all := append([]Finding{found("reachable", OK, "The server can be reached.")}, f.judge(o.Sessions)...)
	return ordered(append(all, f.commitTime(ctx, conn), judgePatroni(ctx, hosts(config), orDefault(o.PatroniPort))))
}

// unreachable is what is found where no server that takes writes answers, with the first thing to look at.
func unreachable(config *pgx.ConnConfig, why string) Finding {
	f := found("reachable", Fix, "No server that takes writes can be reached: %s.", why)
	switch {
	case strings.Contains(why, "read only connection"):
		f.Says += " Those that answer are standbys, or their sessions are read-only. A supervisor promotes a standby by itself, within a minute. Without one, promote one, but only if the former primary is surely down."
		return f.run("patronictl list  # where Patroni runs", "show default_transaction_read_only;  -- on the primary: with on, sessions are read-only")
	case strings.Contains(why, "SQLSTATE"):
		return f // it answers, and the reason says what to do
	}
	f.Says += " Do the servers run, and does this machine reach them?"
	asks := []string{"patronictl list  # where Patroni runs", fmt.Sprintf("pg_isready -h %s -p %d", config.Host, config.Port)}
	for _, other := range config.Fallbacks {
		if ask := fmt.Sprintf("pg_isready -h %s -p %d", other.Host, other.Port); !slices.Contains(asks, ask) {
			asks = append(asks, ask)
		}
	}
	return f.run(asks...)
}

func orDefault(port string) string {
	if port == "" {
		return patroniPort
	}
	return port
}

// commitTime tries commits where one can end.
func (f *facts) commitTime(ctx context.Context, conn *pgx.Conn) Finding {
	switch standbys := f.judgeStandbys(); {
	case f.recovery || f.readOnly:
		return found("commit_time", Unknown, "No commit was tried, since the server takes no writes: see the finding primary.")
	case standbys.Level == Fix && quorum(f.names) > 0:
		return found("commit_time", Unknown, "No commit was tried, since none ends: see the finding standbys.")
	}
	return judgeCommits(ctx, conn)
}

// hosts returns the hosts of a configuration that are no folders of sockets.
func hosts(config *pgx.ConnConfig) (all []string) {
	add := func(host string) {
		if !strings.HasPrefix(host, "/") && !strings.HasPrefix(host, "@") {
			all = append(all, host)
		}
	}
	add(config.Host)
	for _, f := range config.Fallbacks {
		if f.Host != config.Host {
			add(f.Host)
		}
	}
	return all
}

// ordered returns the findings in the order of Names.
func ordered(all []Finding) (sorted []Finding) {
	for _, name := range Names() {
		for _, f := range all {
			if f.Name == name {
				sorted = append(sorted, f)
			}
		}
	}
	return sorted
}
