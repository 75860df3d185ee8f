package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/orders"
)

var rots = flag.Int("rots", 50, "how many bits TestRottenBit changes, each in a copy of its own")

// aged makes a journal with n settled orders, keys 0 to n-1, of which the first half is so old that its
// slots have filters, and with a receipt that waits and a block. It returns their ids.
func aged(t *testing.T, n int) (path string, ids []uuid.UUID) {
	t.Helper()
	j, path := newJournal(t, Options{})
	for i := range n {
		in := acceptRequest(strconv.Itoa(i))
		if i < n/2 {
			in.At = time.Now().Add(-ended)
			in.Shipment = idAt(in.At)
		}
		s, _, err := j.Accept(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	var events []orders.Event
	for i, id := range ids {
		s, err := j.Shipment(t.Context(), "ttd", id)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, accepted(s, strconv.Itoa(i)), delivered(strconv.Itoa(i)))
	}
	events = append(events, delivered("early"),
		orders.Block{Organisation: "ttd", Channel: orders.SMS, Recipient: "+4790000001", At: time.Now()})
	if _, err := j.Apply(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	sweepAll(t, j, time.Now())
	if ranges(t, j) == 0 {
		t.Fatal("no filter")
	}
	check(t, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return path, ids
}

// TestRottenBit changes one bit of a journal at a time, anywhere but in the meta pages and in what bbolt
// keeps of its pages. Each key then leads to its shipment, or to an error; and so do shipments and feed.
func TestRottenBit(t *testing.T) {
	t.Parallel()
	const n = 300
	path, ids := aged(t, n)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := usedPages(t, path)
	copied := path + ".rotten"
	wrong := 0
	for range *rots {
		page := used[rand.IntN(len(used))]
		at := page*os.Getpagesize() + rand.IntN(os.Getpagesize())
		if !rotsRight(t, whole, at, copied, ids) {
			wrong++
		}
	}
	t.Logf("%d of %d", wrong, *rots)
}

// rotsRight changes one bit of an octet in a copy of a journal, and reports whether that is read as it must be.
func rotsRight(t *testing.T, whole []byte, at int, copied string, ids []uuid.UUID) bool {
	t.Helper()
	bit := rand.IntN(8)
	whole[at] ^= 1 << bit
	if err := os.WriteFile(copied, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	whole[at] ^= 1 << bit
	err := readsRight(copied, ids)
	if err != nil {
		t.Errorf("bit %d of octet %d, %s: %v", bit, at, describe(whole, at), err)
	}
	return err == nil
}

// describe says what an octet of the file is.
func describe(file []byte, at int) string {
	size := os.Getpagesize()
	page := file[at/size*size:][:size]
	kind, count := binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
	where := "data"
	if in := at % size; in < 16 {
		where = "header"
	} else if in < 16+16*count {
		where = fmt.Sprint("element ", (in-16)%16)
	}
	return fmt.Sprintf("page %d kind %#x count %d, %s", at/size, kind, count, where)
}

// usedPages returns the pages of tables.
func usedPages(t *testing.T, path string) (used []int) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.View(func(tx *bbolt.Tx) error {
		for p := 2; ; p++ {
			info, err := tx.Page(p)
			if info == nil || err != nil {
				return err
			}
			if info.Type == "leaf" || info.Type == "branch" {
				for i := range info.OverflowCount + 1 {
					used = append(used, p+i)
				}
				p += info.OverflowCount
			}
		}
	})
	return used
}

// readsRight reports whether everything in the journal is as it was, or an error.
func readsRight(path string, ids []uuid.UUID) error {
	r, err := OpenReadOnly(path, Options{Log: quiet})
	if err != nil {
		return nil
	}
	defer r.Close()
	for i, id := range ids {
		err := r.snapshots.view(func(tb tables) error {
			if err := tb.current(); err != nil {
				return nil
			}
			k := hash("ttd", strconv.Itoa(i))
			v, err := tb.keys().get(k)
			if err != nil {
				return nil
			}
			if v == nil {
				return fmt.Errorf("key %d is not known", i)
			}
			s, ok, err := tb.keyed(k, v)
			if err == nil && (!ok || s.ID != id || s.Status != orders.SMSDelivered) {
				return fmt.Errorf("key %d leads to %+v, %v", i, s, ok)
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
	}
	return feedReadsRight(r, ids)
}

// feedReadsRight reads the feed from its beginning, and in both directions from somewhere.
func feedReadsRight(r *ReadOnly, ids []uuid.UUID) error {
	all := uint64(2 * len(ids))
	from := rand.Uint64N(all-1) + 1
	for q, want := range map[orders.FeedQuery]uint64{{}: all, {Seq: from}: all - from, {Seq: from, Descending: true}: from - 1} {
		q.Organisation, q.Limit = "ttd", 10*len(ids)
		err := r.snapshots.view(func(tb tables) error {
			page, bad, err := tb.page(context.Background(), q)
			if err != nil {
				return nil
			}
			if n := uint64(len(page)); n > want || n+uint64(len(bad)) < want {
				return fmt.Errorf("from %d: %d entries in the feed, %d bad, want %d", q.Seq, n, len(bad), want)
			}
			for _, e := range page {
				// First all are accepted, then each is answered and delivered: the ledger's order.
				i := (e.Seq - 1) / 2
				if i >= uint64(len(ids)) || e.Shipment.ID != ids[i] {
					return fmt.Errorf("entry %d is of %v", e.Seq, e.Shipment.ID)
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err
		}
	}
	return nil
}
