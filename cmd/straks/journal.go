package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"

	"straks/internal/config"
	"straks/internal/daemon"
	"straks/orders/bolt"
	"straks/orders/sealed"
)

// journalCommand runs a command on the journal, or makes a key for it. Of those on a file, only backup works while the
// daemon runs, which has the file locked: it asks the daemon.
func journalCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "journal stats|check|compact|migrate|backup|key|move|jump [flags]", []command{
		{"stats", "print the size of the journal, and what is in it", journalStats},
		{"check", "check every invariant of the journal", journalCheck},
		{"compact", "write the journal to a smaller file", journalCompact},
		{"migrate", "bring the journal to the present schema", journalMigrate},
		{"backup", "write a consistent copy, also while the daemon runs", journalBackup},
		{"key", "make a key that encrypts the recipients in the journal", journalKey},
		{"move", "take a journal in a file over into PostgreSQL", journalMove},
		{"jump", "have feeds in PostgreSQL go on far later, after a restore", journalJump},
	})
}

// journalFlags are the flags that name the journal.
type journalFlags struct {
	*flags
	config, file *string
}

func newJournalFlags(synopsis string) journalFlags {
	fs := newFlags(synopsis)
	return journalFlags{fs, fs.configFlag(), fs.String("file", "", "the journal's `file` (default: the configuration's journal.path)")}
}

// path returns the journal's file.
func (f journalFlags) path() (string, error) {
	if *f.file != "" {
		return *f.file, nil
	}
	cfg, _, err := config.LoadSealed(*f.config)
	if err != nil {
		return "", err
	}
	return cfg.Journal.Path, nil
}

// open opens the journal read-only. The daemon must not have it open.
func (f journalFlags) open() (*bolt.ReadOnly, error) {
	path, err := f.path()
	if err != nil {
		return nil, err
	}
	return bolt.OpenReadOnly(path, bolt.Options{})
}

// adviseCopy adds to the error of a journal in use how it can be examined.
func adviseCopy(err error) error {
	if errors.Is(err, bolt.ErrLocked) {
		return fmt.Errorf("%w Examine a copy: straks journal backup COPY, then -file COPY here", err)
	}
	return err
}

func journalStats(ctx context.Context, args []string, e env) error {
	fs := newJournalFlags("journal stats [-config FILE [-postgres DSN] | -file FILE]")
	dsn := fs.String("postgres", "", postgresUsage)
	if _, err := fs.parse(args, e, "stats"); err != nil {
		return err
	}
	if opt, ok, err := fs.databaseAt(*dsn); err != nil || ok {
		if err != nil {
			return err
		}
		return postgresStats(ctx, opt, e)
	}
	path, err := fs.path()
	if err != nil {
		return err
	}
	j, err := fs.open()
	if err != nil {
		return adviseCopy(err)
	}
	defer j.Close()
	s, err := j.Stats(ctx)
	if err != nil {
		return err
	}
	file, err := os.Stat(path)
	if err != nil {
		return err
	}
	octets := func(n int64) string { return fmt.Sprintf("%d octets", n) }
	out := newTable(e.stdout)
	out.row("id", s.ID)
	out.row("schema", s.Schema)
	out.row("file", octets(file.Size()))
	out.row("pages", octets(s.FileSize))
	out.row("free pages", octets(s.FreeSize))
	out.row("organisations", s.Organisations)
	out.row("shipments", s.Shipments)
	out.row("feed entries", s.FeedEntries)
	out.row("feed start", s.FeedStart)
	out.row("webhook cursors", s.Cursors)
	out.row("parked receipts", s.Parked)
	if s.Parked > 0 {
		out.row("parked octets", s.ParkedOctets)
		out.row("most of them", s.ParkedMost)
	}
	if len(s.Sealed) > 0 || s.Plain > 0 {
		out.row("plain recipients", s.Plain)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Sealed)) {
		out.row("sealed with "+key, s.Sealed[key])
	}
	return out.Flush()
}

// checkedKeys returns the keys that the configuration names, none if one can't be read.
func (f journalFlags) checkedKeys(e env) sealed.Keys {
	keys, err := f.keys()
	if err != nil {
		fmt.Fprintf(e.stderr, "journal check: recipients that are sealed are not checked: %v\n", err)
	}
	return keys
}

// journalCheck checks every invariant of the journal.
func journalCheck(ctx context.Context, args []string, e env) error {
	fs := newJournalFlags("journal check [-config FILE [-postgres DSN] | -file FILE]")
	dsn := fs.String("postgres", "", postgresUsage)
	fs.notes = "With -config, recipients that are sealed are opened too. Without their key, all but these is checked.\n"
	if _, err := fs.parse(args, e, "check"); err != nil {
		return err
	}
	if opt, ok, err := fs.databaseAt(*dsn); err != nil || ok {
		if err != nil {
			return err
		}
		opt.Keys = fs.checkedKeys(e)
		return postgresCheck(ctx, opt, e)
	}
	path, err := fs.path()
	if err != nil {
		return err
	}
	keys := fs.checkedKeys(e)
	p := newProgress(e, "journal check", records)
	j, err := bolt.OpenReadOnly(path, bolt.Options{Keys: keys, Progress: p.report})
	if err != nil {
		return adviseCopy(err)
	}
	defer j.Close()
	err = j.Check(ctx)
	if p.end(err); err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, "the journal is sound")
	return err
}

// journalMigrate brings the journal to the present schema, as serve does when it starts.
func journalMigrate(ctx context.Context, args []string, e env) error {
	fs := newJournalFlags("journal migrate [-config FILE | -file FILE]")
	if _, err := fs.parse(args, e, "migrate"); err != nil {
		return err
	}
	if err := fs.onlyFile("migrate", noMigrate); err != nil {
		return err
	}
	path, err := fs.path()
	if err != nil {
		return err
	}
	p := newProgress(e, "journal migrate", records)
	unreadable := slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	err = bolt.Migrate(ctx, path, bolt.Options{Progress: p.report, Log: unreadable})
	if p.end(err); err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, "the journal is of the present schema")
	return err
}

// journalBackup writes a consistent copy.
func journalBackup(ctx context.Context, args []string, e env) error {
	fs := newJournalFlags("journal backup [-config FILE | -file FILE] [-admin ADDRESS] TO")
	admin := fs.String("admin", "", adminUsage)
	operands, err := fs.parse(args, e, "backup", "TO (a new file, or - for stdout)")
	if err != nil {
		return err
	}
	if *admin == "" { // with it, no configuration need be here
		if err := fs.onlyFile("backup", noBackup); err != nil {
			return err
		}
	}
	p, to := newProgress(e, "journal backup", mebibytes), operands[1]
	if to == "-" {
		err := fs.backup(ctx, *admin, e.stdout, p)
		p.end(err)
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	err = errors.Join(fs.backup(ctx, *admin, out, p), out.Sync(), out.Close(), bolt.SyncFolder(to))
	if err == nil {
		err = checkCopy(to)
	}
	p.end(err)
	if err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// checkCopy returns an error unless the file can be opened as a journal: it may have come
// from something else than a straks.
func checkCopy(path string) error {
	j, err := bolt.OpenReadOnly(path, bolt.Options{})
	if err != nil {
		return fmt.Errorf("backup: what came is not a journal: %w", err)
	}
	return j.Close()
}

// backup asks the daemon if it runs, else it reads the file.
func (f journalFlags) backup(ctx context.Context, admin string, to io.Writer, p *progress) error {
	total := int64(0)
	if path, err := f.path(); err == nil {
		if info, err := os.Stat(path); err == nil {
			total = info.Size()
		}
	}
	to = &countedWriter{to: to, p: p, total: total}
	j, err := f.open()
	if errors.Is(err, bolt.ErrLocked) {
		c, err := f.adminClient(admin)
		if err != nil {
			return err
		}
		most, err := f.mostCopied()
		if err != nil {
			return err
		}
		return c.getLong(ctx, "/journal/backup", "application/octet-stream", to, most, daemon.BackupTimeout)
	}
	if err != nil {
		return err
	}
	return errors.Join(j.Backup(ctx, to), j.Close())
}

// adminClient returns a client of the admin listener at admin, or of the one that the
// configuration names, if the configuration is about this journal.
func (f journalFlags) adminClient(admin string) (*adminClient, error) {
	if admin != "" {
		return adminAt(admin)
	}
	cfg, _, err := config.LoadSealed(*f.config)
	if err != nil {
		return nil, fmt.Errorf("the journal is in use, and its daemon's admin listener is not known. Give -admin, or -config: %w", err)
	}
	if *f.file != "" && !sameFile(*f.file, cfg.Journal.Path) {
		return nil, fmt.Errorf("the journal is in use, and %s is about another, %s. Give -admin, the admin listener of its daemon", *f.config, cfg.Journal.Path)
	}
	return adminOf(cfg)
}

// mostCopied bounds a copy, in octets: the journal may have grown since, but hardly to twice
// its size.
func (f journalFlags) mostCopied() (int64, error) {
	path, err := f.path()
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return 2*info.Size() + growth, nil
}

// growth is how much a small journal may grow while it is copied, in octets.
const growth = 64 << 20

func sameFile(a, b string) bool {
	infoA, err := os.Stat(a)
	if err != nil {
		return false
	}
	infoB, err := os.Stat(b)
	return err == nil && os.SameFile(infoA, infoB)
}
