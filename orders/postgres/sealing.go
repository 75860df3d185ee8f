package postgres

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"straks/orders/sealed"
)

// The keys of a journal that several nodes share. Its state (package sealed) is in meta, and is only changed from what it
// was when a node read it. Each live node has the ids of its keys beside its lease: two nodes run together only if
// either opens what the other seals.

const (
	readSealing  = "select origin, sealing from meta"
	writeSealing = "update meta set sealing = $2 where sealing is not distinct from $1::bytea"
	// lockWritten and sealEmpty give the first key to a journal that nothing was stored in. Each order has a key.
	lockWritten = "lock table keys, parked, blocked in share mode"
	sealEmpty   = `update meta set sealing = $1 where sealing is null and not exists (select from keys) and not exists (select from shipments)
		and not exists (select from refs) and not exists (select from parked) and not exists (select from unanswered) and not exists (select from blocked)`
	// settleSealing is writeSealing at the end of a rotation.
	settleSealing = "update meta set sealing = $2 where sealing = $1 and not exists (" + sealsOtherwise + "$3)"

	// sealsOtherwise are the live nodes that do not seal with a key.
	sealsOtherwise = "select from nodes where expires >= clock_timestamp() and keys[1] is distinct from "
	otherKeys      = "select id, keys from nodes where expires >= clock_timestamp() and id <> $1 order by id"
)

// sealing is what seals the recipients of a journal.
type sealing struct {
	now    atomic.Pointer[boxOf]
	walk   sync.Mutex // of at
	at     resealing
	walked atomic.Pointer[boxOf] // what the walk has ended with
}

// boxOf is the box that was made of a state of the journal's keys.
type boxOf struct {
	*sealed.Box        // nil where recipients are plain
	state       []byte // nil: the journal has never had a key
}

// box returns what seals recipients now. A transaction asks once.
func (j *Journal) box() *sealed.Box { return j.sealing.now.Load().Box }

// resealing reports whether recipients may be plain, or sealed with the former key, that the walk has not met.
func (s *sealing) resealing() bool {
	now := s.now.Load()
	return !now.Settled() && s.walked.Load() != now
}

// keyIDs returns the ids of a node's keys, the current one first.
func (o *Options) keyIDs() (all [][]byte) {
	all = [][]byte{}
	for _, k := range []*sealed.Key{o.Keys.Current, o.Keys.Former} {
		if k != nil {
			all = append(all, k.ID[:])
		}
	}
	return all
}

// attach takes this node's keys into use. It fails where a key is missing that records need, or that another live node
// seals with; and where another one lacks the key with which this one seals. The node has its lease by then, so that of two
// that attach at the same moment one at least sees the other.
func (j *Journal) attach(ctx context.Context, conn *connection) error {
	for range maxAttempts {
		if err := agreed(ctx, conn.Conn, &j.opt); err != nil {
			return err
		}
		box, state, next, err := attached(ctx, conn, j.opt.Keys)
		if err != nil {
			return err
		}
		if state == nil && next != nil {
			settled, whole := box.Resealed(false)
			if done, err := conn.sealsEmpty(ctx, whole); err != nil {
				return err
			} else if done {
				box, state, next = settled, whole, nil
			}
		}
		if next != nil {
			if changed, err := conn.changes(ctx, writeSealing, state, next); err != nil {
				return err
			} else if !changed { // another node was faster
				continue
			}
			state = next
		}
		j.sealing.now.Store(&boxOf{box, state})
		return nil
	}
	return fmt.Errorf("the state of the journal's keys changes again and again")
}

// sealsEmpty stores the first state of the keys of a journal that nothing was stored in, and reports whether it did: then no
// recipient is plain, and none is looked up by its plain form. The locks wait for what a node without a key has begun to write
// before it was killed. Where they can't be had, retention finds out that nothing is plain.
func (c *connection) sealsEmpty(ctx context.Context, state []byte) (done bool, err error) {
	b := &pgx.Batch{}
	b.Queue("begin")
	b.Queue("set local lock_timeout = '1s'")
	b.Queue(lockWritten)
	b.Queue(sealEmpty, state).Exec(func(tag pgconn.CommandTag) error {
		done = tag.RowsAffected() > 0
		return nil
	})
	b.Queue("commit")
	if err = c.send(ctx, b); err != nil && faultOf(err) == faultAgain && c.reset(ctx) {
		return false, nil
	}
	return done, err
}

// changes runs a statement, and reports whether it has changed a row.
func (c *connection) changes(ctx context.Context, sql string, args ...any) (changed bool, err error) {
	b := &pgx.Batch{}
	b.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
		changed = tag.RowsAffected() > 0
		return nil
	})
	return changed, c.send(ctx, b)
}

// attached is sealed.Attach for the journal that q asks. Its hashes have a key that is sealed for the id which the journal
// had at first.
func attached(ctx context.Context, q querier, keys sealed.Keys) (box *sealed.Box, state, next []byte, err error) {
	var origin [16]byte
	if err := q.QueryRow(ctx, readSealing).Scan(&origin, &state); err != nil {
		return nil, nil, nil, err
	}
	box, next, err = sealed.Attach(keys, uuid.UUID(origin), state)
	return box, state, next, err
}

// openedBox returns the box of a reader: nil for one without keys, and where recipients are plain.
func openedBox(ctx context.Context, q querier, keys sealed.Keys) (*sealed.Box, error) {
	if keys.Current == nil {
		return nil, nil
	}
	box, state, _, err := attached(ctx, q, keys)
	if state == nil {
		box = nil
	}
	return box, err
}

// agreed returns why a node of these options can't run beside the other live ones: what one seals, each has to open.
func agreed(ctx context.Context, conn *pgx.Conn, opt *Options) error {
	rows, err := conn.Query(ctx, otherKeys, opt.Node)
	if err != nil {
		return err
	}
	var node int
	var theirs [][]byte
	mine := opt.keyIDs()
	var disagree error
	_, err = pgx.ForEachRow(rows, []any{&node, &theirs}, func() error {
		switch {
		case disagree != nil:
		case len(theirs) == 0 && len(mine) > 0:
			disagree = fmt.Errorf("node %d runs without journal.key_file: stop all nodes, and then start each with the key", node)
		case len(theirs) > 0 && !has(mine, theirs[0]):
			disagree = fmt.Errorf("node %d encrypts recipients with key %x, which is not here: name its file as journal.key_file, or as "+
				"journal.former_key_file", node, theirs[0])
		case len(mine) > 0 && !has(theirs, mine[0]):
			disagree = fmt.Errorf("node %d has not key %x, which is journal.key_file here: give each node the new key as "+
				"journal.former_key_file first", node, mine[0])
		}
		return nil
	})
	if err != nil {
		return err
	}
	return disagree
}

func has(ids [][]byte, id []byte) bool {
	return slices.ContainsFunc(ids, func(one []byte) bool { return bytes.Equal(one, id) })
}

// refresh looks whether another node has changed the state: it has sealed all that there was, or has another key.
func (j *Journal) refresh(ctx context.Context) error {
	if j.opt.Keys.Current == nil {
		return nil
	}
	box, state, _, err := attached(ctx, j.pool, j.opt.Keys)
	if err != nil {
		return err
	}
	if before := j.sealing.now.Load(); !bytes.Equal(state, before.state) {
		j.sealing.now.CompareAndSwap(before, &boxOf{box, state})
	}
	return nil
}
