package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

const (
	// schemaVersion is the version that this package reads and writes. A change that raises it
	// adds the step from the version before to migrations.
	schemaVersion = 4

	// between stands in place of the version during a migration: newer than any version that
	// a program knows.
	between = math.MaxUint32
)

// ErrOutdated reports a journal of an older version, or one whose migration has not ended.
var ErrOutdated = errors.New("straks serve brings it up to date when it starts; take a backup first (straks journal backup)")

// schema returns the version of the journal. While it is being migrated, that is
// between, and from the version that it had.
func (t tables) schema() (version, from uint32, err error) {
	meta := t.meta()
	if meta == nil || len(meta.Get(keySchema)) != 4 {
		return 0, 0, errors.New("not a journal: a database of something else")
	}
	version = binary.BigEndian.Uint32(meta.Get(keySchema))
	from = version
	if b := meta.Get(keyFrom); version == between && len(b) == 4 {
		from = binary.BigEndian.Uint32(b)
	}
	if from < 1 || from > schemaVersion {
		return 0, 0, fmt.Errorf("schema version %d, but this program knows %d; use the program that wrote it, or a newer one", from, schemaVersion)
	}
	return version, from, nil
}

// current returns ErrOutdated, or what else is wrong, unless the journal is of the
// present schema.
func (t tables) current() error {
	version, from, err := t.schema()
	switch {
	case err != nil || version == schemaVersion:
		return err
	case version == between:
		return fmt.Errorf("its migration from schema version %d to %d has not ended: %w", from, schemaVersion, ErrOutdated)
	}
	return fmt.Errorf("schema version %d, and this program has %d: %w", version, schemaVersion, ErrOutdated)
}
