package bolt

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.etcd.io/bbolt"

	"straks/orders"
)

// spoil makes changes to the tables that no call would, in a transaction of the writer.
func spoil(t *testing.T, j *Journal, change func(*writeTx) error) {
	t.Helper()
	r := newRequest(t.Context())
	r.run = change
	if err := j.do(j.facts, r); err != nil {
		t.Fatal(err)
	}
}

// cut leaves only so many octets of a shipment's record.
func cut(t *testing.T, j *Journal, id uuid.UUID, keep func(length int) int) {
	t.Helper()
	spoil(t, j, func(w *writeTx) error {
		v := w.shipments().Get(id[:])
		return w.shipments().Put(id[:], append([]byte(nil), v[:keep(len(v))]...))
	})
}

// spoilPage makes the first page in use that has all of these in it one that can't be
// read, while the journal is closed.
func spoilPage(t *testing.T, path string, has ...[]byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// bbolt does not unlock a file that it opened for reading: closing the descriptor does. A child that a
	// parallel test forks meanwhile would keep a copy of the descriptor, and the lock, until it executes its program.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	size, at := db.Info().PageSize, 0
	db.View(func(tx *bbolt.Tx) error {
		for p := 2; at == 0 && p*size < int(tx.Size()); p++ {
			info, err := tx.Page(p)
			lacks := func(want []byte) bool { return !bytes.Contains(content[p*size:(p+1)*size], want) }
			if err == nil && info.Type == "leaf" && !slices.ContainsFunc(has, lacks) {
				at = p * size
			}
		}
		return nil
	})
	if at == 0 {
		t.Fatal("no such page")
	}
	copy(content[at:], []byte{0xff, 0xff, 0xff, 0xff}) // a page begins with its number
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// sent stores n orders with keys from 0 on, which the carrier took.
func sent(t *testing.T, j *Journal, n int) (ids []uuid.UUID) {
	t.Helper()
	var answers []orders.Event
	for i := range n {
		s, _, err := j.Accept(t.Context(), acceptRequest(strconv.Itoa(i)))
		if err != nil {
			t.Fatal(err)
		}
		ids, answers = append(ids, s.ID), append(answers, accepted(s, strconv.Itoa(i)))
	}
	if _, err := j.Apply(t.Context(), answers); err != nil {
		t.Fatal(err)
	}
	return ids
}

// TestBadRecordInTheWay: a record costs its own calls only. They are counted.
func TestBadRecordInTheWay(t *testing.T) {
	j, _ := newJournal(t, Options{Log: quiet})
	bad := order(t, j, "bad")
	cut(t, j, bad.ID, func(int) int { return 1 })
	for range 2 {
		if _, err := j.Apply(t.Context(), []orders.Event{accepted(bad, "bad")}); !errors.Is(err, ErrCorrupt) {
			t.Error(err)
		}
	}
	if got, err := testutil.ToFloat64(j.metrics.unreadable), j.Ready(); got != 2 || err != nil {
		t.Errorf("%v counted, ready: %v", got, err)
	}
}

// TestBadDeadlines: a corrupt shipment, wherever its record ends, and a corrupt
// deadline cost nobody else's expiry. They are told once, and Check finds them still.
func TestBadDeadlines(t *testing.T) {
	var told bytes.Buffer
	j, _ := newJournal(t, Options{Log: slog.New(slog.NewTextHandler(&told, nil))})
	var ids []uuid.UUID
	for i := range 5 {
		in := acceptRequest(string(rune('a' + i)))
		in.TTL = time.Minute + time.Duration(i)*time.Second
		if _, _, err := j.Accept(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, in.Shipment)
	}
	cut(t, j, ids[0], func(int) int { return 1 })
	cut(t, j, ids[3], func(n int) int { return n - 1 }) // what a feed entry needs can still be read
	spoil(t, j, func(w *writeTx) error { return w.deadlines().Put([]byte{0, 1}, []byte{}) })

	now := time.Now().Add(time.Hour)
	for _, want := range []uuid.UUID{ids[1], ids[2], ids[4]} {
		due, _, err := j.Due(t.Context(), now, 1)
		if err != nil || len(due) != 1 || due[0] != want {
			t.Fatalf("due %v, %v, want %v", due, err, want)
		}
		if _, err := j.Apply(t.Context(), []orders.Event{orders.Expiry{Shipment: want, At: now}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if due, next, err := j.Due(t.Context(), now, 1); len(due) != 0 || !next.IsZero() || err != nil {
			t.Fatalf("left: %v at %v, %v", due, next, err)
		}
	}
	if n := testutil.ToFloat64(j.metrics.unreadable); n != 3 || strings.Count(told.String(), "deadline skipped") != 3 {
		t.Errorf("%v counted, told:\n%s", n, &told)
	}
	err := j.Check(t.Context())
	for _, id := range []uuid.UUID{ids[0], ids[3]} {
		if err == nil || !strings.Contains(err.Error(), id.String()) {
			t.Errorf("check does not name %v: %v", id, err)
		}
	}
}

// TestBadParkedReport: a receipt that waits and can't be read holds up neither the
// answers that it may belong to, nor other receipts, nor retention.
func TestBadParkedReport(t *testing.T) {
	j, _ := newJournal(t, Options{Log: quiet})
	park := func(ref string) {
		t.Helper()
		if _, err := j.Apply(t.Context(), []orders.Event{delivered(ref)}); err != nil {
			t.Fatal(err)
		}
	}
	park("a")
	park("b")
	park("c")
	spoil(t, j, func(w *writeTx) error {
		b := w.parkedOf("telco")
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if err := b.Put(bytes.Clone(k), v[:2:2]); err != nil {
				return err
			}
		}
		return nil
	})
	if err := j.Check(t.Context()); err == nil {
		t.Fatal("nothing is wrong")
	}
	s, _, err := j.Accept(t.Context(), acceptRequest("k"))
	if err != nil {
		t.Fatal(err)
	}
	effects, err := j.Apply(t.Context(), []orders.Event{accepted(s, "a"), delivered("a")})
	if err != nil || effects[1].Shipment.Status != orders.SMSDelivered {
		t.Errorf("an answer, and the receipt again: %v, %v", effects, err)
	}
	park("b")
	sweepAll(t, j, time.Now().Add(25*time.Hour))
	if st, _ := j.Stats(t.Context()); st.Parked != 0 {
		t.Errorf("%d parked", st.Parked)
	}
	if s, _, err = j.Accept(t.Context(), acceptRequest("k2")); err == nil {
		_, err = j.Apply(t.Context(), []orders.Event{accepted(s, "c")}) // whose receipt is gone
	}
	if err != nil {
		t.Error(err)
	}
	check(t, j)
}

// TestBadShipmentLeaves: an unsettled shipment that can't be expired, since its record
// is corrupt, leaves when it is old, and holds up nobody who came after it.
func TestBadShipmentLeaves(t *testing.T) {
	j, _ := newJournal(t, Options{Log: quiet})
	bad, _, err := j.Accept(t.Context(), acceptRequest("bad"))
	if err != nil {
		t.Fatal(err)
	}
	order(t, j, "good")
	cut(t, j, bad.ID, func(n int) int { return n - 1 })
	swept, err := j.Sweep(t.Context(), time.Now().Add(100*24*time.Hour), orders.Retention{All: 90 * 24 * time.Hour}, 100)
	if err != nil || swept.Shipments != 2 {
		t.Errorf("%+v, %v", swept, err)
	}
	check(t, j)
}

// TestBadKeyOfAShipment: a key that has become too short holds up no shipment that leaves after it.
func TestBadKeyOfAShipment(t *testing.T) {
	j, _ := newJournal(t, Options{Log: quiet})
	id := order(t, j, "first").ID
	order(t, j, "second")
	spoil(t, j, func(w *writeTx) error {
		b := w.shipments()
		return errors.Join(b.Delete(id[:]), b.Put(id[:15], []byte("rotten")))
	})
	swept, err := j.Sweep(t.Context(), time.Now().Add(100*24*time.Hour), orders.Retention{All: 90 * 24 * time.Hour}, 100)
	if err != nil || swept.Shipments != 2 {
		t.Errorf("%+v, %v", swept, err)
	}
}

// TestBadShipmentWithAReference: a shipment that can't be read costs nothing to the
// message that gets its reference after it, and its own receipts wait, as those of a
// shipment that is gone, instead of coming back for ever.
func TestBadShipmentWithAReference(t *testing.T) {
	j, _ := newJournal(t, Options{Log: quiet})
	bad := order(t, j, "m")
	cut(t, j, bad.ID, func(int) int { return 1 })
	early := delivered("m")
	early.Recipient = "4798888888"
	effects, err := j.Apply(t.Context(), []orders.Event{early})
	if err != nil || !effects[0].Parked {
		t.Fatalf("its receipt: %+v, %v", effects, err)
	}
	in := acceptRequest("k")
	in.Recipient = "+4798888888"
	s, _, err := j.Accept(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []orders.Event{accepted(s, "m"), early} {
		effects, err := j.Apply(t.Context(), []orders.Event{e})
		if err != nil || effects[0].Shipment.Status != orders.SMSDelivered {
			t.Errorf("%T: %+v, %v", e, effects, err)
		}
	}
}

// TestBadReference: a reference that can't be read costs nothing to the message that
// gets it next, nor does a receipt for the one that had it come back for ever.
func TestBadReference(t *testing.T) {
	j, _ := newJournal(t, Options{Log: quiet})
	order(t, j, "m")
	spoil(t, j, func(w *writeTx) error {
		return w.refs().put(time.Now().UnixMicro(), refKey("telco", "m"), []byte{kindBound, 1, 0, 0, 0, 0})
	})
	for range 2 {
		effects, err := j.Apply(t.Context(), []orders.Event{delivered("m")})
		if err != nil || !effects[0].Parked {
			t.Fatalf("a receipt for the one before: %+v, %v", effects, err)
		}
	}
	s, _, err := j.Accept(t.Context(), acceptRequest("k"))
	if err != nil {
		t.Fatal(err)
	}
	effects, err := j.Apply(t.Context(), []orders.Event{accepted(s, "m"), delivered("m")})
	if err != nil || effects[1].Shipment.ID != s.ID || effects[1].Shipment.Status != orders.SMSDelivered {
		t.Fatalf("the next: %+v, %v", effects, err)
	}
	check(t, j)
}

// TestBadFeed: entries that can't be read, or whose shipment can't be, leave a gap, and
// the feed goes on behind it. They are told, but not at every look.
func TestBadFeed(t *testing.T) {
	var told bytes.Buffer
	j, _ := newJournal(t, Options{Log: slog.New(slog.NewTextHandler(&told, nil))})
	bad := order(t, j, "bad")
	order(t, j, "good")
	order(t, j, "last")
	cut(t, j, bad.ID, func(int) int { return 1 })
	spoil(t, j, func(w *writeTx) error { return w.feed().Bucket([]byte("ttd")).Put(seqKey(3), []byte{0, 1}) })
	for range 50 {
		for _, q := range []orders.FeedQuery{{Limit: 2}, {Limit: 10, Descending: true}} {
			q.Organisation = "ttd"
			page, err := j.Feed(t.Context(), q)
			var seqs []uint64
			for _, e := range page {
				seqs = append(seqs, e.Seq)
			}
			want := []uint64{4, 5}
			if q.Descending {
				want = []uint64{6, 5, 4}
			}
			if err != nil || !slices.Equal(seqs, want) {
				t.Fatalf("%+v: %v, %v, want %v", q, seqs, err, want)
			}
		}
	}
	if n := testutil.ToFloat64(j.metrics.unreadable); n != 300 {
		t.Errorf("%v counted", n)
	}
	if n := strings.Count(told.String(), "feed entry skipped"); n != maxSkipped {
		t.Errorf("%d lines", n)
	}
}

// A page that can't be read ends the migration with an error that says so, and
// holds up nobody.
func TestMigrationOverAPageThatCantBeRead(t *testing.T) {
	t.Parallel()
	path, _ := oldJournal(t, 24*time.Hour, 300)
	spoilPage(t, path, hash("ttd", "150"))
	ended := make(chan error, 1)
	go func() { ended <- Migrate(t.Context(), path, Options{Log: quiet}) }()
	select {
	case err := <-ended:
		if err == nil || !strings.Contains(err.Error(), "can't be read") {
			t.Errorf("error %v", err)
		}
	case <-time.After(5 * time.Minute):
		t.Fatal("it hangs")
	}
}
