package bolt

import (
	"encoding/binary"
	"io"
	"os"
	"time"

	"go.etcd.io/bbolt"
)

const (
	// maxListed is how many free pages a busy journal lists with a commit at most: 16 KiB in
	// the file, and 100 µs to sort them. Without the list, Open after a crash has to read
	// every page in use to find the free ones.
	maxListed = 2048

	// idle is how long no call has come when a longer list is stored. A journal that is busy
	// for hours has a short one, unless retention removes faster than orders come.
	idle = time.Second
)

// list has the next commit store the list of free pages: where it is short, or all is true.
func list(db *bbolt.DB, all bool) {
	st := db.Stats()
	db.NoFreelistSync = !all && st.FreePageN+st.PendingPageN > maxListed
}

func listedAt(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return true // as openFile will say
	}
	defer f.Close()
	return listed(f)
}

// listed reports whether the newest of the two meta pages has a list of free pages. The layout is
// that of bbolt's internal/common.Meta after a page header of 16 octets: magic, version, page size
// and flags (4 each), root bucket (16), page of the list (8; all ones: none), pages (8), transaction
// (8). A torn page passes for a whole one here: bbolt finds out.
func listed(file io.ReaderAt) bool {
	const pageSize, freelist, txid, size = 16 + 8, 16 + 32, 16 + 48, 16 + 56
	first, second := make([]byte, size), make([]byte, size)
	if _, err := file.ReadAt(first, 0); err != nil {
		return true // not a journal, as bbolt will say
	}
	if _, err := file.ReadAt(second, int64(binary.NativeEndian.Uint32(first[pageSize:]))); err != nil {
		return true
	}
	if binary.NativeEndian.Uint64(second[txid:]) > binary.NativeEndian.Uint64(first[txid:]) {
		first = second
	}
	return binary.NativeEndian.Uint64(first[freelist:]) != 1<<64-1
}
