package examine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// facts are what is read from a server. They have no secret and nothing of an order.
type facts struct {
	recovery, readOnly  bool
	readOnlyBy          string // where that is set, as pg_settings has it: "user", "database", "configuration file"
	version             int    // 150018
	fsync, fullPages    string
	synchronousCommit   string // of a session with no setting of its own
	walLevel, names     string // names is synchronous_standby_names
	connections, most   int    // client sessions there are; those that an ordinary role may have together
	sees                bool   // the role may see other sessions' states
	super               bool   // the role is a superuser
	role                string
	offset, uncertainty time.Duration // of our clock: ours minus the database's

	database string // with quotes, if it needs them; so is role
	standbys []standby
	settings []setting // that make commits wait for less
	signal   []signaller
}

// setting is one of a role, of a database or of both.
type setting struct{ what, reset string } // "role straks sets synchronous_commit=local"; the command that takes it back

// signaller is another role that may cancel or terminate our sessions, and the command that takes that from it.
type signaller struct{ name, revoke string }

type standby struct{ name, state, sync string }

// streams reports whether a commit may wait for the standby.
func (s standby) streams() bool {
	return s.state == "streaming" && (s.sync == "quorum" || s.sync == "sync")
}

// follow returns the names of the standbys that stream, whether a commit may wait for them or not.
func (f *facts) follow() (names []string) {
	for _, s := range f.standbys {
		if s.state == "streaming" && !slices.Contains(names, s.name) {
			names = append(names, s.name)
		}
	}
	return names
}

const factsQuery = `select pg_is_in_recovery(), current_setting('transaction_read_only') = 'on',
	current_setting('server_version_num')::int, current_setting('fsync'), current_setting('full_page_writes'),
	current_setting('synchronous_commit'), current_setting('wal_level'), current_setting('synchronous_standby_names'),
	(select count(*) from pg_stat_activity where backend_type = 'client backend')::int,
	current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
	pg_has_role('pg_read_all_stats', 'usage'), (select rolsuper from pg_roles where rolname = current_user), quote_ident(current_user),
	quote_ident(current_database()), (select source from pg_settings where name = 'default_transaction_read_only')`

const settingsQuery = `select concat_ws(' of ', 'role ' || r.rolname, 'database ' || d.datname) || ' sets ' || c,
	case when s.setrole = 0 and s.setdatabase <> 0 then 'alter database ' || quote_ident(d.datname)
		else concat_ws(' in database ', 'alter role ' || coalesce(quote_ident(r.rolname), 'all'), quote_ident(d.datname)) end || ' reset synchronous_commit'
	from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) c
	where c like 'synchronous_commit=%' and c not in ('synchronous_commit=on', 'synchronous_commit=remote_apply')
	and (s.setrole = 0 or r.rolname = current_user) and (s.setdatabase = 0 or d.datname = current_database()) order by 1`

const signalQuery = `select rolname::text,
	case when pg_has_role(oid, 'pg_signal_backend', 'member') then 'revoke pg_signal_backend from ' else 'revoke ' || quote_ident(current_user) || ' from ' end || quote_ident(rolname)
	from pg_roles r where rolcanlogin and not rolsuper and rolname <> current_user
	and (pg_has_role(oid, 'pg_signal_backend', 'member') or pg_has_role(oid, (select oid from pg_roles where rolname = current_user), 'member'))
	order by 1 limit 20`

// read asks the server.
func read(ctx context.Context, conn *pgx.Conn) (f facts, err error) {
	err = conn.QueryRow(ctx, factsQuery).Scan(&f.recovery, &f.readOnly, &f.version, &f.fsync, &f.fullPages,
		&f.synchronousCommit, &f.walLevel, &f.names, &f.connections, &f.most, &f.sees, &f.super, &f.role, &f.database, &f.readOnlyBy)
	if err != nil {
		return f, err
	}
	f.standbys, err = rows[standby](ctx, conn, `select application_name, coalesce(state, ''), coalesce(sync_state, '') from pg_stat_replication order by 1`,
		func(row pgx.CollectableRow) (s standby, err error) { return s, row.Scan(&s.name, &s.state, &s.sync) })
	settings, settingsErr := rows(ctx, conn, settingsQuery, func(row pgx.CollectableRow) (s setting, err error) { return s, row.Scan(&s.what, &s.reset) })
	signal, signalErr := rows(ctx, conn, signalQuery, func(row pgx.CollectableRow) (s signaller, err error) { return s, row.Scan(&s.name, &s.revoke) })
	f.settings, f.signal = settings, signal
	return f, errors.Join(err, settingsErr, signalErr, f.readClock(ctx, conn))
}

func rows[T any](ctx context.Context, conn *pgx.Conn, query string, to pgx.RowToFunc[T]) ([]T, error) {
	found, err := conn.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, to)
}

// readClock compares the clocks, by the fastest of three questions.
func (f *facts) readClock(ctx context.Context, conn *pgx.Conn) error {
	for i := range 3 {
		var theirs time.Time
		began := time.Now()
		if err := conn.QueryRow(ctx, "select clock_timestamp()").Scan(&theirs); err != nil {
			return fmt.Errorf("the clock: %w", err)
		}
		half := time.Since(began) / 2
		if i == 0 || half < f.uncertainty {
			f.offset, f.uncertainty = began.Add(half).Sub(theirs), half
		}
	}
	return nil
}
