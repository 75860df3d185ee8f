package bolt

import (
	"encoding/binary"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/orders"
	"straks/orders/sealed"
)

var (
	bucketMeta       = []byte("meta")
	bucketKeys       = []byte("keys")
	bucketKeyFilter  = []byte("keys.filter")
	bucketShipments  = []byte("shipments")
	bucketRefs       = []byte("refs")
	bucketRefFilter  = []byte("refs.filter")
	bucketParked     = []byte("parked")
	bucketDeadlines  = []byte("deadlines")
	bucketFeed       = []byte("feed")
	bucketBlocked    = []byte("blocked")
	bucketLifted     = []byte("lifted")
	bucketUnanswered = []byte("unanswered")
	bucketCursors    = []byte("cursors")

	bucketVerifications         = []byte("verifications")
	bucketVerificationRequests  = []byte("verification.requests")
	bucketVerificationAddresses = []byte("verification.addresses")
	bucketVerificationDue       = []byte("verification.due")
	bucketVerificationFeed      = []byte("verification.feed")
)

// verificationBuckets are those of package codes.
var verificationBuckets = [][]byte{bucketVerifications, bucketVerificationRequests, bucketVerificationAddresses, bucketVerificationDue, bucketVerificationFeed}

// tables is the schema over one transaction.
type tables struct {
	tx  *bbolt.Tx
	box *sealed.Box // seals recipients, and opens them; nil where they are plain, or there is no key
}

func (t tables) meta() *bbolt.Bucket       { return t.tx.Bucket(bucketMeta) }
func (t tables) shipments() *bbolt.Bucket  { return t.tx.Bucket(bucketShipments) }
func (t tables) parked() *bbolt.Bucket     { return t.tx.Bucket(bucketParked) }
func (t tables) deadlines() *bbolt.Bucket  { return t.tx.Bucket(bucketDeadlines) }
func (t tables) feed() *bbolt.Bucket       { return t.tx.Bucket(bucketFeed) }
func (t tables) blocked() *bbolt.Bucket    { return t.tx.Bucket(bucketBlocked) }
func (t tables) lifted() *bbolt.Bucket     { return t.tx.Bucket(bucketLifted) }
func (t tables) unanswered() *bbolt.Bucket { return t.tx.Bucket(bucketUnanswered) }
func (t tables) cursors() *bbolt.Bucket    { return t.tx.Bucket(bucketCursors) }

// parkedOf returns the parked reports of a carrier; nil where none has ever waited.
func (t tables) parkedOf(carrier string) *bbolt.Bucket { return t.parked().Bucket([]byte(carrier)) }

func (t tables) keys() *slots {
	return &slots{b: t.tx.Bucket(bucketKeys), scope: keyScope, span: keySlot, sure: true,
		filters: t.tx.Bucket(bucketKeyFilter), filterTable: bucketKeyFilter}
}

func (t tables) refs() *slots {
	return &slots{b: t.tx.Bucket(bucketRefs), scope: refScope, span: refSlot,
		filters: t.tx.Bucket(bucketRefFilter), filterTable: bucketRefFilter}
}

// shipment returns the shipment, and whether there is one.
func (t tables) shipment(id uuid.UUID, brief bool) (s orders.Shipment, ok bool, err error) {
	v, err := shipmentScope.lookUp(t.shipments().Cursor(), id[:])
	if v == nil {
		return orders.Shipment{}, false, err
	}
	s, err = decodeShipment(id, v, brief, t.box)
	return s, err == nil, err
}

// How full pages are packed where keys only ever come at the end: of records
// that stay as they are, and of those that an answer will make longer.
const (
	appended = 0.95
	growing  = 0.75
)

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }
