package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/orders"
)

func TestNewestSchemaHasItsMigrations(t *testing.T) {
	if want := schemaVersion - 1; len(migrations()) != want {
		t.Fatalf("%d steps, want %d", len(migrations()), want)
	}
}

func setVersion(t *testing.T, db *bbolt.DB, version uint32) {
	t.Helper()
	err := db.Update(func(tx *bbolt.Tx) error {
		tb := tables{tx: tx}
		return errors.Join(tb.meta().Put(keySchema, binary.BigEndian.AppendUint32(nil, version)), tb.meta().Delete(keySchemaSum))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// numberSlot makes of a table's one slot what version 1 had with slots of the
// given length.
func numberSlot(t *testing.T, db *bbolt.DB, table []byte, length time.Duration) {
	t.Helper()
	err := db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(table)
		name, _ := b.Cursor().First()
		name = append([]byte(nil), name...)
		to, err := b.CreateBucket(binary.BigEndian.AppendUint32(nil, uint32(time.Now().UnixMicro()/length.Microseconds())))
		if err != nil {
			return err
		}
		return errors.Join(b.Bucket(name).ForEach(to.Put), b.DeleteBucket(name))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// withoutSums takes the sums from all records, as they were before version 5.
func withoutSums(t *testing.T, db *bbolt.DB) {
	t.Helper()
	err := db.Update(func(tx *bbolt.Tx) error {
		tb := tables{tx: tx}
		all := append(tb.recordTables(), recordTable{b: tb.meta()})
		for _, p := range all {
			var records []slotted
			p.b.ForEach(func(k, v []byte) error {
				if len(v) >= sumSize && !bytes.Equal(k, keySchema) && !bytes.Equal(k, keySchemaSum) {
					records = append(records, slotted{bytes.Clone(k), bytes.Clone(v[:len(v)-sumSize])})
				}
				return nil
			})
			for _, r := range records {
				if err := p.b.Put(r.key, r.value); err != nil {
					return err
				}
			}
			if p.mark != 0 {
				p.b.SetSequence(0)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sweepAll sweeps as if it were then.
func sweepAll(t *testing.T, j *Journal, then time.Time) {
	t.Helper()
	for {
		swept, err := j.Sweep(t.Context(), then, orders.Retention{All: 90 * 24 * time.Hour}, 100)
		if err != nil {
			t.Fatal(err)
		}
		if !swept.More {
			return
		}
	}
}

// oldJournal makes a journal of version 1 with slots of the given length: n orders,
// the first of which also has its key and reference in a slot before, where
// they lead elsewhere, and a parked report.
func oldJournal(t *testing.T, length time.Duration, n int) (path string, made []orders.Shipment) {
	t.Helper()
	j, path := newJournal(t, Options{})
	var events []orders.Event
	for i := range n {
		key := strconv.Itoa(i)
		s, _, err := j.Accept(t.Context(), acceptRequest(key))
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, accepted(s, key), delivered(key))
	}
	effects, err := j.Apply(t.Context(), append(events, delivered("parked")))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		made = append(made, effects[2*i+1].Shipment)
	}
	j.Close()
	db := rawDB(t, path)
	numberSlot(t, db, bucketKeys, length)
	numberSlot(t, db, bucketRefs, length)
	withoutSums(t, db)
	elsewhere := uuid.Must(uuid.NewV7())
	putBefore(t, db, bucketKeys, hash("ttd", "0"), elsewhere[:])
	putBefore(t, db, bucketRefs, refKey("telco", "0"), append(append([]byte{kindBound}, elsewhere[:]...), 0))
	setVersion(t, db, 1)
	db.Close()
	return path, made
}

func rawDB(t *testing.T, path string) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// putBefore puts a record into the slot before a table's first.
func putBefore(t *testing.T, db *bbolt.DB, table, key, value []byte) {
	t.Helper()
	err := db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(table)
		name, _ := b.Cursor().First()
		slot, err := b.CreateBucket(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(name)-1))
		if err != nil {
			return err
		}
		first := binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(name)-1)
		return errors.Join(slot.SetSequence(slotMark(first)), slot.Put(key, value))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNumberedSlots: a journal of version 1, whatever the length of its slots,
// knows its keys and references as before, and retention takes them in time.
func TestNumberedSlots(t *testing.T) {
	t.Parallel()
	for _, length := range []time.Duration{24 * time.Hour, 10 * 24 * time.Hour, 30 * 24 * time.Hour} {
		path, made := oldJournal(t, length, 3)
		if err := Migrate(t.Context(), path, Options{Log: quiet}); err != nil {
			t.Fatal(err)
		}
		j := mustOpen(t, path, Options{})
		sweepAll(t, j, time.Now())
		wantMade(t, j, made)
		sweepAll(t, j, time.Now().Add(125*24*time.Hour))
		j.snapshots.view(func(tb tables) error {
			if k, _ := tb.keys().b.Cursor().First(); k != nil {
				t.Errorf("slots of %v: retention left slot %x", length, k)
			}
			return nil
		})
		j.Close()
	}
}

// wantMade checks the journal, and that each key leads where it always did.
func wantMade(t *testing.T, j *Journal, made []orders.Shipment) {
	t.Helper()
	check(t, j)
	for i, s := range made {
		in := acceptRequest(strconv.Itoa(i))
		if got, claimed, err := j.Accept(t.Context(), in); err != nil || claimed || got.ID != s.ID {
			t.Errorf("key %d leads to %v (claimed %v, %v), want %v", i, got.ID, claimed, err, s.ID)
		}
	}
	if st, _ := j.Stats(t.Context()); st.Parked != 1 {
		t.Errorf("%d parked, want 1", st.Parked)
	}
}

// TestMigrationOfBadRecords: records of version 1 that can't be read do not keep the journal
// from being migrated. A reference is dropped; a key stays, so that nothing is sent with it.
func TestMigrationOfBadRecords(t *testing.T) {
	path, made := oldJournal(t, 24*time.Hour, 3)
	db := rawDB(t, path)
	putBefore(t, db, bucketKeys, hash("ttd", "bad"), []byte("no id"))
	putBefore(t, db, bucketRefs, refKey("telco", "bad"), []byte{kindBound, 1})
	db.Close()
	var told bytes.Buffer
	if err := Migrate(t.Context(), path, Options{Log: slog.New(slog.NewTextHandler(&told, nil))}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"key can't be read", "reference can't be read"} {
		if strings.Count(told.String(), want) != 1 {
			t.Errorf("%q is not told:\n%s", want, &told)
		}
	}
	j := mustOpen(t, path, Options{Log: quiet})
	if _, claimed, err := j.Accept(t.Context(), acceptRequest("bad")); claimed || !errors.Is(err, ErrCorrupt) {
		t.Errorf("the bad key: claimed %v, %v", claimed, err)
	}
	s, _, err := j.Accept(t.Context(), acceptRequest("k"))
	if err == nil {
		_, err = j.Apply(t.Context(), []orders.Event{accepted(s, "bad")})
	}
	if err != nil {
		t.Errorf("the bad reference: %v", err)
	}
	spoil(t, j, func(w *writeTx) error { return w.keys().delete(hash("ttd", "bad")) })
	wantMade(t, j, made)
}

// TestMigrationIsKilled: a copy of the file after each commit is what a kill leaves
// there. No program opens it, a backup can be made, and the next migration ends the work. No
// step has moved more than its budget.
func TestMigrationIsKilled(t *testing.T) {
	t.Parallel()
	const n, budget = 23, 5
	path, made := oldJournal(t, 24*time.Hour, n)
	untouched, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, path, ErrOutdated)
	if after, _ := os.ReadFile(path); !bytes.Equal(after, untouched) {
		t.Fatal("the file was changed without Migrate")
	}
	var cuts []string
	opt := Options{Log: quiet, migrateStep: budget, commit: func(tx *bbolt.Tx) error {
		if err := tx.Commit(); err != nil {
			return err
		}
		cuts = append(cuts, copyFile(t, path))
		return nil
	}}
	left := old(t, path)
	if err := Migrate(t.Context(), path, opt); err != nil {
		t.Fatal(err)
	}
	if len(cuts) < 2*n/budget {
		t.Fatalf("%d steps for %d keys and references", len(cuts), n)
	}
	for i, cut := range cuts {
		now := old(t, cut)
		if left-now > budget {
			t.Errorf("step %d moved %d records", i, left-now)
		}
		left = now
		if i < len(cuts)-1 {
			wantRefused(t, cut, ErrOutdated)
		}
		if err := Migrate(t.Context(), cut, Options{Log: quiet}); err != nil {
			t.Fatal(err)
		}
		wantMade(t, mustOpen(t, cut, Options{}), made)
	}
	if left != 0 {
		t.Errorf("%d records left", left)
	}
}

// TestMigrationOfClaims: in a journal of version 3 a shipment has no end of its claim, and a block
// that was lifted is gone. Version 4 reads both, and what it writes version 3 never sees.
func TestMigrationOfClaims(t *testing.T) {
	j, path := newJournal(t, Options{})
	sending, _, err := j.Accept(t.Context(), acceptRequest("sending"))
	block := orders.Block{Organisation: "ttd", Channel: orders.SMS, Recipient: "+4799999999", At: time.Now()}
	if err == nil {
		_, err = j.Apply(t.Context(), []orders.Event{block})
	}
	if err != nil {
		t.Fatal(err)
	}
	spoil(t, j, func(w *writeTx) error { // as version 3 had it
		old := sending
		old.ClaimUntil = time.Time{}
		return w.PutShipment(&old, false)
	})
	j.Close()
	db := rawDB(t, path)
	withoutSums(t, db)
	if err := db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketLifted) }); err != nil {
		t.Fatal(err)
	}
	setVersion(t, db, 3)
	db.Close()
	wantRefused(t, path, ErrOutdated)
	if err := Migrate(t.Context(), path, Options{Log: quiet}); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, path, Options{})
	again, claimed, err := j.Accept(t.Context(), acceptRequest("sending"))
	if err != nil || claimed || again.ID != sending.ID || again.Held {
		t.Errorf("an order that was in flight: %+v, %v, %v", again, claimed, err)
	}
	if s, _, err := j.Accept(t.Context(), acceptRequest("k")); err != nil || s.Status != orders.SMSFailedRecipientReserved {
		t.Errorf("blocked: %v, %v", s.Status, err)
	}
	block.Off, block.At = true, block.At.Add(time.Second)
	if _, err := j.Apply(t.Context(), []orders.Event{block}); err != nil {
		t.Fatal(err)
	}
	order(t, j, "k2")
	check(t, j)
}

// TestMigrateEnds: a migration stops between two steps when it is told to, and can
// go on.
func TestMigrateEnds(t *testing.T) {
	path, made := oldJournal(t, 24*time.Hour, 10)
	ctx, cancel := context.WithCancel(t.Context())
	opt := Options{Log: quiet, migrateStep: 3, commit: func(tx *bbolt.Tx) error {
		cancel()
		return tx.Commit()
	}}
	if err := Migrate(ctx, path, opt); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	wantRefused(t, path, ErrOutdated)
	if err := Migrate(t.Context(), path, Options{Log: quiet}); err != nil {
		t.Fatal(err)
	}
	wantMade(t, mustOpen(t, path, Options{}), made)
}

// wantRefused: neither Open nor those who only look take the file, but a backup
// of it can be made; nor does a program that knows version 2 and no migration.
func wantRefused(t *testing.T, path string, want error) {
	t.Helper()
	if j, err := Open(path, Options{}); !errors.Is(err, want) {
		if err == nil {
			j.Close()
		}
		t.Fatalf("opened: %v", err)
	}
	r, err := OpenReadOnly(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Check(t.Context()); !errors.Is(err, want) {
		t.Errorf("checked: %v", err)
	}
	if _, err := r.Stats(t.Context()); !errors.Is(err, want) {
		t.Errorf("counted: %v", err)
	}
	var copied bytes.Buffer
	if err := r.Backup(t.Context(), &copied); err != nil || copied.Len() == 0 {
		t.Errorf("backup: %v", err)
	}
	r.snapshots.view(func(tb tables) error {
		if v := binary.BigEndian.Uint32(tb.meta().Get(keySchema)); v == schemaVersion {
			t.Errorf("looks like version %d to an older program", v)
		}
		return nil
	})
}

// old returns how many records are in numbered slots.
func old(t *testing.T, path string) (n int) {
	t.Helper()
	db := rawDB(t, path)
	defer db.Close()
	db.View(func(tx *bbolt.Tx) error {
		for _, table := range []*slots{tables{tx: tx}.keys(), tables{tx: tx}.refs()} {
			for _, slot := range table.all() {
				if numbered(slot) {
					n += slot.b.Stats().KeyN
				}
			}
		}
		return nil
	})
	return n
}

func copyFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	to := filepath.Join(t.TempDir(), "journal.db")
	if err = errors.Join(err, os.WriteFile(to, content, 0o600)); err != nil {
		t.Fatal(err)
	}
	return to
}
