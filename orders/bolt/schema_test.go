package bolt

import (
	"errors"
	"testing"

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
