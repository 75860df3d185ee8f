package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"straks/orders"
)

// TestManyCommitsBreakOff: commits meet a page that can't be read, which heals, and others break off
// when they have taken pages. In between orders are stored. No page is used twice, be the free
// ones listed or not; where they are, none is lost.
func TestManyCommitsBreakOff(t *testing.T) {
	t.Run("listed", func(t *testing.T) {
		manyCommitsBreakOff(t, func(*testing.T, *Journal) {}, func(err error) bool { return false })
	})
	t.Run("no list", func(t *testing.T) {
		manyCommitsBreakOff(t, freeMany, func(err error) bool { return strings.Contains(err.Error(), "unreachable unfreed") })
	})
}

func manyCommitsBreakOff(t *testing.T, before func(*testing.T, *Journal), mayBe func(error) bool) {
	var unreadable atomic.Bool
	j, path := newJournal(t, Options{Log: quiet, commit: func(tx *bbolt.Tx) error {
		if unreadable.Swap(false) {
			putUnreadable(t, tx)
		}
		return tx.Commit()
	}})
	order(t, j, "first")
	before(t, j)
	then := time.Now().Add(2 * parkedRetention)
	for i := range 20 {
		var early []orders.Event
		for k := range 100 {
			early = append(early, delivered(fmt.Sprintf("early %d %d", i, k)))
		}
		if _, err := j.Apply(t.Context(), early); err != nil {
			t.Fatal(err)
		}
		heal := spoilSecond(t, j, path, bucketParked)
		var swept error
		for range 50 {
			if _, swept = j.Sweep(t.Context(), then, 100*parkedRetention, 1); swept != nil {
				break
			}
		}
		if !errors.Is(swept, errPage) {
			t.Fatalf("sweep: %v", swept)
		}
		order(t, j, fmt.Sprint("beside ", i))
		heal()
		unreadable.Store(true)
		if _, _, err := j.Accept(t.Context(), intake(fmt.Sprint("broken ", i))); !errors.Is(err, errPage) {
			t.Fatalf("accept: %v", err)
		}
		order(t, j, fmt.Sprint("after ", i))
		if _, err := j.Sweep(t.Context(), then, 100*parkedRetention, 100); err != nil {
			t.Fatal(err)
		}
	}
	check(t, j)
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	db := rawDB(t, path)
	defer db.Close()
	db.View(func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			if !mayBe(err) {
				t.Error(err)
			}
		}
		return nil
	})
}

// TestBadPageHasTheFreePagesListed: once a page was met that can't be read, the next kill is not to
// leave a journal that can't be opened for it; nor is bbolt, of which a write fails, to walk over that page.
func TestBadPageHasTheFreePagesListed(t *testing.T) {
	var d disk
	j, path := newJournal(t, Options{Log: quiet, openFile: d.open, probe: time.Millisecond})
	ids := sent(t, j, 200)
	freeMany(t, j)
	heal := spoilSecond(t, j, path, bucketShipments)
	defer heal()
	page, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: "ttd", Limit: len(ids)})
	if err != nil || len(page) == len(ids) {
		t.Fatalf("%d entries, %v", len(page), err)
	}
	order(t, j, "next")
	if !listed(path) {
		t.Fatal("the free pages are not listed")
	}
	killed := mustOpen(t, copyFile(t, path), Options{Log: quiet})
	order(t, killed, "after a kill")

	d.fail(t, "/dev/full", os.O_RDWR)
	if _, _, err := j.Accept(t.Context(), intake("full")); !errors.Is(err, orders.ErrUnavailable) {
		t.Errorf("accept: %v", err)
	}
	d.heal(t)
	place(t, j, intake("full"))
}

// spoilSecond makes the second page of a table one that can't be read, until it is healed, while
// the journal is open.
func spoilSecond(t *testing.T, j *Journal, path string, table []byte) (heal func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(os.Getpagesize())
	root, id := make(page, size), uint64(0)
	inTx(t, j, func(tx *bbolt.Tx) error {
		if _, err := f.ReadAt(root, int64(tx.Bucket(table).Root())*size); err != nil {
			return err
		}
		if root.kind() == branchPage {
			_, id, _ = root.key(1)
		}
		return nil
	})
	if id == 0 {
		t.Fatalf("%s has one page", table)
	}
	write := func(as uint64) {
		if _, err := f.WriteAt(binary.NativeEndian.AppendUint64(nil, as), int64(id)*size); err != nil {
			t.Fatal(err)
		}
	}
	write(^uint64(0))
	return func() {
		write(id)
		f.Close()
	}
}
