package examine

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"straks/orders/postgres/reason"
)

const (
	commits = 20
	// slowCommit is when a commit takes so long that each order notices: it waits for two.
	slowCommit = 50 * time.Millisecond
	// commitTime bounds the commits together.
	commitTime = 5 * time.Second
)

// judgeCommits measures commits that wait for a standby as the journal's do. They write a message without
// content into the WAL, and no row. The last one may be abandoned: nothing depends on it.
func judgeCommits(ctx context.Context, conn *pgx.Conn) Finding {
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	if _, err := conn.Exec(ctx, "set synchronous_commit = on"); err != nil {
		return found("commit_time", Unknown, "No commit could be tried: %s.", reason.Of(err))
	}
	var took []time.Duration
	for range commits {
		began := time.Now()
		_, err := conn.Exec(ctx, "select pg_logical_emit_message(true, 'straks', '')")
		switch {
		case ctx.Err() != nil && len(took) == 0:
			return found("commit_time", Fix, "A commit did not end within %v: no standby acknowledges it. Is one frozen, is its disk full, or the way to it cut? An old reply_time shows which.", commitTime).
				run("select application_name, state, sync_state, reply_time from pg_stat_replication;  -- on the primary")
		case err != nil && len(took) == 0:
			return found("commit_time", Unknown, "No commit could be tried: %s.", reason.Of(err))
		}
		took = append(took, time.Since(began))
		if err != nil {
			break // what was measured counts
		}
	}
	slices.Sort(took)
	p50, p99 := took[len(took)/2].Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond)
	if p50 > slowCommit {
		return found("commit_time", Note, "A commit takes %v (the slowest of %d %v), and an order waits for two: look at the disks, and at the way to the standbys.", p50, len(took), p99)
	}
	return found("commit_time", OK, "A commit takes %v, the slowest of %d %v.", p50, len(took), p99)
}
