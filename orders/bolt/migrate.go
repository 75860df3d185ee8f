package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

const (
	// migrateStep is about how many records one transaction of a migration moves.
	migrateStep = 5000
	// migrateLog is how often a migration logs its progress.
	migrateLog = 10 * time.Second
)

// migration brings a journal from one version of the schema to the next, in steps of
// at most budget records. What is left to do follows from what is stored, so
// that it may be killed after any step. It returns the number of records moved,
// 0 when nothing is left. A record that can't be read is logged and does not end the migration: it
// would end it each time.
type migration func(t tables, budget int, log *slog.Logger) (moved int, err error)

// migrations returns those from version 1 on, in order: the first makes a version
// 2 of it.
func migrations() []migration {
	return []migration{nameSlotsByEnd, addFilters, keepClaims, sealRecords, addCursors, takeMailReports, addVerifications}
}

// Migrate brings the journal at path up to date, in as many transactions as it
// takes: memory is bounded, and the next call continues where ctx or a kill ended one. Until it is
// done no program opens the journal, not even an older one. If nothing is left to do it costs nothing.
func Migrate(ctx context.Context, path string, opt Options) error {
	opt = opt.withDefaults()
	f, err := open(path, opt, true)
	if err != nil {
		return err
	}
	err = errors.Join(f.view(tables.current), f.db.Close())
	if !errors.Is(err, ErrOutdated) {
		return about(path, err)
	}
	if f, err = open(path, opt, false); err != nil {
		return err
	}
	return about(path, errors.Join(migrate(ctx, f.db, opt), f.close()))
}

// migrate runs step after step, each with what is known of the version in one
// transaction.
func migrate(ctx context.Context, db *bbolt.DB, opt Options) error {
	began, logged, total := time.Now(), time.Now(), 0
	about := aboutRecords(db)
	for {
		moved, done, err := migrateOnce(ctx, db, opt)
		if err != nil {
			return fmt.Errorf("migration: %w", err)
		}
		total += moved
		if opt.Progress != nil {
			opt.Progress(int64(total), max(about, int64(total)))
		}
		switch {
		case done:
			opt.Log.Info("journal migrated", "schema", schemaVersion, "records", total, "duration", time.Since(began))
			return nil
		case time.Since(logged) > migrateLog:
			rate := float64(total) / time.Since(began).Seconds()
			left := time.Duration(float64(max(about-int64(total), 0)) / max(rate, 1) * float64(time.Second)).Round(time.Second)
			opt.Log.Info("journal is being migrated; it may be stopped and goes on with the next start",
				"records", total, "of_about", about, "per_second", int(rate), "left", left)
			logged = time.Now()
		}
	}
}

func migrateOnce(ctx context.Context, db *bbolt.DB, opt Options) (moved int, done bool, err error) {
	if err := context.Cause(ctx); err != nil {
		return 0, false, err
	}
	defer caught(&err)()
	tx, err := db.Begin(true)
	if err != nil {
		return 0, false, err
	}
	defer tx.Rollback() // also after a panic: Close waits for the writing transaction
	t := tables{tx: tx}
	if moved, done, err = t.migrate(opt.migrateStep, opt.Log); err != nil {
		return 0, false, err
	}
	list(db, false)
	return moved, done, opt.commit(tx)
}

// migrate takes one step, and marks the journal as being between versions or, when
// nothing is left, as of the newest.
func (t tables) migrate(budget int, log *slog.Logger) (moved int, done bool, err error) {
	_, from, err := t.schema()
	if err != nil || from == schemaVersion {
		return 0, true, err
	}
	if moved, err = migrations()[from-1](t, budget, log); err != nil {
		return 0, false, fmt.Errorf("from schema version %d: %w", from, err)
	}
	if moved == 0 {
		from++
	}
	if from == schemaVersion {
		return moved, true, errors.Join(t.putSchema(from), t.meta().Delete(keyFrom))
	}
	return moved, false, errors.Join(t.putSchema(between), t.putMeta(keyFrom, binary.BigEndian.AppendUint32(nil, from)))
}

// nameSlotsByEnd makes version 2 of version 1, in which a slot's name was its
// number. What that stood for depended on the length of slots at the time, so
// that a program with other lengths took them for younger or older than they were.
//
// A reference that can't be read is dropped: it says nothing any more. A key that can't be
// stays, as if it were of today: were it dropped, the order could be sent a second time.
func nameSlotsByEnd(t tables, budget int, log *slog.Logger) (moved int, err error) {
	moved, err = t.keys().renumber(budget, func(v []byte) (us int64, keep bool) {
		id, err := uuid.FromBytes(v)
		if err != nil {
			log.Error("key can't be read, kept as it is", "err", err)
			return time.Now().UnixMicro(), true
		}
		return idMicro(id), true
	})
	if err != nil || moved > 0 {
		return moved, err
	}
	return t.refs().renumber(budget, func(v []byte) (us int64, keep bool) {
		r, err := refWithoutSum(v)
		if err != nil {
			log.Error("reference can't be read, dropped: receipts for its messages wait in vain", "err", err)
			return 0, false
		}
		if r.Parked != "" {
			return int64(binary.BigEndian.Uint64([]byte(r.Parked))), true
		}
		return idMicro(r.Bound.Shipment), true
	})
}

// addFilters makes version 3 of version 2, which had no filters, so that a program of
// version 2 does not keep them. Sweep builds them.
func addFilters(t tables, _ int, _ *slog.Logger) (moved int, err error) {
	_, err = t.tx.CreateBucketIfNotExists(bucketKeyFilter)
	if err == nil {
		_, err = t.tx.CreateBucketIfNotExists(bucketRefFilter)
	}
	return 0, err
}

// keepClaims makes version 4 of version 3, in which a shipment's record had no end of its claim and a
// block that was lifted was gone. Version 3 can't read the records of version 4.
func keepClaims(t tables, _ int, _ *slog.Logger) (moved int, err error) {
	_, err = t.tx.CreateBucketIfNotExists(bucketLifted)
	return 0, err
}

// addCursors makes version 6 of version 5, which had no cursors. A program of version 5 would not notice
// that their feed was read.
func addCursors(t tables, _ int, _ *slog.Logger) (moved int, err error) {
	_, err = t.tx.CreateBucketIfNotExists(bucketCursors)
	return 0, err
}

// takeMailReports makes version 7 of version 6, which knew nothing of reports about mails. It would take
// EmailSucceededFinal for a record that can't be read, and a suppression for a block without an end.
func takeMailReports(tables, int, *slog.Logger) (moved int, err error) { return 0, nil }

// addVerifications makes version 8 of version 7, which had no verifications, and in which every recipient was plain: it could
// not read what is sealed, and would not find the blocks.
func addVerifications(t tables, _ int, _ *slog.Logger) (moved int, err error) {
	for _, name := range verificationBuckets {
		if _, err := t.tx.CreateBucketIfNotExists(name); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// firstEnd is more than the number of any slot, and less than any end in s.
const firstEnd = 1_000_000

func numbered(slot slot) bool { return binary.BigEndian.Uint32([]byte(slot.name)) < firstEnd }

// renumber moves records of the newest slot that has a number to where the time
// that at reads from their values puts them, or drops them. Of a key that is in several slots
// the newest record comes first; the others are dropped.
func (s *slots) renumber(budget int, at func(value []byte) (us int64, keep bool)) (moved int, err error) {
	i := slices.IndexFunc(s.all(), numbered)
	if i < 0 {
		return 0, nil
	}
	old := s.opened[i]
	records := front(old.b, budget)
	for _, r := range records {
		if err := errors.Join(old.b.Delete(r.key), s.renumberOne(r, at)); err != nil {
			return 0, err
		}
	}
	if len(records) < budget {
		s.opened = nil
		return len(records) + 1, s.b.DeleteBucket([]byte(old.name)) // which counts as one
	}
	return len(records), nil
}

func (s *slots) renumberOne(r slotted, at func(value []byte) (us int64, keep bool)) error {
	for _, slot := range s.all() {
		if !numbered(slot) && slot.b.Get(r.key) != nil {
			return nil
		}
	}
	if us, keep := at(r.value); keep {
		return s.put(us, r.key, r.value)
	}
	return nil
}

// slotted is one record of a table in slots.
type slotted struct{ key, value []byte }

// front returns copies of the first records of b, at most n.
func front(b *bbolt.Bucket, n int) (records []slotted) {
	c := b.Cursor()
	for k, v := c.First(); k != nil && len(records) < n; k, v = c.Next() {
		records = append(records, slotted{append([]byte(nil), k...), append([]byte(nil), v...)})
	}
	return records
}
