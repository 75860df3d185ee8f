package bolt

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"straks/orders"
	"straks/orders/ledger"
	"straks/orders/sealed"
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
	blockSealed // in place of blockRecipient
)

// The version of a block's record before schema version 5 says whether it is lifted.
const (
	blockOn     = recordVersion
	blockLifted = 2
)

// maxBlockWord bounds each text of a block's record, in octets.
const maxBlockWord = 256

func encodeBlock(b, key []byte, bl *orders.Block, box *sealed.Box) []byte {
	e := encoder{b}
	e.byte(recordFields)
	e.int(bl.At.UnixMicro())
	if bl.Off {
		e.field(blockOff, func(*encoder) {})
	}
	e.field(blockChannel, func(e *encoder) { e.byte(byte(bl.Channel)) })
	recipient := string(bl.Recipient[:min(len(bl.Recipient), maxBlockWord)])
	if seals(box, bl.Recipient) {
		e.field(blockSealed, func(e *encoder) { e.string(string(box.Seal(recipient, blockedTable, key))) })
		recipient = ""
	}
	for i, text := range []string{bl.Organisation, recipient, string(bl.Source), bl.Word, bl.Reason, bl.By} {
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

// decodeBlock reads what encodeBlock wrote. Without a box, a recipient that is sealed is left out.
func decodeBlock(key, record []byte, box *sealed.Box) (orders.Block, error) {
	b, value, err := sealedBlock(key, record)
	if err == nil && value != "" {
		b.Recipient, err = unseal(box, value, blockedTable, key)
	}
	if err != nil {
		return orders.Block{}, err
	}
	return b, nil
}

// sealedBlock reads the record of a block; and its recipient, if that is sealed.
func sealedBlock(key, record []byte) (bl orders.Block, value orders.Recipient, err error) {
	b, ok := blockedScope.open(key, record)
	d := decoder{b: b}
	version := d.byte()
	bl.At, bl.Off = microTime(d.int()), version == blockLifted
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
			case blockSealed:
				value = orders.Recipient(f.string())
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
		return orders.Block{}, "", corrupt("block")
	}
	return bl, value, nil
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
	b, ok, err := t.block(q.Organisation, q.Channel, to)
	if !ok || err != nil {
		return page, err
	}
	b.Organisation, b.Channel, b.Recipient = q.Organisation, q.Channel, to // a record of before schema version 5 lacks them
	page.Blocks = []orders.Block{b}
	return page, nil
}

// block returns the entry of a recipient, in the form of block lists, and whether there is one.
func (t tables) block(organisation string, c orders.Channel, to orders.Recipient) (b orders.Block, ok bool, err error) {
	for _, k := range t.blockedKeys(organisation, c, to) {
		v, err := blockedScope.lookUp(t.blocked().Cursor(), k)
		if err != nil {
			return b, false, err
		}
		if v != nil {
			b, err = decodeBlock(k, v, t.box)
			return b, err == nil, err
		}
	}
	return b, false, nil
}

// blocks looks at the next q.Limit entries.
func (t tables) blocks(ctx context.Context, q orders.BlockQuery) (page orders.BlockPage, bad []error, err error) {
	after, err := hex.DecodeString(q.After)
	if err != nil {
		return page, nil, fmt.Errorf("the page %q is of no block list", q.After)
	}
	c := t.blocked().Cursor()
	k, v := blockedScope.from(c, after)
	if len(after) > 0 && string(k) == string(after) {
		k, v = c.Next()
	}
	for n := 0; k != nil && ctx.Err() == nil; k, v = c.Next() {
		if n++; n > q.Limit {
			return page, bad, nil
		}
		page.Next = hex.EncodeToString(k)
		b, err := decodeBlock(k, v, t.box)
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
	keys := w.blockedKeys(b.Organisation, b.Channel, b.Recipient)
	for _, old := range keys { // with what retention finds it by
		if err := w.dropBlocked(old); err != nil {
			return err
		}
	}
	key := keys[0]
	if last := lastOf(&b); !last.IsZero() {
		lifted := liftedKey(last, key)
		if err := w.lifted().Put(lifted, w.value(func(v []byte) []byte { return liftedScope.seal(v, len(v), lifted) })); err != nil {
			return err
		}
	}
	if err := w.countSuppressions(false, b.Suppression()); err != nil {
		return err
	}
	return w.blocked().Put(key, w.value(func(v []byte) []byte { return encodeBlock(v, key, &b, w.box) }))
}

// dropBlocked removes the entry under a key, if there is one.
func (w *writeTx) dropBlocked(key []byte) error {
	v := w.blocked().Get(key)
	if v == nil {
		return nil
	}
	b, err := decodeBlock(key, v, nil) // one that can't be read goes as well
	if err == nil && !lastOf(&b).IsZero() {
		err = w.lifted().Delete(liftedKey(lastOf(&b), key))
		if err != nil {
			return err
		}
	}
	return errors.Join(w.countSuppressions(b.Suppression(), false), w.blocked().Delete(key))
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
		b, err := decodeBlock(k, v, c.box)
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
