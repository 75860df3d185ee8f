package bolt

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func TestNewestSchemaHasItsMigrations(t *testing.T) {
	if want := schemaVersion - 1; len(migrations()) != want {
		t.Fatalf("%d steps, want %d", len(migrations()), want)
	}
}

func TestMigrate(t *testing.T) {
	j, path := newJournal(t, Options{})
	order(t, j, "k")
	j.Close()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	setVersion(t, db, 1)
	fault := errors.New("the second step fails")
	mark := func(name string) migration {
		return func(t tables) error { return t.meta().Put([]byte(name), []byte("done")) }
	}
	steps := []migration{mark("first"), func(t tables) error { return errors.Join(mark("second")(t), fault) }}
	if err := migrate(db, steps); !errors.Is(err, fault) {
		t.Fatalf("%v", err)
	}
	state := func(version uint32, first, second bool) {
		t.Helper()
		got, err := schema(db)
		db.View(func(tx *bbolt.Tx) error {
			meta := tables{tx}.meta()
			if err != nil || got != version || (meta.Get([]byte("first")) != nil) != first || (meta.Get([]byte("second")) != nil) != second {
				t.Fatalf("version %d, %v", got, err)
			}
			return nil
		})
	}
	state(2, true, false) // the step that failed left nothing
	steps[1] = mark("second")
	for range 2 { // and again, with nothing to do
		if err := migrate(db, steps); err != nil {
			t.Fatal(err)
		}
		state(3, true, true)
	}
	if migrate(db, steps[:1]) == nil {
		t.Fatal("a newer schema was taken")
	}
}

func setVersion(t *testing.T, db *bbolt.DB, version uint32) {
	t.Helper()
	err := db.Update(func(tx *bbolt.Tx) error {
		return tables{tx}.meta().Put(keySchema, binary.BigEndian.AppendUint32(nil, version))
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

// sweepAll sweeps as if it were then.
func sweepAll(t *testing.T, j *Journal, then time.Time) {
	t.Helper()
	for {
		swept, err := j.Sweep(t.Context(), then, 90*24*time.Hour, 100)
		if err != nil {
			t.Fatal(err)
		}
		if !swept.More {
			return
		}
	}
}

// TestNumberedSlots: a journal of version 1, whatever the length of its slots,
// knows its keys and references as before, and retention takes them in time.
func TestNumberedSlots(t *testing.T) {
	for _, length := range []time.Duration{24 * time.Hour, 10 * 24 * time.Hour, 30 * 24 * time.Hour} {
		j, path := newJournal(t, Options{})
		s := order(t, j, "k")
		j.Close()
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		numberSlot(t, db, bucketKeys, length)
		numberSlot(t, db, bucketRefs, length)
		setVersion(t, db, 1)
		db.Close()

		j = mustOpen(t, path, Options{})
		sweepAll(t, j, time.Now())
		check(t, j)
		if got := order(t, j, "k"); got.ID != s.ID {
			t.Errorf("slots of %v: the key leads to %v, want %v", length, got.ID, s.ID)
		}
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
