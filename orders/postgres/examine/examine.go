package examine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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
		return []Finding{found("reachable", Fix, "No server that takes writes can be reached: %s.", Reason(err))}
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		conn.Close(closing)
	}()
	f, err := read(ctx, conn)
	if err != nil {
		return []Finding{found("reachable", Fix, "The server does not answer what it is asked: %s.", Reason(err))}
	}
	all := append([]Finding{found("reachable", OK, "The server can be reached.")}, f.judge(o.Sessions)...)
	return ordered(append(all, f.commitTime(ctx, conn), judgePatroni(ctx, hosts(config), orDefault(o.PatroniPort))))
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
		return found("commit_time", Unknown, "A server that takes no writes has no commits.")
	case standbys.Level == Fix && quorum(f.names) > 0:
		return found("commit_time", Unknown, "No commit was tried: none ends without a standby.")
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

// Reason returns an error of PostgreSQL or of the connection in one line without a DSN, which may hold a password.
func Reason(err error) string {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return fmt.Sprintf("%s (SQLSTATE %s)", said.Message, said.Code)
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		if inner := connect.Unwrap(); inner != nil {
			err = inner
		}
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}
