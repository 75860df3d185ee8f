package bolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// Stats is what is in a journal. Sizes are in octets.
type Stats struct {
	ID            uuid.UUID `json:"id,omitzero"`
	Schema        int       `json:"schema,omitempty"`
	FileSize      int64     `json:"fileSize"`            // of all pages, free ones included; the file is up to 16 MiB longer, for growth
	FreeSize      int64     `json:"freeSize"`            // of pages that will be used again
	DiskFree      int64     `json:"diskFree,omitempty"`  // on the disk of the file, for users other than root
	Organisations int       `json:"organisations"`       // that have a feed
	FeedStart     uint64    `json:"feedStart,omitempty"` // the numbers of each feed begin above it
	FeedEntries   uint64    `json:"feedEntries"`
	Cursors       int       `json:"cursors,omitempty"` // of webhooks, those that were removed lately included; by Stats only
	Parked        int       `json:"parked"`
	ParkedOctets  int64     `json:"parkedOctets"`        // of their records
	ParkedMost    string    `json:"parkedMost,omitzero"` // the carrier of most of them
	Shipments     int       `json:"shipments,omitempty"` // counted by walking all pages, by Stats only

	// Of a journal that is sealed, by Stats only: the recipients that are plain, and those that are sealed with each key.
	// A key that is not there is not needed.
	Plain  int            `json:"plainRecipients,omitempty"`
	Sealed map[string]int `json:"sealedRecipients,omitempty"`
}

// Stats counts what is in the journal. It reads every page in use.
func (r *reader) Stats(ctx context.Context) (Stats, error) {
	st := r.Levels()
	err := r.snapshots.view(func(t tables) error {
		if err := t.current(); err != nil {
			return err
		}
		st.Shipments = t.shipments().Stats().KeyN
		st.Cursors = t.cursors().Stats().KeyN
		used := t.tx.Cursor().Bucket().Stats()
		pages := int64(2 + used.BranchPageN + used.BranchOverflowN + used.LeafPageN + used.LeafOverflowN) // and the meta pages
		st.FreeSize = st.FileSize - pages*int64(t.tx.DB().Info().PageSize)
		st.Schema = schemaVersion
		var err error
		if st.ID, err = t.id(); err == nil {
			st.FeedStart, err = t.feedStart()
		}
		if err == nil && t.meta().Get(keySealing) != nil {
			st.Plain, st.Sealed, err = t.countRecipients(ctx)
		}
		return err
	})
	return st, err
}

// Levels is the part of Stats that costs nothing, for callers that ask often.
func (r *reader) Levels() (st Stats) {
	r.snapshots.view(func(t tables) error {
		db := t.tx.DB()
		st.FileSize = t.tx.Size()
		st.FreeSize = int64(db.Stats().FreePageN) * int64(db.Info().PageSize)
		return t.feed().ForEachBucket(func(name []byte) error {
			c := t.feed().Bucket(name).Cursor()
			if first, _ := c.First(); first != nil {
				last, _ := c.Last()
				st.FeedEntries += binary.BigEndian.Uint64(last) - binary.BigEndian.Uint64(first) + 1
			}
			st.Organisations++
			return nil
		})
	})
	st.DiskFree, _ = freeBeside(r.path) // 0 where that can't be read
	levels := r.parkedLevels()
	all := levels.total()
	st.Parked, st.ParkedOctets = all.n, all.octets
	for carrier, level := range levels {
		if most := levels[st.ParkedMost].n; level.n > most || level.n == most && level.n > 0 && carrier < st.ParkedMost {
			st.ParkedMost = carrier
		}
	}
	return st
}

// compactTx is how much Compact copies in one transaction, in octets.
const compactTx = 8 << 20

// Compact copies the journal at src, which no process may have open, to a new file
// at dst without its free pages.
func Compact(src, dst string, opt Options) (err error) {
	defer caught(&err)()
	opt = opt.withDefaults()
	from, err := open(src, opt, true)
	if err != nil {
		return err
	}
	defer from.db.Close()
	fd, err := os.OpenFile(dst, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("journal: compact: %w", err)
	}
	fd.Close()
	opt.MapSize = from.mapped // what has outgrown the usual map would outgrow it again
	to, err := openFile(dst, opt, false)
	if err != nil {
		return fmt.Errorf("journal: compact to %s: %w", dst, err)
	}
	to.db.AllocSize = 0 // no room for growth: the file must be hardly longer than its pages
	if err := bbolt.Compact(to.db, from.db, compactTx); err != nil {
		to.db.Close()
		return fmt.Errorf("journal: compact to %s: %w", dst, err)
	}
	return to.close()
}
