package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// schemaVersion is what this package reads and writes. Whoever raises it adds
// the step from the version before to migrations.
const schemaVersion = 2

// migration brings a journal from one version of the schema to the next. It
// runs in one transaction with the change of the version, so that a crash
// leaves the one or the other.
type migration func(tables) error

// migrations returns the steps from version 1 on, in order: the first makes a
// version 2 of it.
func migrations() []migration { return []migration{nameSlotsByEnd} }

// migrate brings the journal to the newest version, and refuses what is newer
// than that or no journal.
func migrate(db *bbolt.DB, steps []migration) error {
	newest := uint32(1 + len(steps))
	version, err := schema(db)
	switch {
	case err != nil:
		return err
	case version < 1 || version > newest:
		return fmt.Errorf("schema version %d, but this program knows %d; use the program that wrote it, or a newer one", version, newest)
	}
	for ; version < newest; version++ {
		err := db.Update(func(tx *bbolt.Tx) error {
			t := tables{tx}
			if err := steps[version-1](t); err != nil {
				return err
			}
			return t.meta().Put(keySchema, binary.BigEndian.AppendUint32(nil, version+1))
		})
		if err != nil {
			return fmt.Errorf("migration from schema version %d: %w", version, err)
		}
	}
	return nil
}

func schema(db *bbolt.DB) (version uint32, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		meta := tx.Bucket(bucketMeta)
		if meta == nil || len(meta.Get(keySchema)) != 4 {
			return errors.New("not a journal: a database of something else")
		}
		version = binary.BigEndian.Uint32(meta.Get(keySchema))
		return nil
	})
	return version, err
}
