package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"straks/internal/config"
	"straks/internal/daemon"
	"straks/orders/bolt"
	"straks/orders/ledger"
	"straks/orders/postgres"
	"straks/orders/sealed"
)

// database returns how the journal's database is reached; ok is false where the journal is a file.
func (f journalFlags) database() (opt postgres.Options, ok bool, err error) {
	if *f.file != "" {
		return opt, false, nil
	}
	cfg, _, err := config.LoadSealed(*f.config)
	if err != nil || !cfg.Journal.Shared() {
		return opt, false, err
	}
	opt, err = daemon.PostgresOptions(cfg)
	return opt, err == nil, err
}

const postgresUsage = "the database to ask in place of journal.postgres, a standby for example: a connection `string` of PostgreSQL"

// databaseAt is database at another server, if dsn is not empty.
func (f journalFlags) databaseAt(dsn string) (opt postgres.Options, ok bool, err error) {
	if opt, ok, err = f.database(); dsn == "" || err != nil {
		return opt, ok, err
	}
	if !ok {
		return opt, false, misused(`%s: -postgres is for a journal in PostgreSQL, and this one is a file`, f.Name())
	}
	if err := postgres.CheckDSN(dsn); err != nil {
		return opt, false, misused("%s: -postgres %v", f.Name(), err)
	}
	opt.DSN = dsn
	return opt, true, nil
}

// onlyFile returns why a command can't be used with a journal in a database; nil where it is a file.
func (f journalFlags) onlyFile(command, instead string) error {
	_, ok, err := f.database()
	if err == nil && ok {
		err = fmt.Errorf("journal %s is for a journal in a file, and this one is in PostgreSQL: %s", command, instead)
	}
	return err
}

const (
	noBackup  = "pg_basebackup or pgBackRest copy the database, also while nodes run. docs/cluster.md says what a restore means"
	noCompact = "autovacuum keeps its tables small, and retention drops the tables of a week that has passed"
	noMigrate = "straks upgrade changes its schema, while nodes of the version before may run"
)

// postgresStats prints what is in a journal in a database.
func postgresStats(ctx context.Context, opt postgres.Options, e env) error {
	s, err := postgres.ReadStats(ctx, opt)
	if err != nil {
		return err
	}
	out := newTable(e.stdout)
	out.row("id", s.ID)
	out.row("schema", s.Schema)
	out.row("server", map[bool]string{true: "a primary", false: "a standby"}[s.Primary])
	out.row("organisations", s.Feeds)
	out.row("deadlines kept up to", s.Kept.UTC().Format(time.RFC3339))
	for _, t := range s.Tables {
		records := "records not counted yet"
		if t.Records >= 0 {
			records = fmt.Sprintf("about %d records", t.Records)
		}
		if t.Partitions > 0 {
			records += fmt.Sprintf(", %d weeks", t.Partitions)
		}
		out.row(t.Name, fmt.Sprintf("%d octets, %s", t.Octets, records))
	}
	if len(s.Keys) > 0 {
		out.row("plain recipients", map[bool]string{true: "there may be some", false: "0"}[s.Plain])
	}
	for _, key := range s.Keys {
		out.row("recipients sealed with", key)
	}
	for _, n := range s.Nodes {
		state := "dead"
		if n.Live {
			state = fmt.Sprintf("alive, %.1f s left of its lease", n.Left.Seconds())
		}
		out.row(fmt.Sprintf("node %d", n.ID), fmt.Sprintf("%s, epoch %d %s %s", state, n.Epoch, n.URL, n.Version))
	}
	return out.Flush()
}

// postgresCheck checks every invariant of a journal in a database.
func postgresCheck(ctx context.Context, opt postgres.Options, e env) error {
	p := newProgress(e, "journal check", records)
	err := postgres.Check(ctx, opt, func(n int64) { p.report(n, 0) })
	if p.end(err); err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, "the journal is sound")
	return err
}

// journalJump has each feed go on far beyond what readers may have read.
func journalJump(ctx context.Context, args []string, e env) error {
	fs := newJournalFlags("journal jump [-config FILE]")
	fs.notes = "It is for a database that has forgotten what readers of feeds may have read: after the restore of a copy, or a failover that lost\n" +
		"commits. No node may run.\n"
	if _, err := fs.parse(args, e, "jump"); err != nil {
		return err
	}
	opt, ok, err := fs.database()
	if err == nil && !ok {
		err = errors.New("journal jump is for a journal in PostgreSQL. For a file, restoring is in docs/operations.md")
	}
	if err != nil {
		return err
	}
	n, err := postgres.Jump(ctx, opt)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%d feeds go on 1,000,000 numbers later, and the journal has a new id\n", n)
	return err
}

// journalMove takes a journal in a file over into the configuration's database.
func journalMove(ctx context.Context, args []string, e env) error {
	fs := newFlags("journal move [-config FILE] [-key-file FILE [-former-key-file FILE]] FROM")
	fs.notes = "FROM is the file of a journal that no straks has open. The database must have no journal. If the command is interrupted,\n" +
		"run it again: it goes on with the next table. At the end it compares counts, checks all invariants, and renames FROM.\n" +
		"Recipients are sealed in the database with the configuration's journal.key_file, and in the clear without one.\n"
	path := fs.configFlag()
	key := fs.String("key-file", "", "the `file` with the key that FROM was sealed with")
	former := fs.String("former-key-file", "", "the `file` with the key that it was sealed with before")
	operands, err := fs.parse(args, e, "move", "FROM (the journal's file)")
	if err != nil {
		return err
	}
	cfg, _, err := config.LoadSealed(*path)
	if err != nil {
		return err
	}
	if !cfg.Journal.Shared() {
		return fmt.Errorf(`journal move: %s has journal.engine = "bolt"; it must be "postgres", and journal.postgres name the database to move into`, *path)
	}
	opt, err := daemon.PostgresOptions(cfg)
	if err != nil {
		return err
	}
	if opt.Keys, err = keysOf(cfg); err != nil {
		return err
	}
	var keys sealed.Keys
	for _, k := range []struct {
		file string
		to   **sealed.Key
	}{{*key, &keys.Current}, {*former, &keys.Former}} {
		if k.file == "" {
			continue
		}
		read, err := readJournalKey(k.file)
		if err != nil {
			return fmt.Errorf("journal move: a key file %w", err)
		}
		*k.to = &read
	}
	return moveJournal(ctx, operands[1], keys, opt, e)
}

func moveJournal(ctx context.Context, from string, keys sealed.Keys, opt postgres.Options, e env) error {
	if _, err := os.Lstat(from + moved); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is there already: the journal was moved, or move that file away", from+moved)
	}
	j, err := bolt.OpenReadOnly(from, bolt.Options{Keys: keys, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	err = takeOver(ctx, j, opt, e)
	if err = errors.Join(err, j.Close()); err != nil {
		return err
	}
	if err := errors.Join(os.Rename(from, from+moved), bolt.SyncFolder(from)); err != nil {
		return fmt.Errorf("the journal was moved, and must not be used again: %w", err)
	}
	_, err = fmt.Fprintf(e.stdout, "the journal is in the database and sound; the file is now %s\n", from+moved)
	return err
}

// moved is what the name of a file gets whose journal is in a database.
const moved = ".moved"

// takeOver takes over all tables, and prints how much of each.
func takeOver(ctx context.Context, j *bolt.ReadOnly, opt postgres.Options, e env) error {
	err := j.Current()
	if err == nil {
		opt.FeedStart, err = j.FeedStart()
	}
	if err != nil {
		return err
	}
	m, err := postgres.NewImport(ctx, opt, j.Contents)
	if err != nil {
		return err
	}
	defer m.Close()
	for _, table := range ledger.AllTables() {
		p := newProgress(e, "journal move, "+string(table), records)
		done, err := m.Take(ctx, table, func(n int64) { p.report(n, 0) })
		p.report(done.Records, 0)
		if p.end(err); err != nil {
			return err
		}
		before := ""
		if done.Before {
			before = ", before"
		}
		if _, err := fmt.Fprintf(e.stdout, "%-16s %d%s\n", table, done.Records, before); err != nil {
			return err
		}
	}
	return m.Finish(ctx)
}
