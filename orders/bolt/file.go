package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"straks/orders/sealed"
)

var (
	keySchema = []byte("schema")
	keyFrom   = []byte("from") // while a migration is under way: the version before
	keyID     = []byte("id")

	keySchemaSum = []byte("schema.sum")
	keyFeedStart = []byte("feed start")
	keyProbe     = []byte("probe")
	keySealing   = []byte("sealing") // the state of package sealed; absent where recipients are plain
)

// ErrLocked reports that another process, most likely the daemon, has the journal open.
var ErrLocked = errors.New("locked by another process: is straks running?")

// file is the open bbolt database and its descriptor.
type file struct {
	db     *bbolt.DB
	fd     *os.File
	info   os.FileInfo // of fd, when it was opened
	mapped int         // address space, in octets
	id     *identity   // of a journal that is in use; else nil
	box    *sealed.Box // of its recipients (recipients.go)
}

// openFile opens what exists, never creates, and does not wait for a lock. To write to a file is to
// know its free pages. If they are not listed, bbolt reads every page in use to find them, in a
// goroutine of its own: a page that can't be read there ends the process with a panic.
func openFile(path string, opt Options, readOnly bool) (f file, err error) {
	defer caught(&err)()
	if !readOnly && !listedAt(path) {
		opt.Log.Warn("journal: reading all pages, since the list of free ones is not stored. If straks ends here, "+
			"a page can't be read: run \"straks journal check\", and restore a backup", "journal", path)
	}
	f.mapped = opt.MapSize
	f.db, err = bbolt.Open(path, 0o600, &bbolt.Options{
		ReadOnly:        readOnly,
		Timeout:         time.Nanosecond,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: opt.MapSize,
		MaxSize:         opt.MapSize - 1, // an error is better than mapping the file again, which waits for readers
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			fd, err := opt.openFile(name, flag&^os.O_CREATE, mode)
			if f.fd = fd; err == nil {
				f.info, err = fd.Stat()
			}
			return fd, err
		},
	})
	return f, err
}

// leastFile is less than any journal has, in octets: its two meta pages.
const leastFile = 2 * 4096

// open opens a journal of a schema that can be read or migrated. Its errors are for the operator. If
// the file is opened for writing, all that can be read in it is on disk then.
func open(path string, opt Options, readOnly bool) (file, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() < leastFile { // an empty one bbolt would take for one to be made
		return file{}, fmt.Errorf("journal %s: not a journal, or damaged, as a copy that broke off is: it has only %d octets", path, info.Size())
	}
	if err == nil {
		opt.MapSize = max(opt.MapSize, 2*int(info.Size()))
	}
	f, err := openFile(path, opt, readOnly)
	if err != nil && f.fd != nil {
		_ = f.abandon()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return file{}, fmt.Errorf("journal %s does not exist: is journal.path right, and its disk there? \"straks init\" makes an empty one, "+
			"for which every message ever sent is unknown; where there was one, restore a backup", path)
	case errors.Is(err, berrors.ErrTimeout):
		return file{}, fmt.Errorf("journal %s is %w", path, ErrLocked)
	case errors.Is(err, berrors.ErrInvalid), errors.Is(err, berrors.ErrVersionMismatch), errors.Is(err, berrors.ErrChecksum):
		return file{}, fmt.Errorf("journal %s: not a journal, or damaged, as a copy that broke off is: %w", path, err)
	case err != nil:
		return file{}, about(path, err)
	}
	err = f.view(func(t tables) error {
		if err := f.whole(t.tx.Size()); err != nil {
			return err
		}
		_, _, err := t.schema()
		return err
	})
	if err == nil && !readOnly {
		err = f.settle()
	}
	if err != nil {
		f.db.Close()
		return file{}, about(path, err)
	}
	return f, nil
}

// whole fails where the file ends before size, that of its pages, as a copy
// does that broke off. To read on would be a page fault, now or some day.
func (f file) whole(size int64) error {
	info, err := f.fd.Stat()
	if err == nil && info.Size() < size {
		err = fmt.Errorf("damaged: only %d of %d octets are there; if it is a copy, copy it again", info.Size(), size)
	}
	return err
}

func (f file) view(read func(tables) error) (err error) {
	defer caught(&err)()
	return f.db.View(func(tx *bbolt.Tx) error { return read(tables{tx, f.box}) })
}

// settle writes both meta pages again and syncs. The page cache may show a
// meta page that never reached the disk (its sync failed, or the process died
// before it); were the pages that it frees used again first, a power cut would
// leave a journal that is neither old nor new. No transaction may be writing.
func (f file) settle() error {
	meta := make([]byte, 2*f.db.Info().PageSize)
	if _, err := f.fd.ReadAt(meta, 0); err != nil {
		return err
	}
	if _, err := f.fd.WriteAt(meta, 0); err != nil {
		return err
	}
	return syscall.Fdatasync(int(f.fd.Fd()))
}

// shut closes the file, and writes nothing. A page that can't be read is an error.
func (f file) shut() error {
	err := closeQuietly(f.db)
	f.id.close()
	return err
}

// abandon closes the descriptor of a file that bbolt can't close any more. What it has mapped stays
// mapped, and would keep the lock.
func (f file) abandon() error {
	return errors.Join(syscall.Flock(int(f.fd.Fd()), syscall.LOCK_UN), f.fd.Close())
}

// close closes the file. The list of free pages is stored first, so that the
// next Open need not walk the whole file to find them.
func (f file) close() (err error) {
	defer caught(&err)()
	defer f.id.close()
	f.db.NoFreelistSync = false
	if tx, err := f.db.Begin(true); err == nil {
		if err := tx.Commit(); err != nil {
			return errors.Join(err, f.db.Close())
		}
	}
	return f.db.Close()
}
