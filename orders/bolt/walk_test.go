package bolt

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"go.etcd.io/bbolt"
)

// unlisted makes a journal of n orders whose free pages are on no list, as a kill may leave
// it, without the octets for growth, and returns the roots of its tables.
func unlisted(t *testing.T, n int) (path string, roots map[string]int) {
	t.Helper()
	j, path := newJournal(t, Options{})
	sent(t, j, n)
	j.Close()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	roots = make(map[string]int)
	var size int64
	err = db.Update(func(tx *bbolt.Tx) error {
		size = tx.Size()
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			roots[string(name)] = int(b.Root())
			return nil
		})
	})
	if err = errors.Join(err, db.Close(), os.Truncate(path, size)); err != nil || listed(path) {
		t.Fatalf("the free pages are listed, %v", err)
	}
	return path, roots
}

// mutate changes the file at path in place.
func mutate(t *testing.T, path string, change func(content []byte)) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		change(content)
		err = os.WriteFile(path, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestBadKeyAndNoList: bbolt's walk dies not of a page that can't be read only, but of keys out
// of order too: it has told that, its transaction is ended, and it goes on. One octet is enough.
func TestBadKeyAndNoList(t *testing.T) {
	path, roots := unlisted(t, 2000)
	mutate(t, path, func(content []byte) {
		p := page(content[roots["shipments"]*os.Getpagesize():])
		if p.kind() != branchPage {
			t.Fatal("the shipments have one page")
		}
		key, _, _ := p.key(1) // before its child's second key, but behind the first
		binary.BigEndian.PutUint16(key[14:], binary.BigEndian.Uint16(key[14:])|1+256)
	})
	for range 5 {
		if j, err := Open(path, Options{Log: quiet}); err == nil {
			j.Close()
			t.Fatal("opened")
		}
		r, err := OpenReadOnly(path, Options{Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
}

// TestWalkFindsWhatBboltDiesOf changes octets at random. Where walk finds nothing, bbolt's own
// walk does not either: else the test would end here.
func TestWalkFindsWhatBboltDiesOf(t *testing.T) {
	path, _ := unlisted(t, 200)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pages, found := len(whole)/os.Getpagesize()-2, 0
	chance := rand.New(rand.NewPCG(1, 2))
	const rounds = 300
	for range rounds {
		mutate(t, path, func(content []byte) {
			copy(content, whole)
			for range 1 + chance.IntN(3) {
				p := content[(2+chance.IntN(pages))*os.Getpagesize():]
				p[chance.IntN(300)] ^= 1 << chance.IntN(8)
			}
		})
		if err := walk(path, Options{}.withDefaults()); err != nil {
			found++
			continue
		}
		f, err := openFile(path, Options{}.withDefaults(), toRead)
		if err != nil {
			t.Fatal(err)
		}
		f.db.Close()
	}
	if found == 0 || found == rounds {
		t.Errorf("a fault in %d of %d", found, rounds)
	}
}

// TestListed: the newest meta page that is whole tells, wherever it lies.
func TestListed(t *testing.T) {
	make := func(size int) (path string) {
		path = t.TempDir() + "/journal.db"
		db, err := bbolt.Open(path, 0o600, &bbolt.Options{PageSize: size})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for i := range 4 { // the last of which is on the second meta page, and stores no list
			db.NoFreelistSync = i%2 == 1
			if err := db.Update(func(tx *bbolt.Tx) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	for _, size := range []int{1 << 10, 1 << 12, 1 << 14, 1 << 16} {
		path := make(size)
		if listed(path) {
			t.Errorf("pages of %d octets: a list is seen, where there is none", size)
		}
		mutate(t, path, func(content []byte) { content[size+72]++ }) // its checksum
		if !listed(path) {
			t.Errorf("pages of %d octets: a torn meta page counts", size)
		}
	}
}
