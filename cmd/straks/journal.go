package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"text/tabwriter"

	"straks/cmd/straks/config"
	"straks/orders/bolt"
)

// journalCommand looks after the journal's file. Only backup works while the
// daemon runs: it asks the daemon, which has the file locked.
func journalCommand(ctx context.Context, args []string, e env) error {
	if len(args) > 0 {
		switch args[0] {
		case "stats":
			return journalStats(ctx, args, e)
		case "check":
			return journalCheck(ctx, args, e)
		case "compact":
			return journalCompact(args, e)
		case "backup":
			return journalBackup(ctx, args, e)
		case "-h", "-help", "--help":
			_, err := newFlags("journal stats|check|compact|backup").parse(args[:1], e)
			return err
		}
	}
	return misused("journal: what? usage: straks journal stats|check|compact|backup [flags]")
}

// journalFlags are the flags that say which journal.
type journalFlags struct {
	*flags
	config, file *string
}

func newJournalFlags(synopsis string) journalFlags {
	fs := newFlags(synopsis)
	return journalFlags{fs, fs.configFlag(), fs.String("file", "", "the journal's `file` (default: the configuration's journal.path)")}
}

// path is the journal's file.
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

// open opens the journal, which the daemon must not have open.
func (f journalFlags) open() (*bolt.Journal, error) {
	path, err := f.path()
	if err != nil {
		return nil, err
	}
	return bolt.Open(path, bolt.Options{})
}

func journalStats(ctx context.Context, args []string, e env) error {
	fs := newJournalFlags("journal stats [-config FILE | -file FILE]")
	if _, err := fs.parse(args, e, "stats"); err != nil {
		return err
	}
	j, err := fs.open()
	if err != nil {
		return err
	}
	defer j.Close()
	s, err := j.Stats(ctx)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "id\t%s\nschema\t%d\nfile\t%d octets\nfree inside\t%d octets\n", s.ID, s.Schema, s.FileSize, s.FreeSize)
	fmt.Fprintf(out, "organisations\t%d\nshipments\t%d\nfeed entries\t%d\nparked receipts\t%d\n", s.Organisations, s.Shipments, s.FeedEntries, s.Parked)
	return out.Flush()
}

// journalCheck walks every invariant of the journal.
func journalCheck(ctx context.Context, args []string, e env) error {
	fs := newJournalFlags("journal check [-config FILE | -file FILE]")
	if _, err := fs.parse(args, e, "check"); err != nil {
		return err
	}
	j, err := fs.open()
	if err != nil {
		return err
	}
	defer j.Close()
	if err := j.Check(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintln(e.stdout, "the journal is sound")
	return err
}

// journalCompact puts a copy without free pages in the journal's place.
func journalCompact(args []string, e env) error {
	fs := newJournalFlags("journal compact [-config FILE | -file FILE]")
	if _, err := fs.parse(args, e, "compact"); err != nil {
		return err
	}
	path, err := fs.path()
	if err != nil {
		return err
	}
	before, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := compactInPlace(path, before); err != nil {
		return err
	}
	after, err := os.Stat(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s: %d octets, now %d\n", path, before.Size(), after.Size())
	return err
}

// compactInPlace replaces the journal by its copy in one step. The old file keeps a
// second name until nobody can have it open: a daemon that was started
// between copy and replacement would write to a file that is gone.
func compactInPlace(path string, owner os.FileInfo) error {
	compact, old := path+".compact", path+".before-compact"
	if err := os.Link(path, old); err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	err := bolt.Compact(path, compact, bolt.Options{})
	if err == nil {
		err = errors.Join(giveTo(compact, owner), os.Rename(compact, path), syncFolder(path))
	}
	if err != nil {
		return errors.Join(err, removeIfThere(compact), os.Remove(old))
	}
	if err := closed(old); err != nil {
		return errors.Join(fmt.Errorf("compact: somebody opened the journal meanwhile; it is as it was: %w", err), os.Rename(old, path), syncFolder(path))
	}
	return errors.Join(os.Remove(old), syncFolder(path))
}

// giveTo makes path belong to whom the file belongs that it replaces: who
// compacts is often root, and the daemon is not.
func giveTo(path string, owner os.FileInfo) error {
	s, ok := owner.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Chown(path, int(s.Uid), int(s.Gid))
}

// closed tells whether nobody has the journal open.
func closed(path string) error {
	j, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		return err
	}
	return j.Close()
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// syncFolder makes renames in the file's folder last.
func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// journalBackup writes a consistent copy.
func journalBackup(ctx context.Context, args []string, e env) error {
	fs := newJournalFlags("journal backup [-config FILE | -file FILE] [-admin URL] TO")
	admin := adminFlag(fs.flags)
	operands, err := fs.parse(args, e, "backup", "TO (a new file, or - for stdout)")
	if err != nil {
		return err
	}
	to := operands[1]
	if to == "-" {
		return fs.backup(ctx, *admin, e.stdout)
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(fs.backup(ctx, *admin, out), out.Sync(), out.Close(), syncFolder(to)); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// backup asks the daemon where it runs, and reads the file itself where not.
func (f journalFlags) backup(ctx context.Context, admin string, to io.Writer) error {
	j, err := f.open()
	if errors.Is(err, bolt.ErrLocked) {
		return fetch(ctx, admin, "/journal/backup", to)
	}
	if err != nil {
		return err
	}
	return errors.Join(j.Backup(ctx, to), j.Close())
}
