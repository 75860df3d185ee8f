package bolt

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"

	"straks/orders"
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
