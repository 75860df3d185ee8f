package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"straks/orders/bolt"
)

// journalCompact puts a copy without free pages in the journal's place.
func journalCompact(ctx context.Context, args []string, e env) error {
	fs := newJournalFlags("journal compact [-config FILE | -file FILE]")
	if _, err := fs.parse(args, e, "compact"); err != nil {
		return err
	}
	path, err := fs.path()
	if err != nil {
		return err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // the file gives way, not a link to it
		return err
	}
	before, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := compactInPlace(ctx, path, before); err != nil {
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
func compactInPlace(ctx context.Context, path string, owner os.FileInfo) error {
	compact, old := path+".compact", path+".before-compact"
	if err := os.Link(path, old); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("compact: %s is left of one that broke off; if straks did not run while it did, delete it and try again", old)
	} else if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	err := errors.Join(removeIfThere(compact), bolt.Compact(path, compact, bolt.Options{}))
	if err == nil {
		err = replace(ctx, path, compact, owner)
	}
	if errors.Is(err, bolt.ErrLocked) {
		err = fmt.Errorf("%w Stop it first: compact puts another file in the journal's place", err)
	}
	if err != nil {
		return errors.Join(err, removeIfThere(compact), os.Remove(old))
	}
	if err := closed(old); err != nil {
		return errors.Join(fmt.Errorf("compact: somebody opened the journal meanwhile; it is as it was: %w", err), os.Rename(old, path), bolt.SyncFolder(path))
	}
	return errors.Join(os.Remove(old), bolt.SyncFolder(path))
}

// replace puts the copy in the place of the journal, unless somebody wants none of it any more.
func replace(ctx context.Context, path, compact string, owner os.FileInfo) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := giveTo(compact, owner); err != nil {
		return err
	}
	if err := os.Rename(compact, path); err != nil {
		return err
	}
	return bolt.SyncFolder(path)
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
	j, err := bolt.OpenReadOnly(path, bolt.Options{})
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
