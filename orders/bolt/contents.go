package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/orders/ledger"
)

// FeedStart returns the number above which each feed begins.
func (r *ReadOnly) FeedStart() (start uint64, err error) {
	err = r.snapshots.view(func(t tables) (err error) {
		start, err = t.feedStart()
		return err
	})
	return start, err
}

// Contents calls visit with every record of a table that means something still, for another engine that takes the
// journal over; recipients are plain in them. It ends with the first record that can't be read, or the first error of visit: nothing is left
// out.
func (r *ReadOnly) Contents(ctx context.Context, table ledger.Table, visit func(ledger.Record) error) error {
	return r.snapshots.view(func(t tables) (err error) {
		defer caught(&err)()
		if err := t.current(); err != nil {
			return err
		}
		if _, _, err := t.attached(r.keys); err != nil {
			return err
		}
		c := contents{t, func(record ledger.Record) error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return visit(record)
		}}
		switch table {
		case ledger.TableShipments:
			return c.shipmentsAll()
		case ledger.TableKeys:
			return c.keysAll()
		case ledger.TableParked:
			return c.parkedAll()
		case ledger.TableRefs:
			return c.refsAll()
		case ledger.TableBlocks:
			return c.blocksAll()
		case ledger.TableFeed:
			return c.feedAll()
		case ledger.TableHeads:
			return c.heads()
		case ledger.TableCursors:
			return c.cursorsAll()
		case ledger.TableCodes:
			return c.codesAll()
		case ledger.TableCodeFeed:
			return c.codeFeedAll()
		case ledger.TableCodeHeads:
			return c.codeHeads()
		}
		return fmt.Errorf("journal: no table is called %q", table)
	})
}

// contents is one walk over a table.
type contents struct {
	tables
	visit func(ledger.Record) error
}

func (c *contents) shipmentsAll() error {
	return c.tables.shipments().ForEach(func(k, v []byte) error {
		id, err := uuid.FromBytes(k)
		if err != nil {
			return corrupt("the id of a shipment")
		}
		s, err := decodeShipment(id, v, false, c.box)
		if err != nil {
			return fmt.Errorf("shipment %s: %w", id, err)
		}
		return c.visit(ledger.ShipmentRecord{Shipment: s})
	})
}

// newest calls visit with each record of a table in slots that a look-up would find.
func newest(s *slots, visit func(k, v []byte, end int64) error) error {
	return s.b.ForEachBucket(func(name []byte) error {
		return s.b.Bucket(name).ForEach(func(k, v []byte) error {
			if first, err := s.get(k); err != nil || !bytes.Equal(first, v) {
				return err
			}
			return visit(k, v, slotEnd(name))
		})
	})
}

// keysAll leaves out keys whose shipment is gone: they are unknown.
func (c *contents) keysAll() error {
	return newest(c.tables.keys(), func(k, v []byte, _ int64) error {
		id, err := decodeKey(k, v)
		if err != nil {
			return err
		}
		if _, ok, err := c.shipment(id, true); err != nil || !ok {
			return err
		}
		return c.visit(ledger.KeyRecord{Hash: bytes.Clone(k), Shipment: id})
	})
}

func (c *contents) parkedAll() error {
	return c.tables.parked().ForEachBucket(func(carrier []byte) error {
		return c.parkedOf(string(carrier)).ForEach(func(k, v []byte) error {
			report, err := decodeReport(k, v, c.box)
			if err != nil {
				return err
			}
			return c.visit(ledger.ParkedRecord{ID: ledger.ParkedID(k), Report: report})
		})
	})
}

func (c *contents) refsAll() error {
	return newest(c.tables.refs(), func(k, v []byte, end int64) error {
		ref, err := decodeRef(k, v)
		if err != nil {
			return err
		}
		name, err := c.nameOf(k, ref)
		if err != nil || name.Ref == "" {
			return err
		}
		return c.visit(ledger.RefRecord{Name: name, Ref: ref, At: microTime(end)})
	})
}

// nameOf returns the reference of a key. Of a long one the key has a hash only: it is looked for in what the reference
// leads to, and is empty where that is gone.
func (c *contents) nameOf(k []byte, ref ledger.Ref) (ledger.Name, error) {
	carrier, name, ok := bytes.Cut(k, []byte{0})
	if !ok {
		return ledger.Name{}, corrupt("the key of a reference")
	}
	if !isHashed(k) && (len(name) != 1+hashSize || name[0] != 0) {
		return ledger.Name{Carrier: string(carrier), Ref: string(name)}, nil
	}
	var candidates []string
	for _, b := range []ledger.Binding{ref.Bound, ref.Before} {
		s, ok, err := c.shipment(b.Shipment, false)
		if err != nil {
			return ledger.Name{}, err
		}
		if ok && b.Part < len(s.Parts) {
			candidates = append(candidates, s.Parts[b.Part].Refs...)
		}
	}
	if v := c.parkedRecord(string(carrier), []byte(ref.Parked)); v != nil {
		report, err := decodeReport([]byte(ref.Parked), v, c.box)
		if err != nil {
			return ledger.Name{}, err
		}
		candidates = append(candidates, report.Refs...)
	}
	for _, name := range candidates {
		if c.hasKey(string(carrier), name, k) {
			return ledger.Name{Carrier: string(carrier), Ref: name}, nil
		}
	}
	return ledger.Name{Carrier: string(carrier)}, nil
}

func (c *contents) blocksAll() error {
	return c.blocked().ForEach(func(k, v []byte) error {
		b, err := decodeBlock(k, v, c.box)
		if err != nil {
			return err
		}
		k = bytes.Clone(k)
		if b.Recipient != "" { // the key may be a hash with this journal's key
			k = plainBlockedKey(b.Organisation, b.Channel, b.Recipient)
		}
		return c.visit(ledger.BlockRecord{Hash: k, Block: b})
	})
}

// eachFeed calls visit with every organisation's feed.
func (c *contents) eachFeed(visit func(organisation []byte, feed *bbolt.Bucket) error) error {
	return c.tables.feed().ForEachBucket(func(name []byte) error { return visit(name, c.tables.feed().Bucket(name)) })
}

// feedAll leaves out entries whose shipment is gone: readers don't see them.
func (c *contents) feedAll() error {
	return c.eachFeed(func(organisation []byte, feed *bbolt.Bucket) error {
		scope := feedScope(organisation)
		return feed.ForEach(func(k, v []byte) error {
			en, err := decodeEntry(scope, k, v)
			if err != nil {
				return err
			}
			if _, ok, err := c.shipment(en.shipment, true); err != nil || !ok {
				return err
			}
			return c.visit(ledger.FeedRecord{Organisation: string(organisation), Seq: binary.BigEndian.Uint64(k),
				Shipment: en.shipment, Status: en.status, At: en.at})
		})
	})
}

func (c *contents) heads() error {
	return c.eachFeed(func(organisation []byte, feed *bbolt.Bucket) error {
		seq, err := c.newest(feed)
		if err != nil {
			return err
		}
		return c.visit(ledger.HeadRecord{Organisation: string(organisation), Seq: seq})
	})
}

func (c *contents) cursorsAll() error {
	return c.tables.cursors().ForEach(func(k, v []byte) error {
		at, err := decodeCursor(k, v)
		if err != nil {
			return err
		}
		return c.visit(ledger.CursorRecord{Cursor: at})
	})
}

func (c *contents) codesAll() error {
	for kind, table := range codeTables {
		if err := c.tx.Bucket(table.name).ForEach(func(k, v []byte) error {
			record, us, err := splitDated(table.scope, k, v)
			if err != nil {
				return err
			}
			return c.visit(ledger.CodeRecord{Kind: byte(kind), Key: bytes.Clone(k), Record: bytes.Clone(record), Due: microTime(int64(us))})
		}); err != nil {
			return err
		}
	}
	return nil
}

// eachCodeFeed calls visit with the feed of every organisation's verifications.
func (c *contents) eachCodeFeed(visit func(organisation string, feed *bbolt.Bucket, s scope) error) error {
	return c.tx.Bucket(bucketVerificationFeed).ForEachBucket(func(name []byte) error {
		feed, scope := c.codeFeed(string(name))
		return visit(string(name), feed, scope)
	})
}

func (c *contents) codeFeedAll() error {
	return c.eachCodeFeed(func(organisation string, feed *bbolt.Bucket, s scope) error {
		return feed.ForEach(func(k, v []byte) error {
			entry, us, err := splitDated(s, k, v)
			if err != nil {
				return err
			}
			return c.visit(ledger.CodeFeedRecord{Organisation: organisation, Seq: binary.BigEndian.Uint64(k), At: microTime(int64(us)), Entry: bytes.Clone(entry)})
		})
	})
}

func (c *contents) codeHeads() error {
	return c.eachCodeFeed(func(organisation string, feed *bbolt.Bucket, _ scope) error {
		return c.visit(ledger.CodeHeadRecord{Organisation: organisation, Seq: feed.Sequence()})
	})
}
