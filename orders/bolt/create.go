package bolt

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// unfinished follows a journal's name in that of a file of which Create may yet
// make it; chance adds the rest.
const unfinished = ".new-"

// Create makes an empty journal, synced together with its folder's entry. It
// fails where a file is already: an empty journal is forgotten keys.
//
// The file gets its name when it is whole and synced, unless another has the name
// by then. Cut short by a kill or a power cut, Create leaves the whole journal or none,
// and perhaps the file under its first name, which does no harm.
func Create(path string, opt Options) error {
	if opt.FeedStart > MaxFeedStart {
		return fmt.Errorf("journal %s: a feed can start at %d at most, not at %d", path, MaxFeedStart, opt.FeedStart)
	}
	temporary, err := makeUnder(path+unfinished, opt.withDefaults())
	if err == nil {
		err = os.Link(temporary, path) // a rename would replace what is there
	}
	os.Remove(temporary)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("journal %s: there is a file already; to start with an empty journal, move it away", path)
	}
	if err != nil {
		return about(path, err)
	}
	return about(path, SyncFolder(path))
}

// makeUnder makes a journal in a new file whose name begins with prefix. The commit syncs it.
func makeUnder(prefix string, opt Options) (path string, err error) {
	fd, err := os.CreateTemp(filepath.Dir(prefix), filepath.Base(prefix)+"*")
	if err != nil {
		return "", err
	}
	path = fd.Name()
	if err := fd.Close(); err != nil {
		return path, err
	}
	f, err := openFile(path, opt, false)
	if err != nil {
		return path, err
	}
	list(f.db, true)
	return path, errors.Join(f.db.Update(func(tx *bbolt.Tx) error { return initialise(tx, opt.FeedStart) }), f.db.Close())
}

func initialise(tx *bbolt.Tx, feedStart uint64) error {
	names := [][]byte{bucketMeta, bucketKeys, bucketKeyFilter, bucketShipments, bucketRefs, bucketRefFilter,
		bucketParked, bucketDeadlines, bucketFeed, bucketBlocked, bucketLifted, bucketUnanswered, bucketCursors}
	for _, name := range append(names, verificationBuckets...) {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	id := uuid.New()
	t := tables{tx: tx}
	if feedStart > 0 {
		if err := t.putMeta(keyFeedStart, seqKey(feedStart)); err != nil {
			return err
		}
	}
	return errors.Join(t.putSchema(schemaVersion), t.putMeta(keyID, id[:]))
}

// SyncFolder syncs the folder of a file, so that the file's creation, renaming or removal
// survives a power cut.
func SyncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
