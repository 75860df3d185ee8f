package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"
)

// liftedRetention is how long a lifted block is kept (orders.Block).
const liftedRetention = 24 * time.Hour

func liftedKey(at time.Time, blocked []byte) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, 8+hashSize), uint64(max(at.UnixMicro(), 0)))
	return append(key, blocked...)
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
		if b, err := decodeBlock(v); err == nil && b.Off && bytes.Equal(liftedKey(b.At, k[8:]), k) {
			failed = w.blocked().Delete(k[8:])
		}
		return failed == nil
	})
	return dropped, errors.Join(failed, err)
}
