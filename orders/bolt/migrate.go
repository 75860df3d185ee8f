package bolt

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// nameSlotsByEnd makes version 2 of version 1, in which a slot's name was its
// number. What that stood for depended on the length of slots at the time, so
// that a program with other lengths took them for younger or older than they were.
func nameSlotsByEnd(t tables) error {
	err := t.keys().rebuild(func(v []byte) (us int64, err error) {
		id, err := uuid.FromBytes(v)
		return idMicro(id), err
	})
	if err != nil {
		return err
	}
	return t.refs().rebuild(func(v []byte) (us int64, err error) {
		r, err := decodeRef(v)
		if r.parked != nil {
			return int64(binary.BigEndian.Uint64(r.parked)), err
		}
		return idMicro(r.shipment), err
	})
}

// slotted is one record of a table in slots.
type slotted struct{ key, value []byte }

// rebuild puts every record anew, at the time that at reads from its value. Of
// a key that is in several slots, the last one stays.
func (s *slots) rebuild(at func(value []byte) (us int64, err error)) error {
	var names [][]byte
	var records []slotted
	err := s.b.ForEachBucket(func(name []byte) error {
		names = append(names, append([]byte(nil), name...))
		return s.b.Bucket(name).ForEach(func(k, v []byte) error {
			records = append(records, slotted{append([]byte(nil), k...), append([]byte(nil), v...)})
			return nil
		})
	})
	for _, name := range names {
		if err == nil {
			err = s.b.DeleteBucket(name)
		}
	}
	for _, r := range records {
		if err != nil {
			return err
		}
		err = s.putAgain(r, at)
	}
	return err
}

func (s *slots) putAgain(r slotted, at func(value []byte) (us int64, err error)) error {
	us, err := at(r.value)
	if err != nil {
		return err
	}
	if err := s.delete(r.key); err != nil {
		return err
	}
	return s.put(us, r.key, r.value)
}
