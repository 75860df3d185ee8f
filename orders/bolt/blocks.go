package bolt

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"straks/orders"
	"straks/orders/ledger"
)

// The fields of a block.
const (
	blockOff = 1 + iota // nothing
	blockChannel
	blockOrganisation
	blockRecipient
	blockSource
	blockWord
	blockReason
	blockBy
	blockUntil // µs
	blockTimes
)

// The version of a block's record before schema version 5 says whether it is lifted.
const (
	blockOn     = recordVersion
	blockLifted = 2
)

// maxBlockWord bounds each text of a block's record, in octets.
const maxBlockWord = 256

func encodeBlock(b, key []byte, bl *orders.Block) []byte {
	e := encoder{b}
	e.byte(recordFields)
	e.int(bl.At.UnixMicro())
	if bl.Off {
		e.field(blockOff, func(*encoder) {})
	}
	e.field(blockChannel, func(e *encoder) { e.byte(byte(bl.Channel)) })
	for i, text := range []string{bl.Organisation, string(bl.Recipient), string(bl.Source), bl.Word, bl.Reason, bl.By} {
		if text != "" {
			e.field(blockOrganisation+byte(i), func(e *encoder) { e.string(text[:min(len(text), maxBlockWord)]) })
		}
	}
	if bl.Suppression() {
		e.field(blockUntil, func(e *encoder) { e.int(bl.Until.UnixMicro()) })
	}
	if bl.Times > 0 {
		e.field(blockTimes, func(e *encoder) { e.uint(uint64(bl.Times)) })
	}
	return blockedScope.seal(e.b, len(b), key)
}

func decodeBlock(key, record []byte) (orders.Block, error) {
	b, ok := blockedScope.open(key, record)
	d := decoder{b: b}
	version := d.byte()
	bl := orders.Block{At: microTime(d.int()), Off: version == blockLifted}
	if version == recordFields {
		d.fields(func(number byte, f *decoder) {
			switch number {
			case blockOff:
				bl.Off = true
			case blockChannel:
				bl.Channel = orders.Channel(f.byte())
			case blockOrganisation:
				bl.Organisation = f.string()
			case blockRecipient:
				bl.Recipient = orders.Recipient(f.string())
			case blockSource:
				bl.Source = orders.BlockSource(f.string())
			case blockWord:
				bl.Word = f.string()
			case blockReason:
				bl.Reason = f.string()
			case blockBy:
				bl.By = f.string()
			case blockUntil:
				bl.Until = microTime(f.int())
			case blockTimes:
				bl.Times = int(min(f.uint(), 1<<16))
			}
		})
	}
	if !ok || !d.end() || version < blockOn || version > recordFields {
		return orders.Block{}, corrupt("block")
	}
	return bl, nil
}

// Blocks implements orders.Journal. Its pages follow the keys, which are hashes.
func (j *Journal) Blocks(ctx context.Context, q orders.BlockQuery) (page orders.BlockPage, err error) {
	var bad []error
	err = j.snapshots.view(func(t tables) (err error) {
		if q.Recipient != "" {
			page, err = t.blockOf(q)
			return err
		}
		page, bad, err = t.blocks(ctx, q)
		return err
	})
	j.unread(err)
	for _, err := range bad {
		j.unread(err)
		j.skipped.Write("block", slog.LevelError, "entry of a block list skipped; see straks journal check", slog.Any("err", err))
	}
	return page, err
}

// blockOf returns the entry of one recipient.
func (t tables) blockOf(q orders.BlockQuery) (page orders.BlockPage, err error) {
	to := orders.BlockForm(q.Channel, q.Recipient)
	k := blockedKey(q.Organisation, q.Channel, to)
	v, err := blockedScope.lookUp(t.blocked().Cursor(), k)
	if v == nil || err != nil {
		return page, err
	}
	b, err := decodeBlock(k, v)
	b.Organisation, b.Channel, b.Recipient = q.Organisation, q.Channel, to // a record of before schema version 5 lacks them
	if err == nil {
		page.Blocks = []orders.Block{b}
	}
	return page, err
}

// blocks looks at the next q.Limit entries.
func (t tables) blocks(ctx context.Context, q orders.BlockQuery) (page orders.BlockPage, bad []error, err error) {
	after, err := hex.DecodeString(q.After)
	if err != nil {
		return page, nil, fmt.Errorf("the page %q is of no block list", q.After)
	}
	c := t.blocked().Cursor()
	k, v := c.Seek(after)
	if len(after) > 0 && string(k) == string(after) {
		k, v = c.Next()
	}
	for n := 0; k != nil && ctx.Err() == nil; k, v = c.Next() {
		if n++; n > q.Limit {
			return page, bad, nil
		}
		page.Next = hex.EncodeToString(k)
		b, err := decodeBlock(k, v)
		switch {
		case err != nil:
			bad = append(bad, err)
		case q.Organisation == "" || b.Organisation == q.Organisation:
			page.Blocks = append(page.Blocks, b)
		}
	}
	page.Next = ""
	return page, bad, ctx.Err()
}

// PutBlocked implements ledger.Store. A block that does not last gets an entry by which retention finds it.
func (w *writeTx) PutBlocked(b orders.Block) error {
	key := blockedKey(b.Organisation, b.Channel, b.Recipient)
	if last := lastOf(&b); !last.IsZero() {
		lifted := liftedKey(last, key)
		if err := w.lifted().Put(lifted, w.value(func(v []byte) []byte { return liftedScope.seal(v, len(v), lifted) })); err != nil {
			return err
		}
	}
	if err := w.countSuppressions(w.suppressed(key), b.Suppression()); err != nil {
		return err
	}
	return w.blocked().Put(key, w.value(func(v []byte) []byte { return encodeBlock(v, key, &b) }))
}

// lastOf returns the time a day after which retention removes the entry; zero for one that stays.
func lastOf(b *orders.Block) time.Time {
	switch {
	case b.Off:
		return b.At
	case b.Suppression():
		return b.Until.Add(ledger.SuppressionMemory - liftedRetention)
	}
	return time.Time{}
}

// The number of suppressions is the sequence of their table, which has no other use.

// Suppressions implements ledger.Store.
func (w *writeTx) Suppressions() (int, error) { return int(w.blocked().Sequence()), nil }

// suppressed reports whether the entry under a key is a suppression.
func (w *writeTx) suppressed(key []byte) bool {
	v := w.blocked().Get(key)
	if v == nil {
		return false
	}
	b, err := decodeBlock(key, v)
	return err == nil && b.Suppression()
}

// countSuppressions notes that an entry was a suppression, and is one.
func (w *writeTx) countSuppressions(was, is bool) error {
	n := w.blocked().Sequence()
	switch {
	case is && !was:
		n++
	case was && !is && n > 0:
		n--
	default:
		return nil
	}
	return w.blocked().SetSequence(n)
}

// listed: each block has its time, and one that does not last has an entry that retention removes it by. The
// suppressions are counted.
func (c *checker) listed() {
	suppressions, all := uint64(0), true
	defer func() {
		if all && c.more() && suppressions != c.blocked().Sequence() {
			c.fault("%d addresses are suppressed, but %d are counted", suppressions, c.blocked().Sequence())
		}
	}()
	cur := c.blocked().Cursor()
	for k, v := cur.First(); k != nil && c.more(); k, v = cur.Next() {
		b, err := decodeBlock(k, v)
		all = all && err == nil
		if b.Suppression() {
			suppressions++
		}
		switch {
		case err != nil:
			c.fault("block of %x: %w", k, err)
		case (b.Off || b.Suppression()) && !liftedScope.whole(liftedKey(lastOf(&b), k), c.lifted().Get(liftedKey(lastOf(&b), k))):
			c.fault("block of %x: it is lifted, or ends, and is kept for ever", k)
		}
	}
}

func (c *checker) liftedBlocks() {
	cur := c.lifted().Cursor()
	for k, v := cur.First(); k != nil && c.more(); k, v = cur.Next() {
		if !liftedScope.whole(k, v) {
			c.fault("%w", corrupt(fmt.Sprintf("lifted block %x", k)))
		}
	}
}
