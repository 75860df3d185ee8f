package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/internal/eventually"
	"straks/orders"
)

// TestBackupHoldsUpNoRecovery: the journal fails while a copy is made.
func TestBackupHoldsUpNoRecovery(t *testing.T) {
	var broken atomic.Bool
	j, _ := newJournal(t, Options{Log: quiet, probe: time.Millisecond, commit: func(tx *bbolt.Tx) error {
		if broken.Swap(false) {
			return errors.Join(tx.Commit(), syscall.EIO)
		}
		return tx.Commit()
	}})
	order(t, j, "before")
	_, err := j.Copy(t.Context(), func(int64, int64) {
		if !j.snapshots.withdrawn() {
			broken.Store(true)
			if _, _, err := j.Accept(t.Context(), acceptRequest("k")); !errors.Is(err, orders.ErrUnavailable) {
				t.Errorf("accept: %v", err)
			}
			eventually.True(t, "the file to be closed", j.snapshots.withdrawn)
		}
	})
	if !errors.Is(err, errNotOpen) {
		t.Errorf("backup: %v", err)
	}
	place(t, j, acceptRequest("after"))
	check(t, j)
	c, err := j.Copy(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestSlowReaderOfABackup: while a backup is read slowly, or not at all, freed pages are used again: the
// file grows no more than without a reader. The copy is that of the moment, and is gone when it is closed.
func TestSlowReaderOfABackup(t *testing.T) {
	t.Parallel()
	grown := func(j *Journal) int64 { // by orders that leave as fast as they come
		before := j.snapshots.size()
		for range 8 {
			for range 25 {
				order(t, j, uuid.NewString())
			}
			sweepAll(t, j, time.Now().Add(200*24*time.Hour))
		}
		return j.snapshots.size() - before
	}
	j, path := newJournal(t, Options{Log: quiet})
	grown(j)
	without := grown(j)
	last := order(t, j, "last")
	c, err := j.Copy(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Copy(t.Context(), nil); !errors.Is(err, ErrCopying) {
		t.Errorf("a second one at the time: %v", err)
	}
	var copied bytes.Buffer
	if _, err := io.CopyN(&copied, c, 5000); err != nil { // and then it hangs
		t.Fatal(err)
	}
	if with := grown(j); with > without+1<<20 {
		t.Errorf("the file grew by %d octets with a reader, by %d without", with, without)
	}
	if n := j.writer.file.db.Stats().OpenTxN; n > 1 {
		t.Errorf("%d read transactions are open", n)
	}
	if _, err := io.Copy(&copied, c); err != nil || int64(copied.Len()) != c.Size {
		t.Errorf("%d octets of %d, %v", copied.Len(), c.Size, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if len(left) != 1 {
		t.Errorf("left: %v", left)
	}
	restored := filepath.Join(t.TempDir(), "restored.db")
	if err := os.WriteFile(restored, copied.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	r := mustOpen(t, restored, Options{Log: quiet})
	check(t, r)
	if _, err := r.Shipment(t.Context(), "ttd", last.ID); err != nil {
		t.Error(err)
	}
}

// TestCopyUnderLoad: copies that are made while orders come are whole.
func TestCopyUnderLoad(t *testing.T) {
	t.Parallel()
	j, _ := newJournal(t, Options{Log: quiet})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ctx.Err() == nil; i++ {
			order(t, j, fmt.Sprint(i))
		}
	}()
	for range 5 {
		var copied bytes.Buffer
		if err := j.Backup(t.Context(), &copied); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "copy.db")
		if err := os.WriteFile(path, copied.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		r := mustOpen(t, path, Options{Log: quiet})
		check(t, r)
		r.Close()
	}
	cancel()
	<-ended
}

// TestBackupWithoutRoom says what is missing, and leaves nothing.
func TestBackupWithoutRoom(t *testing.T) {
	if err := roomBeside(t.TempDir()+"/x", 1<<60); err == nil || !strings.Contains(err.Error(), "are free") {
		t.Error(err)
	}
	j, _ := newJournal(t, Options{Log: quiet})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Copy(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits: %v", err)
	}
	c, err := j.Copy(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestLeftCopies: what a kill left of a copy is gone after the next start.
func TestLeftCopies(t *testing.T) {
	j, path := newJournal(t, Options{})
	j.Close()
	if err := os.WriteFile(path+copyName+"123", []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, path, Options{})
	if _, err := os.Stat(path + copyName + "123"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
