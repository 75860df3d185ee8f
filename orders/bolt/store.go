package bolt

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/orders"
	"straks/orders/ledger"
	"straks/orders/sealed"
)

// writeTx is the ledger's store in one transaction of the writing goroutine. Values must live until
// the commit, so they are cut from one buffer.
type writeTx struct {
	tables
	opt     *Options
	values  []byte
	waiting parkedLevels // of each carrier, as this transaction leaves them

	committed   int  // its number, once its commit has begun
	counted     bool // waiting is this transaction's own
	resealing   resealing
	settled     *sealed.Box // what becomes the journal's with this transaction; nil: it stays
	newDeadline []byte      // the lowest key put into deadlines

	keySlots, refSlots *slots // once looked up
	feeds              map[string]openedFeed
}

var _ ledger.Store = (*writeTx)(nil)

// ledger returns the rules over this transaction.
func (w *writeTx) ledger() *ledger.Ledger {
	return &ledger.Ledger{Store: w, MaxParked: w.opt.MaxParked, MaxParkedOctets: w.opt.MaxParkedOctets, MaxSuppressions: w.opt.MaxSuppressions, Log: w.opt.Log}
}

func (w *writeTx) keys() *slots {
	if w.keySlots == nil {
		w.keySlots = w.tables.keys()
	}
	return w.keySlots
}

func (w *writeTx) refs() *slots {
	if w.refSlots == nil {
		w.refSlots = w.tables.refs()
	}
	return w.refSlots
}

// value keeps what encode appends, until the transaction ends.
func (w *writeTx) value(encode func([]byte) []byte) []byte {
	start := len(w.values)
	w.values = encode(w.values)
	return w.values[start:len(w.values):len(w.values)]
}

// hashSize is how much of a SHA-256 makes a key: enough that no two keys meet.
const hashSize = 16

// hash makes one key of several strings, none of which can pass for another.
func hash(parts ...string) []byte {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return sum[:hashSize]
}

// Key implements ledger.Store.
func (w *writeTx) Key(organisation, key string) (s orders.Shipment, ok, stored bool, err error) {
	k := hash(organisation, key)
	v, err := w.keys().get(k)
	if v != nil {
		s, ok, err = w.keyed(k, v)
	}
	return s, ok, v != nil, err
}

// keyed returns the shipment of a key that has this record, and whether there is one.
func (t tables) keyed(k, v []byte) (orders.Shipment, bool, error) {
	id, err := decodeKey(k, v)
	if err != nil {
		return orders.Shipment{}, false, err
	}
	return t.shipment(id, false)
}

// PutKey implements ledger.Store. A record that the key had before leaves: slots of another length
// may be asked before the one that the new record goes to.
func (w *writeTx) PutKey(organisation, name string, id uuid.UUID, replace bool) error {
	if w.shipments().Get(id[:]) != nil {
		return fmt.Errorf("journal: shipment %s exists under another key", id)
	}
	key := hash(organisation, name)
	if replace {
		if err := w.keys().delete(key); err != nil {
			return err
		}
	}
	return w.keys().put(idMicro(id), key, w.value(func(b []byte) []byte { return encodeKey(b, key, id) }))
}

// errSize reports that there is no room for orders.
var errSize = fmt.Errorf("%w: the file has reached its largest size (max_size)", orders.ErrUnavailable)

// errFull refuses an order before anything of it was stored.
var errFull = fmt.Errorf("%w: %w", orders.ErrNotStored, errSize)

// Room implements ledger.Store.
func (w *writeTx) Room() error {
	if w.full(w.opt.MaxSize) {
		return errFull
	}
	return nil
}

// full reports whether the pages in use, free ones apart, have reached the largest size
// (0: there is none).
func (t tables) full(most int64) bool {
	if most == 0 {
		return false
	}
	db := t.tx.DB()
	free := int64(db.Stats().FreePageN) * int64(db.Info().PageSize)
	return t.tx.Size()-free >= most
}

// Shipment implements ledger.Store.
func (w *writeTx) Shipment(id uuid.UUID) (orders.Shipment, bool, error) { return w.shipment(id, false) }

// PutShipment implements ledger.Store.
func (w *writeTx) PutShipment(s *orders.Shipment, dated bool) error {
	if dated {
		if err := w.putDeadline(s); err != nil {
			return err
		}
	}
	b := w.shipments()
	b.FillPercent = growing
	return b.Put(s.ID[:], w.value(func(b []byte) []byte { return encodeShipment(b, s, w.box) }))
}

// AppendFeed implements ledger.Store.
func (w *writeTx) AppendFeed(s *orders.Shipment) error {
	feed, err := w.openFeed(s.Organisation)
	if err != nil {
		return err
	}
	seq, err := feed.b.NextSequence()
	if err != nil {
		return err
	}
	key := seqKey(seq)
	v := w.value(func(b []byte) []byte { return encodeEntry(b, feed.scope, key, entry{s.ID, s.Status, s.Updated}) })
	return feed.b.Put(key, v)
}

// openedFeed is a feed that this transaction appends to.
type openedFeed struct {
	b     *bbolt.Bucket
	scope scope
}

// openFeed returns the feed of an organisation, which is made if it has none. The number of its last
// entry must be the feed's: else the next would take the place of another.
func (w *writeTx) openFeed(organisation string) (openedFeed, error) {
	if f, ok := w.feeds[organisation]; ok {
		return f, nil
	}
	b, scope, err := w.feedOf(organisation)
	if b == nil && err == nil {
		b, err = w.createFeed(organisation)
	}
	if err != nil {
		return openedFeed{}, fmt.Errorf("feed of %q: %w", organisation, err)
	}
	if k, _ := b.Cursor().Last(); k != nil && !bytes.Equal(k, seqKey(b.Sequence())) {
		return openedFeed{}, corrupt("the feed's last number")
	}
	b.FillPercent = appended
	if w.feeds == nil {
		w.feeds = make(map[string]openedFeed)
	}
	w.feeds[organisation] = openedFeed{b, scope}
	return w.feeds[organisation], nil
}

// maxRef bounds a reference in a key, in octets; a hash stands for a longer one.
const maxRef = 128

func refKey(carrier, ref string) []byte {
	if len(ref) > maxRef {
		ref = "\x00" + string(hash(ref))
	}
	return append(append(append(make([]byte, 0, len(carrier)+1+len(ref)), carrier...), 0), ref...)
}

// Ref implements ledger.Store.
func (w *writeTx) Ref(carrier, ref string) (ledger.Ref, error) {
	k, v, err := w.refs().refRecord(w.refKeys(carrier, ref))
	if v == nil {
		return ledger.Ref{}, err
	}
	r, err := decodeRef(k, v)
	if err != nil {
		w.opt.Log.Error("reference can't be read: receipts for its messages wait in vain", "err", err)
	}
	r.Stored = true
	return r, nil
}

// PutRef implements ledger.Store. The record before may be in another slot.
func (w *writeTx) PutRef(carrier, ref string, r ledger.Ref, at time.Time) error {
	keys := w.refKeys(carrier, ref)
	if r.Stored {
		for _, key := range keys {
			if err := w.refs().delete(key); err != nil {
				return err
			}
		}
	}
	key := keys[0]
	if r.Bound.None() && r.Parked == "" {
		return nil
	}
	return w.refs().put(at.UnixMicro(), key, w.value(func(b []byte) []byte { return encodeRef(b, key, r) }))
}

func liftedKey(at time.Time, blocked []byte) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, 8+hashSize), uint64(max(at.UnixMicro(), 0)))
	return append(key, blocked...)
}

// Blocked implements ledger.Store.
func (w *writeTx) Blocked(organisation string, c orders.Channel, to orders.Recipient) (orders.Block, error) {
	b, _, err := w.block(organisation, c, to)
	return b, err
}
