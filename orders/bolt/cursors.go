package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"straks/orders"
)

var _ orders.Cursors = (*Journal)(nil)

// The fields of a cursor. Times are in µs.
const (
	cursorSeq = 1 + iota
	cursorBegin
	cursorFailingSince
	cursorStoppedAt
	cursorStopReason
	cursorSeen
)

// maxStopReason bounds the reason in a cursor's record, in octets.
const maxStopReason = 256

// cursorKey returns the key of a cursor. Neither name may have a NUL.
func cursorKey(organisation, name string) ([]byte, error) {
	if organisation == "" || name == "" || strings.ContainsRune(organisation+name, 0) {
		return nil, fmt.Errorf("journal: a cursor is called %q of %q", name, organisation)
	}
	return []byte(organisation + "\x00" + name), nil
}

func encodeCursor(b, key []byte, c *orders.Cursor) []byte {
	e := encoder{b}
	e.byte(recordFields)
	for i, n := range []uint64{c.Seq, c.Begin} {
		if n != 0 {
			e.field(cursorSeq+byte(i), func(e *encoder) { e.uint(n) })
		}
	}
	for i, t := range []time.Time{c.FailingSince, c.StoppedAt} {
		if !t.IsZero() {
			e.field(cursorFailingSince+byte(i), func(e *encoder) { e.int(t.UnixMicro()) })
		}
	}
	if c.StopReason != "" {
		e.field(cursorStopReason, func(e *encoder) { e.string(c.StopReason[:min(len(c.StopReason), maxStopReason)]) })
	}
	if !c.Seen.IsZero() {
		e.field(cursorSeen, func(e *encoder) { e.int(c.Seen.UnixMicro()) })
	}
	return cursorScope.seal(e.b, len(b), key)
}

func decodeCursor(key, record []byte) (orders.Cursor, error) {
	b, ok := cursorScope.open(key, record)
	organisation, name, named := bytes.Cut(key, []byte{0})
	d := decoder{b: b}
	version := d.byte()
	c := orders.Cursor{Organisation: string(organisation), Name: string(name)}
	d.fields(func(number byte, f *decoder) {
		switch number {
		case cursorSeq:
			c.Seq = f.uint()
		case cursorBegin:
			c.Begin = f.uint()
		case cursorFailingSince:
			c.FailingSince = microTime(f.int())
		case cursorStoppedAt:
			c.StoppedAt = microTime(f.int())
		case cursorStopReason:
			c.StopReason = f.string()
		case cursorSeen:
			c.Seen = microTime(f.int())
		}
	})
	if !ok || !named || !d.end() || version != recordFields {
		return orders.Cursor{}, corrupt(fmt.Sprintf("cursor %q of %q", name, organisation))
	}
	return c, nil
}

// Cursor implements orders.Cursors.
func (j *Journal) Cursor(ctx context.Context, organisation, name string) (c orders.Cursor, ok bool, err error) {
	key, err := cursorKey(organisation, name)
	if err != nil {
		return c, false, err
	}
	err = j.snapshots.view(func(t tables) error {
		v, err := cursorScope.lookUp(t.cursors().Cursor(), key)
		if v == nil || err != nil {
			return err
		}
		c, err = decodeCursor(key, v)
		ok = err == nil
		return err
	})
	j.unread(err)
	return c, ok, err
}

// Cursors implements orders.Cursors.
func (j *Journal) Cursors(ctx context.Context) (all []orders.Cursor, err error) {
	var bad []error
	err = j.snapshots.view(func(t tables) error {
		cur := t.cursors().Cursor()
		for k, v := cur.First(); k != nil; k, v = cur.Next() {
			c, err := decodeCursor(k, v)
			if err != nil {
				bad = append(bad, err)
				continue
			}
			all = append(all, c)
		}
		return nil
	})
	j.unread(err)
	for _, err := range bad {
		j.unread(err)
		j.skipped.Write("cursor", slog.LevelError, "cursor skipped; see straks journal check", slog.Any("err", err))
	}
	return all, err
}

// PutCursors implements orders.Cursors. It comes last in its transaction: nobody waits for a cursor.
func (j *Journal) PutCursors(ctx context.Context, put, remove []orders.Cursor) error {
	if len(put)+len(remove) == 0 {
		return nil
	}
	r := newRequest(ctx)
	r.turn = sweeping
	r.run = func(w *writeTx) error {
		for i := range put {
			if err := w.putCursor(&put[i]); err != nil {
				return err
			}
		}
		for _, c := range remove {
			key, err := cursorKey(c.Organisation, c.Name)
			if err = errors.Join(err, w.cursors().Delete(key)); err != nil {
				return err
			}
		}
		return nil
	}
	return j.do(j.facts, r)
}

func (w *writeTx) putCursor(c *orders.Cursor) error {
	key, err := cursorKey(c.Organisation, c.Name)
	if err != nil {
		return err
	}
	return w.cursors().Put(key, w.value(func(b []byte) []byte { return encodeCursor(b, key, c) }))
}

// cursorsRead: each cursor reads well, and its feed has numbers up to it at least.
func (c *checker) cursorsRead() {
	cur := c.cursors().Cursor()
	for k, v := cur.First(); k != nil && c.more(); k, v = cur.Next() {
		at, err := decodeCursor(k, v)
		if err != nil {
			c.fault("%w", err)
			continue
		}
		feed := c.feed().Bucket([]byte(at.Organisation))
		if strings.HasPrefix(at.Name, "verifications/") { // as package hooks calls those of the other feed
			feed, _ = c.codeFeed(at.Organisation)
		}
		newest, err := c.newest(feed)
		if err == nil && (at.Seq > newest || at.Begin > at.Seq) {
			c.fault("cursor %q of %q is at %d, begun at %d, and the feed's newest number is %d", at.Name, at.Organisation, at.Seq, at.Begin, newest)
		}
	}
}
