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

// journalCompact replaces the journal by a copy without free pages.
func journalCompact(ctx context.Context, args []string, e env) error {
	fs := newJournalFlags("journal compact [-config FILE | -file FILE]")
	if _, err := fs.parse(args, e, "compact"); err != nil {
		return err
	}
	if err := fs.onlyFile("compact", noCompact); err != nil {
		return err
	}
	path, err := fs.path()
	if err != nil {
		return err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil { // replace the file, not a symbolic link to it
		return err
	}
	before, err := os.Stat(path)
	if err != nil {
		return err
	}
	p := newProgress(e, "journal compact", mebibytes)
	err = compactInPlace(ctx, path, before, p)
	if p.end(err); err != nil {
		return err
	}
	after, err := os.Stat(path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s: %d octets, now %d\n", path, before.Size(), after.Size())
	return err
}

// inUse returns how much of the journal a copy has, in octets: the pages that are not free, or all where that can't be
// said. It reads each page.
func inUse(ctx context.Context, path string, size int64) int64 {
	j, err := bolt.OpenReadOnly(path, bolt.Options{})
	if err != nil {
		return size
	}
	defer j.Close()
	if s, err := j.Stats(ctx); err == nil {
		return s.FileSize - s.FreeSize
	}
	return size
}

// compactInPlace replaces the journal by its copy in one step. The old file keeps a
// second name until it is known that no process has it open: a daemon started between
// copy and replacement would write to a file that is gone.
func compactInPlace(ctx context.Context, path string, owner os.FileInfo, p *progress) error {
	compact, old := path+".compact", path+".before-compact"
	if err := os.Link(path, old); errors.Is(err, os.ErrExist) {
		return fmt.Errorf("compact: %s was left by an interrupted compaction; if straks was not running at the time, delete it and retry", old)
	} else if err != nil {
		return fmt.Errorf("compact: %w", err)
	}
	err := removeIfExists(compact)
	if err == nil {
		stop := p.watchFile(ctx, compact, inUse(ctx, path, owner.Size()))
		err = bolt.Compact(path, compact, bolt.Options{})
		stop()
	}
	if err == nil {
		err = replace(ctx, path, compact, owner)
	}
	if errors.Is(err, bolt.ErrLocked) {
		err = fmt.Errorf("%w Stop the daemon first: compact replaces the journal's file", err)
	}
	if err != nil {
		return errors.Join(err, removeIfExists(compact), os.Remove(old))
	}
	if err := checkClosed(old); err != nil {
		return errors.Join(fmt.Errorf("compact: another process opened the journal meanwhile; the journal is unchanged: %w", err), os.Rename(old, path), bolt.SyncFolder(path))
	}
	return errors.Join(os.Remove(old), bolt.SyncFolder(path))
}

// replace renames the copy to the journal, unless ctx has ended.
func replace(ctx context.Context, path, compact string, owner os.FileInfo) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := chown(compact, owner); err != nil {
		return err
	}
	if err := os.Rename(compact, path); err != nil {
		return err
	}
	return bolt.SyncFolder(path)
}

// chown gives path the owner of the file that it replaces: compact is often run by
// root, and the daemon is not.
func chown(path string, owner os.FileInfo) error {
	s, ok := owner.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Chown(path, int(s.Uid), int(s.Gid))
}

// checkClosed returns bolt.ErrLocked where another process has the journal open.
func checkClosed(path string) error {
	j, err := bolt.OpenReadOnly(path, bolt.Options{})
	if err != nil {
		return err
	}
	return j.Close()
}

func removeIfExists(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
