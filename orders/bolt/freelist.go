package bolt

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"os"

	"go.etcd.io/bbolt"
)

// mostListed is how many free pages a commit lists at the most: 16 KiB in the
// file, and 100 µs to put them in order.
const mostListed = 2048

// list has the next commit store the list of free pages, unless it is long. With
// it, Open is done at once after a crash too; without, it walks the whole file
// to find them (6 to 8 s for 10 million shipments). The list is long only while
// retention removes faster than orders come. Where the file is damaged a walk would end
// at the page that can't be read, and bbolt's, after a write that failed, with the process: a long
// list is stored too.
func list(db *bbolt.DB, damaged bool) {
	st := db.Stats()
	db.NoFreelistSync = st.FreePageN+st.PendingPageN > mostListed && !damaged
}

// noList is the number of no page.
const noList = math.MaxUint64

// listed tells whether the newest state in the file has a list of free pages, as far as that can
// be told.
func listed(path string) bool { return listPage(path) != noList }

// listPage returns the page on which the newest state in the file has its list of free pages, or
// noList; 0 where that can't be told: of what is no journal bbolt tells more.
//
// A meta page is a page header of 16 octets, then magic, version, page size and flags of 4 each, the root bucket's 16, the list's page (all
// ones: none), the number of pages, the transaction and a checksum of all that but the header (bbolt's
// internal/common.Meta). One that is torn does not count. The second lies behind the first, whose
// length depends on the machine where the file was made.
func listPage(path string) (list uint64) {
	fd, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer fd.Close()
	var newest uint64
	for at := int64(0); at <= longestPage; at = max(2*at, shortestPage) {
		meta := make([]byte, 80)
		if _, err := fd.ReadAt(meta, at); err != nil {
			break
		}
		sum := fnv.New64a()
		sum.Write(meta[16:72])
		if tx := binary.NativeEndian.Uint64(meta[64:]); tx >= newest && sum.Sum64() == binary.NativeEndian.Uint64(meta[72:]) {
			newest, list = tx, binary.NativeEndian.Uint64(meta[48:])
		}
	}
	return list
}

// The lengths of pages that bbolt looks for, in octets.
const (
	shortestPage = 1 << 10
	longestPage  = 16 << 20
)

// walk fails where bbolt's own walk, in search of free pages that no list has, would find a fault
// or meet a page that can't be read. Either would end the process: that walk goes on in a goroutine
// of its own, which panics.
func walk(path string, opt Options) error {
	f, err := openFile(path, opt, toLook)
	if err != nil {
		return err
	}
	defer f.db.Close()
	return f.view(func(t tables) error {
		_, err := f.inUse(t)
		return err
	})
}

// inUse tells which pages tables lie on.
func (f file) inUse(t tables) ([]bool, error) {
	size := f.db.Info().PageSize
	w := walker{file: f.fd, size: size, seen: make([]bool, t.tx.Size()/int64(size))}
	_, err := w.tree(uint64(t.tx.Cursor().Bucket().Root()), nil, nil)
	return w.seen, err
}
