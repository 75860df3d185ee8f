package bolt

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"straks/internal/eventually"
	"straks/orders"
)

// TestBackupHoldsUpNoRecovery: the journal fails while somebody reads a backup slowly.
func TestBackupHoldsUpNoRecovery(t *testing.T) {
	var broken atomic.Bool
	j, _ := newJournal(t, Options{Log: quiet, probe: time.Millisecond, commit: func(tx *bbolt.Tx) error {
		if broken.Swap(false) {
			return errors.Join(tx.Commit(), syscall.EIO)
		}
		return tx.Commit()
	}})
	order(t, j, "before")
	err := j.Backup(t.Context(), writerFunc(func(b []byte) (int, error) {
		if !j.snapshots.withdrawn() {
			broken.Store(true)
			if _, _, err := j.Accept(t.Context(), acceptRequest("k")); !errors.Is(err, orders.ErrUnavailable) {
				t.Errorf("accept: %v", err)
			}
			eventually.True(t, "the file to be closed", j.snapshots.withdrawn)
		}
		return len(b), nil
	}))
	if err == nil || !strings.Contains(err.Error(), errNotOpen.Error()) { // bbolt wraps no error
		t.Errorf("backup: %v", err)
	}
	place(t, j, acceptRequest("after"))
	check(t, j)
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
