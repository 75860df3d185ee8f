package bolt

import (
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/orders"
)

var (
	bucketMeta      = []byte("meta")
	bucketKeys      = []byte("keys")
	bucketKeyFilter = []byte("keys.filter")
	bucketShipments = []byte("shipments")
	bucketRefs      = []byte("refs")
	bucketRefFilter = []byte("refs.filter")
	bucketParked    = []byte("parked")
	bucketDeadlines = []byte("deadlines")
	bucketFeed      = []byte("feed")
	bucketBlocked   = []byte("blocked")
	bucketLifted    = []byte("lifted")
)

// tables is the schema over one transaction.
type tables struct{ tx *bbolt.Tx }

func (t tables) meta() *bbolt.Bucket      { return t.tx.Bucket(bucketMeta) }
func (t tables) shipments() *bbolt.Bucket { return t.tx.Bucket(bucketShipments) }
func (t tables) parked() *bbolt.Bucket    { return t.tx.Bucket(bucketParked) }
func (t tables) deadlines() *bbolt.Bucket { return t.tx.Bucket(bucketDeadlines) }
func (t tables) feed() *bbolt.Bucket      { return t.tx.Bucket(bucketFeed) }
func (t tables) blocked() *bbolt.Bucket   { return t.tx.Bucket(bucketBlocked) }
func (t tables) lifted() *bbolt.Bucket    { return t.tx.Bucket(bucketLifted) }

func (t tables) keys() *slots {
	return &slots{b: t.tx.Bucket(bucketKeys), filters: t.tx.Bucket(bucketKeyFilter), span: keySlot}
}

func (t tables) refs() *slots {
	return &slots{b: t.tx.Bucket(bucketRefs), filters: t.tx.Bucket(bucketRefFilter), span: refSlot}
}

// shipment returns the shipment, and whether there is one.
func (t tables) shipment(id uuid.UUID, brief bool) (s orders.Shipment, ok bool, err error) {
	v := t.shipments().Get(id[:])
	if v == nil {
		return orders.Shipment{}, false, nil
	}
	s, err = decodeShipment(id, v, brief)
	return s, err == nil, err
}

// writeTx is what one transaction of the writing goroutine needs besides:
// values must live until the commit, so they are cut from one buffer.
type writeTx struct {
	tables
	opt     *Options
	values  []byte
	waiting int // parked reports

	newDeadline []byte // the lowest key put into deadlines

	keySlots, refSlots *slots // once looked up
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

func (w *writeTx) putShipment(s *orders.Shipment) error {
	v := w.value(func(b []byte) []byte { return encodeShipment(b, s) })
	b := w.shipments()
	b.FillPercent = growing
	return b.Put(s.ID[:], v)
}

// changed stores the feed entry of a shipment's new status.
func (w *writeTx) changed(s *orders.Shipment) error {
	if !s.Status.InFeed() {
		return nil
	}
	feed, err := w.feed().CreateBucketIfNotExists([]byte(s.Organisation))
	if err != nil {
		return fmt.Errorf("feed of %q: %w", s.Organisation, err)
	}
	feed.FillPercent = appended
	seq, err := feed.NextSequence()
	if err != nil {
		return err
	}
	v := w.value(func(b []byte) []byte { return encodeEntry(b, entry{s.ID, s.Status, s.Updated}) })
	return feed.Put(seqKey(seq), v)
}

// How full pages are packed where keys only ever come at the end: of records
// that stay as they are, and of those that an answer will make longer.
const (
	appended = 0.95
	growing  = 0.75
)

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }
