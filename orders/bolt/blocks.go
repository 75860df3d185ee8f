package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"straks/orders"
)

// liftedRetention is how long a lifted block is kept: a block that is older, and is stored after
// it, must have no effect.
const liftedRetention = 24 * time.Hour

func blockedKey(organisation string, c orders.Channel, to orders.Recipient) []byte {
	return hash(organisation, c.String(), string(to))
}

func liftedKey(at time.Time, blocked []byte) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, 8+hashSize), uint64(max(at.UnixMicro(), 0)))
	return append(key, blocked...)
}

// isBlocked reports whether the shipment's recipient is on the block list. A record that can't be
// read blocks.
func (t tables) isBlocked(s *orders.Shipment) bool {
	v := t.blocked().Get(blockedKey(s.Organisation, s.Channel, s.Recipient))
	if v == nil {
		return false
	}
	b, err := decodeBlock(v)
	return err != nil || !b.off
}

// block stores a change of a block list, unless a later one is stored already.
func (w *writeTx) block(b orders.Block) error {
	key := blockedKey(b.Organisation, b.Channel, b.Recipient)
	if v := w.blocked().Get(key); v != nil {
		if have, err := decodeBlock(v); err == nil && b.At.Before(have.at) {
			return nil
		}
	}
	if b.Off {
		if err := w.lifted().Put(liftedKey(b.At, key), []byte{}); err != nil {
			return err
		}
	}
	return w.blocked().Put(key, w.value(func(v []byte) []byte { return encodeBlock(v, listing{b.At, b.Off}) }))
}

// dropLifted removes blocks that were lifted more than a day before now, at most n, and returns how many.
func (w *writeTx) dropLifted(now time.Time, n int) (int, error) {
	old := olderThan(now.Add(-liftedRetention))
	var failed error
	dropped, err := drop(w.lifted(), n, func(k, _ []byte) bool {
		if failed != nil || !old(k) {
			return false
		}
		v := w.blocked().Get(k[8:])
		if b, err := decodeBlock(v); err == nil && b.off && bytes.Equal(liftedKey(b.at, k[8:]), k) {
			failed = w.blocked().Delete(k[8:])
		}
		return failed == nil
	})
	return dropped, errors.Join(failed, err)
}
