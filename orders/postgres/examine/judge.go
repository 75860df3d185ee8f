package examine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
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
	Run   []string // what changes it, or shows more: SQL, which ends with a semicolon, or shell
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
		return found("version", Fix, "The server is PostgreSQL %d; straks needs 15 or later: upgrade the server, or name another one in journal.postgres.", f.version/10000)
	}
	return found("version", OK, "The server is PostgreSQL %d.%d.", f.version/10000, f.version%10000)
}

func (f *facts) judgePrimary() Finding {
	switch {
	case f.recovery:
		return found("primary", Fix, "The server is a standby: journal.postgres must name all servers and target_session_attrs=read-write.")
	case f.readOnly:
		return found("primary", Fix, "Sessions are read-only (default_transaction_read_only), so nothing can be stored. Some services set that while a disk is full: look at that first.").
			run(f.writable()...)
	}
	return found("primary", OK, "The server is a primary.")
}

// reload has a server read its settings again.
const reload = "select pg_reload_conf();"

// writable are the commands that make sessions writable again.
func (f *facts) writable() []string {
	const begin, reset = "begin read write; ", " reset default_transaction_read_only; commit;"
	switch f.readOnlyBy {
	case "user":
		return []string{begin + "alter role " + f.role + reset}
	case "database":
		return []string{begin + "alter database " + f.database + reset}
	case "database user":
		return []string{begin + "alter role " + f.role + " in database " + f.database + reset}
	}
	return []string{"alter system set default_transaction_read_only = off;", reload}
}

// waitFor are the commands that have commits wait for one of the standbys.
func waitFor(names []string) []string {
	names = slices.Clone(names)
	for i, name := range names {
		names[i] = pgx.Identifier{name}.Sanitize()
	}
	return []string{"patronictl edit-config --set synchronous_mode=quorum  # where Patroni 4 runs, else on the primary:",
		"alter system set synchronous_standby_names = 'ANY 1 (" + strings.ReplaceAll(strings.Join(names, ", "), "'", "''") + ")';", reload}
}

func (f *facts) judgeNames() Finding {
	if f.recovery {
		return found("standby_names", Unknown, "A standby does not say what commits of its primary wait for.")
	}
	n := quorum(f.names)
	if n == 0 {
		const says = "synchronous_standby_names is empty, so commits wait for no other server: a failover forgets orders, and their keys, that were acknowledged. Messages may then be sent twice."
		if names := f.follow(); len(names) > 0 {
			return found("standby_names", Fix, says).run(waitFor(names)...)
		}
		return found("standby_names", Fix, says+" Start a standby first, and set it then: while none streams, no commit would end.")
	}
	return found("standby_names", OK, "Each commit waits for %d of the standbys in synchronous_standby_names.", n)
}

func (f *facts) judgeStandbys() Finding {
	need := quorum(f.names)
	var names []string
	for _, s := range f.standbys {
		if s.streams() {
			names = append(names, s.name)
		}
	}
	all := f.follow()
	switch {
	case f.recovery:
		return found("standbys", Unknown, "A standby does not know which others stream: this is looked at on the primary.")
	case need > 0 && len(names) > need:
		return found("standbys", OK, "%s (%s), and a commit waits for %d.", stream(len(names)), strings.Join(names, ", "), need)
	case need > 0 && len(names) == need:
		return found("standbys", Note, "Only %s (%s), and each commit waits for %d: if one is lost, no order is taken until it is back. Start one more.", stream(len(names)), strings.Join(names, ", "), need)
	case len(f.standbys) > 0 && !f.sees:
		return found("standbys", Unknown, "The role %s may not see which standbys stream.", f.role).run("grant pg_monitor to " + f.role + ";")
	case need == 0 && len(all) > 0:
		return found("standbys", OK, "%s (%s), and no commit waits for them: that is the finding standby_names.", stream(len(all)), strings.Join(all, ", "))
	case need == 0:
		return found("standbys", Fix, "No standby streams: if this server is lost, all is lost that was stored since the last backup. Start a standby; the log of one that runs says why it does not follow. "+
			"For a managed service that replicates in another way, set journal.ha = false.")
	case len(all) > len(names) && len(all) >= need:
		return found("standbys", Fix, "No commit ends: each waits for %d of the standbys in synchronous_standby_names (%s), and those that stream are called otherwise (%s).", need, f.names, strings.Join(all, ", ")).
			run(waitFor(all)...)
	}
	return found("standbys", Fix, "No commit ends, and no order is taken: %s, and each commit waits for %d. Start the missing ones; the log of one that runs says why it does not follow.", stream(len(names)), need).
		run("patronictl list  # where Patroni runs", "select application_name, state, sync_state, reply_time from pg_stat_replication;")
}

// stream says how many standbys do.
func stream(n int) string {
	switch n {
	case 0:
		return "no standby streams"
	case 1:
		return "1 standby streams"
	}
	return fmt.Sprintf("%d standbys stream", n)
}

func on(name, value, why string) Finding {
	if value != "on" {
		return found(name, Fix, "%s is %s: %s.", name, value, why).run("alter system set "+name+" = on;", reload)
	}
	return found(name, OK, "%s is on.", name)
}

func (f *facts) judgeCommit() Finding {
	switch {
	case len(f.settings) > 0:
		var whats, resets []string
		for _, s := range f.settings {
			whats, resets = append(whats, s.what), append(resets, s.reset+";")
		}
		return found("synchronous_commit", Fix, "A commit need not wait for a standby: %s.", strings.Join(whats, "; ")).run(resets...)
	case f.synchronousCommit != "on" && f.synchronousCommit != "remote_apply":
		return found("synchronous_commit", Fix, "synchronous_commit is %s: a commit is acknowledged before it is on the disk of a standby.", f.synchronousCommit).
			run("alter system set synchronous_commit = on;", reload)
	}
	return found("synchronous_commit", OK, "synchronous_commit is %s.", f.synchronousCommit)
}

func (f *facts) judgeLevel() Finding {
	if f.walLevel != "replica" && f.walLevel != "logical" {
		return found("wal_level", Fix, "wal_level is %s: no standby can follow.", f.walLevel).run("alter system set wal_level = replica;  -- and restart the server")
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
		return found("clock", Fix, "This machine's clock is %v %s the database's: synchronise both. A node that is off by more than %v takes no orders.", f.offset.Abs().Round(time.Millisecond), word, mostOffset).
			run("timedatectl set-ntp true  # on both machines", "chronyc tracking  # where chrony keeps the clock: says which one is wrong")
	case off > noteOffset:
		return found("clock", Note, "This machine's clock is %v %s the database's; beyond %v a node is not ready. Is time synchronised on both?", f.offset.Abs().Round(time.Millisecond), word, mostOffset)
	}
	return found("clock", OK, "This machine's clock and the database's agree within %v.", max(f.offset.Abs(), f.uncertainty).Round(time.Millisecond))
}

func (f *facts) judgeConnections(need int) Finding {
	if free := f.most - f.connections; free < need {
		return found("connections", Note, "%d of %d sessions are free (max_connections), and a node takes up to %d.", max(free, 0), f.most, need).
			run("select usename, application_name, count(*) from pg_stat_activity group by 1, 2 order by 3 desc;  -- whose they are",
				"alter system set max_connections = "+fmt.Sprint(f.most+2*need+10)+";  -- and restart: the standbys first, which need as many")
	}
	return found("connections", OK, "%d of %d sessions are in use.", f.connections, f.most)
}

// judgeSignal: a commit that waits for its standby becomes visible, unreplicated, when its session is cancelled or
// terminated. The journal notices (a WARNING at the commit), but readers of other programs do not.
func (f *facts) judgeSignal() Finding {
	switch {
	case len(f.signal) > 0:
		var names, revokes []string
		for _, s := range f.signal {
			names, revokes = append(names, s.name), append(revokes, s.revoke+";")
		}
		return found("cancellers", Note, "Other roles than superusers may cancel or terminate the sessions of straks, which makes a commit visible before a standby has it: %s.", strings.Join(names, ", ")).
			run(revokes...)
	case f.super:
		return found("cancellers", Note, "The role %s is a superuser, which straks does not need: create one with login only, and make it the owner of the database and of what is in it.", f.role)
	}
	return found("cancellers", OK, "No roles but superusers may cancel or terminate the sessions of straks.")
}
