package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// ErrReplaced reports that the file is not what was committed here any more: somebody copied another
// over it, cut it short, or put another one in its place. It can't be made whole.
var ErrReplaced = errors.New("what was stored since may be gone. Straks ends, and does not start on that file by itself: " +
	"a message that it does not know would be sent a second time. See \"Restoring\" in docs/operations.md")

// A file may change under an open journal: cp, dd, rsync --inplace and a restore of a backup write into
// the same inode, and the map shows it at once. identity is what the file must be: the same inode, as
// long as its pages, and with the two meta pages that the last commit here has left.
//
// A commit writes the one meta page whose number is that of its transaction, modulo 2. So the other one
// stays as it is until the next commit is begun: that is the one that readers look at. Of what such
// a tool writes the meta pages come first, so that a reader that finds the page unchanged after it
// has read has read nothing of the other file.
type identity struct {
	path string
	fd   *os.File
	info os.FileInfo // of fd, when it was opened
	size int         // of a page
	head []byte      // the two meta pages, mapped: as the kernel has them now

	mu    sync.Mutex
	tx    int       // the last commit
	pages int64     // octets of its pages
	want  [2][]byte // the meta pages that it left; replaced, never changed
}

// metaSize is the part of a meta page that bbolt uses: its header, and its fields up to the checksum.
const metaSize = 16 + 64

// Where a meta page has its transaction's number: see listed.
const metaTx = 16 + 48

// identify maps the meta pages of an open file.
func identify(path string, f file) (*identity, error) {
	size := f.db.Info().PageSize
	head, err := syscall.Mmap(int(f.fd.Fd()), 0, 2*size, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map of the meta pages: %w", err)
	}
	return &identity{path: path, fd: f.fd, info: f.info, size: size, head: head}, nil
}

// close ends the map. No reader may have it.
func (id *identity) close() {
	if id != nil && id.head != nil {
		_ = syscall.Munmap(id.head)
		id.head = nil
	}
}

// meta returns the meta page of a transaction, as it is now.
func (id *identity) meta(tx int) []byte { return id.head[tx%2*id.size:][:metaSize] }

// committed notes that transaction tx is the last one, with so many octets of pages. It fails unless the
// file is what the commit before left, with tx after it, and is in its place. The meta pages are read
// once: what another program writes after that is not taken for ours.
func (id *identity) committed(tx int, pages int64) error {
	return id.has(func() bool {
		now := [2][]byte{bytes.Clone(id.meta(0)), bytes.Clone(id.meta(1))}
		opened := id.want[0] == nil // just now
		if !opened && (tx != id.tx+1 || !id.follows(now, tx)) {
			return false
		}
		id.tx, id.pages, id.want = tx, max(id.pages, pages), now
		return true
	})
}

// kept fails unless the file has what the last commit left, and is in its place. A transaction may have
// been begun, or have failed. A closed file need only be in its place.
func (id *identity) kept() error { return id.has(func() bool { return id.left(id.tx) }) }

// same fails unless the file is what the last commit left, and is in its place.
func (id *identity) same() error { return id.has(func() bool { return id.left(0) && id.left(1) }) }

// extended fails unless the file is what the last commit left, with transaction tx after it, and is in
// its place.
func (id *identity) extended(tx int) error {
	return id.has(func() bool { return id.follows([2][]byte{id.meta(0), id.meta(1)}, tx) })
}

// follows reports whether these meta pages are those that the last commit left, with transaction tx after it.
func (id *identity) follows(meta [2][]byte, tx int) bool {
	other := (tx + 1) % 2
	return binary.NativeEndian.Uint64(meta[tx%2][metaTx:]) == uint64(tx) && bytes.Equal(meta[other], id.want[other])
}

func (id *identity) has(ours func() bool) (err error) {
	id.mu.Lock()
	defer id.mu.Unlock()
	defer caught(&err)()
	if err := id.inPlace(); err != nil {
		return err
	}
	if id.head != nil && !ours() {
		return id.overwritten()
	}
	return nil
}

// left reports whether the meta page of a transaction is as the last commit left it.
func (id *identity) left(tx int) bool { return bytes.Equal(id.meta(tx), id.want[tx%2]) }

// continues reports whether a file that was opened again has what the last commit here has left.
func (id *identity) continues(before *identity) bool {
	return os.SameFile(id.info, before.info) && bytes.Equal(id.meta(before.tx), before.want[before.tx%2])
}

func (id *identity) overwritten() error {
	return fmt.Errorf("journal %s was overwritten since it was opened, by a copy of it or by something else: %w", id.path, ErrReplaced)
}

// inPlace fails where path has come to mean another file, or none: what is stored then would be gone
// with the next start. If the file has another name, it may be moved back, and the journal goes on. If
// not, or the file ends before its pages do, it is ErrReplaced. It costs a look at a directory that is
// in memory.
func (id *identity) inPlace() error {
	now, err := os.Stat(id.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(now, id.info):
		if id.links() == 0 {
			return fmt.Errorf("journal %s was deleted or replaced since it was opened: %w", id.path, ErrReplaced)
		}
		return replaced(id.path)
	case err == nil && now.Size() < id.pages:
		return fmt.Errorf("journal %s was cut short since it was opened, to %d of %d octets: %w", id.path, now.Size(), id.pages, ErrReplaced)
	}
	return nil
}

// links returns how many names the file has.
func (id *identity) links() uint64 {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(id.fd.Fd()), &st); err != nil {
		return 1
	}
	return uint64(st.Nlink)
}

func replaced(path string) error {
	return fmt.Errorf("%s was moved away or replaced since it was opened: move it back, or restart straks to take what is there", path)
}

// overwritten follows a journal's name in that of a file which keeps Open from it: the next start would
// take what is there, and send again what that does not know.
const overwritten = ".overwritten"

// mark keeps the next Open from a file that is ErrReplaced, until somebody has looked.
func mark(path string, cause error) error {
	f, err := os.OpenFile(path+overwritten, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s: %v\n", time.Now().UTC().Format(time.RFC3339), cause)
	return errors.Join(err, f.Sync(), f.Close(), SyncFolder(path))
}

// marked returns an error where a mark keeps Open from the journal.
func marked(path string) error {
	if _, err := os.Stat(path + overwritten); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return fmt.Errorf("journal %s was overwritten, replaced or cut short while straks had it open: what was stored since that copy was made "+
		"is unknown to it, and would be sent a second time if a client repeats it. Put the right file there, then delete %s; "+
		"it says when and how it was noticed", path, path+overwritten)
}
