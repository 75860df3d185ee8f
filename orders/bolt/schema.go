package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/google/uuid"
)

const (
	// schemaVersion is the version that this package reads and writes. A change that raises it
	// adds the step from the version before to migrations.
	schemaVersion = 8

	// between stands in place of the version during a migration: newer than any version that
	// a program knows.
	between = math.MaxUint32
)

// ErrOutdated reports a journal of an older version, or one whose migration has not ended.
var ErrOutdated = errors.New("straks serve brings it up to date when it starts; take a backup first (straks journal backup)")

// SchemaVersion is the version of the journals that this package writes. It opens older ones, and no
// newer ones.
const SchemaVersion = schemaVersion

// schema returns the version of the journal. While it is being migrated, that is
// between, and from the version that it had.
func (t tables) schema() (version, from uint32, err error) {
	meta := t.meta()
	if meta == nil || len(meta.Get(keySchema)) != 4 {
		return 0, 0, errors.New("not a journal: a database of something else")
	}
	version = binary.BigEndian.Uint32(meta.Get(keySchema))
	// The version has its sum beside it, since older programs read it. They store none.
	if sum := meta.Get(keySchemaSum); sum != nil || version == schemaVersion {
		if !metaScope.whole(keySchema, append(bytes.Clone(meta.Get(keySchema)), sum...)) {
			return 0, 0, corrupt("the schema's version")
		}
	}
	from = version
	if b := meta.Get(keyFrom); version == between && len(b) >= 4 {
		from = binary.BigEndian.Uint32(b)
		if len(b) > 4 && !metaScope.whole(keyFrom, b) {
			return 0, 0, corrupt("the schema's version")
		}
	}
	if from < 1 || from > schemaVersion {
		return 0, 0, fmt.Errorf("schema version %d, but this program knows %d; use the program that wrote it, or a newer one", from, schemaVersion)
	}
	return version, from, nil
}

// putSchema stores the version of the journal.
func (t tables) putSchema(version uint32) error {
	b := binary.BigEndian.AppendUint32(nil, version)
	sum := metaScope.seal(bytes.Clone(b), 0, keySchema)[len(b):]
	return errors.Join(t.meta().Put(keySchema, b), t.meta().Put(keySchemaSum, sum))
}

// metaValue returns a value of meta, nil where there is none. Each ends with its sum, but that of the
// schema's version.
func (t tables) metaValue(key []byte) ([]byte, error) {
	record := t.meta().Get(key)
	if record == nil {
		return nil, nil
	}
	v, ok := metaScope.open(key, record)
	if !ok {
		return nil, corrupt(fmt.Sprintf("%q of meta", key))
	}
	return v, nil
}

func (t tables) putMeta(key, value []byte) error {
	return t.meta().Put(key, metaScope.seal(bytes.Clone(value), 0, key))
}

// id returns the journal's random id.
func (t tables) id() (uuid.UUID, error) {
	v, err := t.metaValue(keyID)
	if err == nil && len(v) != len(uuid.UUID{}) {
		err = corrupt("the journal's id")
	}
	if err != nil {
		return uuid.Nil, err
	}
	return uuid.UUID(v), nil
}

// current returns ErrOutdated, or what else is wrong, unless the journal is of the
// present schema.
func (t tables) current() error {
	version, from, err := t.schema()
	switch {
	case err != nil:
		return err
	case version == schemaVersion:
		_, err := t.id()
		return err
	case version == between:
		return fmt.Errorf("its migration from schema version %d to %d has not ended: %w", from, schemaVersion, ErrOutdated)
	}
	return fmt.Errorf("schema version %d, and this program has %d: %w", version, schemaVersion, ErrOutdated)
}
