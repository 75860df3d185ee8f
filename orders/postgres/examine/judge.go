package examine

import (
	"fmt"
	"strings"
	"time"
)

// Level is what a finding asks of the operator.
type Level uint8

const (
	OK      Level = iota
	Note          // it works; there is something to know
	Fix           // it may lose what was acknowledged, or does not work: a node of an HA journal is not ready
	Unknown       // it could not be looked at
)

// Finding is the result of one look.
type Finding struct {
	Name  string // one of Names
	Level Level
	Says  string   // one or two sentences
	Run   []string // what changes it: SQL or shell
}

// Names are those of all findings, in their order.
func Names() []string {
	return []string{"reachable", "version", "primary", "standby_names", "standbys", "fsync", "full_page_writes", "synchronous_commit", "wal_level",
		"clock", "commit_time", "connections", "cancellers", "patroni"}
}

const (
	leastVersion = 150000
	// mostOffset is how far our clock may be from the database's; noteOffset is worth a note.
	mostOffset, noteOffset = 2 * time.Second, 500 * time.Millisecond
)

func found(name string, level Level, format string, args ...any) Finding {
	return Finding{Name: name, Level: level, Says: fmt.Sprintf(format, args...)}
}

func (f Finding) run(commands ...string) Finding {
	f.Run = commands
	return f
}

// judge returns the findings that follow from what was read. need is how many sessions a node takes.
func (f *facts) judge(need int) []Finding {
	return []Finding{f.judgeVersion(), f.judgePrimary(), f.judgeNames(), f.judgeStandbys(),
		on("fsync", f.fsync, "a crash of the machine may lose or damage what was acknowledged"),
		on("full_page_writes", f.fullPages, "a crash of the machine may damage pages"),
		f.judgeCommit(), f.judgeLevel(), f.judgeClock(), f.judgeConnections(need), f.judgeSignal()}
}

func (f *facts) judgeVersion() Finding {
	if f.version < leastVersion {
		return found("version", Fix, "The server is PostgreSQL %d; straks needs 15 or later.", f.version/10000)
	}
	return found("version", OK, "The server is PostgreSQL %d.%d.", f.version/10000, f.version%10000)
}

func (f *facts) judgePrimary() Finding {
	switch {
	case f.recovery:
		return found("primary", Fix, "The server is a standby: journal.postgres must name all servers and target_session_attrs=read-write.")
	case f.readOnly:
		return found("primary", Fix, "Sessions are read-only (default_transaction_read_only).")
	}
	return found("primary", OK, "The server is a primary.")
}

func (f *facts) judgeNames() Finding {
	if f.recovery {
		return found("standby_names", Unknown, "A standby does not say what commits of its primary wait for.")
	}
	n := quorum(f.names)
	if n == 0 {
		return found("standby_names", Fix, "synchronous_standby_names is empty, so commits wait for no other server: a failover forgets orders, and their keys, that were acknowledged. Messages may then be sent twice.").
			run("alter system set synchronous_standby_names = 'ANY 1 (name, name)'  -- Patroni: synchronous_mode: quorum", "select pg_reload_conf()")
	}
	return found("standby_names", OK, "Each commit waits for %d of the standbys in synchronous_standby_names.", n)
}

func (f *facts) judgeStandbys() Finding {
	need, streaming := max(quorum(f.names), 1), 0
	var names []string
	for _, s := range f.standbys {
		if s.streams() {
			streaming++
			names = append(names, s.name)
		}
	}
	switch {
	case f.recovery:
		return found("standbys", Unknown, "A standby does not know which others stream.")
	case streaming >= need && streaming > quorum(f.names):
		return found("standbys", OK, "%d standbys stream (%s), and a commit waits for %d.", streaming, strings.Join(names, ", "), need)
	case streaming >= need:
		return found("standbys", Note, "Only %d standbys stream (%s), and each commit waits for %d: without one more, the loss of one stops all orders.", streaming, strings.Join(names, ", "), need)
	case len(f.standbys) > 0 && !f.sees:
		return found("standbys", Unknown, "The role %s may not see which standbys stream.", f.role).run("grant pg_monitor to " + f.role)
	}
	return found("standbys", Fix, "%d standbys stream synchronously, and a commit must wait for %d: no commit ends, or it waits for nobody. See pg_stat_replication.", streaming, need)
}

func on(name, value, why string) Finding {
	if value != "on" {
		return found(name, Fix, "%s is %s: %s.", name, value, why).run("alter system set "+name+" = on", "select pg_reload_conf()")
	}
	return found(name, OK, "%s is on.", name)
}

func (f *facts) judgeCommit() Finding {
	switch {
	case len(f.settings) > 0:
		return found("synchronous_commit", Fix, "A commit need not wait for a standby: %s.", strings.Join(f.settings, "; ")).
			run("alter role … reset synchronous_commit  -- or: alter database … reset synchronous_commit")
	case f.synchronousCommit != "on" && f.synchronousCommit != "remote_apply":
		return found("synchronous_commit", Fix, "synchronous_commit is %s: a commit is acknowledged before it is on the disk of a standby.", f.synchronousCommit).
			run("alter system set synchronous_commit = on", "select pg_reload_conf()")
	}
	return found("synchronous_commit", OK, "synchronous_commit is %s.", f.synchronousCommit)
}

func (f *facts) judgeLevel() Finding {
	if f.walLevel != "replica" && f.walLevel != "logical" {
		return found("wal_level", Fix, "wal_level is %s: no standby can follow.", f.walLevel).run("alter system set wal_level = replica  -- and restart")
	}
	return found("wal_level", OK, "wal_level is %s.", f.walLevel)
}

func (f *facts) judgeClock() Finding {
	off := f.offset.Abs() - f.uncertainty // at least
	word := "ahead of"
	if f.offset < 0 {
		word = "behind"
	}
	switch {
	case off > mostOffset:
		return found("clock", Fix, "This machine's clock is %v %s the database's.", f.offset.Abs().Round(time.Millisecond), word).run("timedatectl set-ntp true  -- on both machines")
	case off > noteOffset:
		return found("clock", Note, "This machine's clock is %v %s the database's; beyond %v a node is not ready.", f.offset.Abs().Round(time.Millisecond), word, mostOffset)
	}
	return found("clock", OK, "This machine's clock and the database's agree within %v.", max(f.offset.Abs(), f.uncertainty).Round(time.Millisecond))
}

func (f *facts) judgeConnections(need int) Finding {
	if free := f.most - f.connections; free < need {
		return found("connections", Note, "%d of %d sessions are free (max_connections), and a node takes up to %d.", max(free, 0), f.most, need).
			run("alter system set max_connections = " + fmt.Sprint(f.most+2*need+10) + "  -- and restart")
	}
	return found("connections", OK, "%d of %d sessions are in use.", f.connections, f.most)
}

// judgeSignal: a commit that waits for its standby becomes visible, unreplicated, when its session is cancelled or
// terminated. The journal notices (a WARNING at the commit), but readers of other programs do not.
func (f *facts) judgeSignal() Finding {
	switch {
	case len(f.signal) > 0:
		return found("cancellers", Note, "Other roles than superusers may cancel or terminate the sessions of straks, which makes a commit visible before a standby has it: %s.", strings.Join(f.signal, ", ")).
			run("revoke pg_signal_backend from …")
	case f.super:
		return found("cancellers", Note, "The role %s is a superuser, which straks does not need: create one with login only, and make it the owner of the database.", f.role)
	}
	return found("cancellers", OK, "No roles but superusers may cancel or terminate the sessions of straks.")
}
