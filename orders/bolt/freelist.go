package bolt

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"

	"go.etcd.io/bbolt"
)

// mostListed is how many free pages a commit lists at the most: 16 KiB in the
// file, and 100 µs to put them in order.
const mostListed = 2048

// list has the next commit store the list of free pages, unless it is long. With
// it, Open is done at once after a crash too; without, it walks the whole file
// to find them (4 s for 10 million shipments). The list is long only while
// retention removes faster than orders come.
func list(db *bbolt.DB) {
	st := db.Stats()
	db.NoFreelistSync = st.FreePageN+st.PendingPageN > mostListed
}

// listed tells whether the newest state in the file has a list of free pages, as far as
// can be told: of what is no journal bbolt tells more. A meta page is a page header of 16 octets,
// then magic, version, page size and flags of 4 each, the root bucket's 16, the list's page (all
// ones: none) and, further on, the transaction (bbolt's internal/common.Meta).
func listed(path string) bool {
	fd, err := os.Open(path)
	if err != nil {
		return true
	}
	defer fd.Close()
	var newest, list uint64
	for i := range int64(2) {
		meta := make([]byte, 72)
		if _, err := fd.ReadAt(meta, i*int64(os.Getpagesize())); err != nil {
			return true
		}
		if tx := binary.NativeEndian.Uint64(meta[64:]); tx >= newest {
			newest, list = tx, binary.NativeEndian.Uint64(meta[48:])
		}
	}
	return list != math.MaxUint64
}

// walk fails where the file has a page that can't be read. bbolt's own walk, in search of
// free pages that no list has, would end the process over it: it panics, or faults, in a goroutine
// of its own.
func walk(path string, opt Options) error {
	f, err := openFile(path, opt, toLook)
	if err != nil {
		return err
	}
	defer f.db.Close()
	return f.view(func(t tables) error { return walkBucket(t.tx.Cursor().Bucket()) })
}

func walkBucket(b *bbolt.Bucket) error {
	var last []byte
	return b.ForEach(func(k, v []byte) error {
		if bytes.Compare(last, k) > 0 {
			return corrupt("keys out of order")
		}
		if last = k; v != nil {
			return nil
		}
		return walkBucket(b.Bucket(k))
	})
}
