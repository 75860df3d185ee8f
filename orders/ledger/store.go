package ledger

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// ErrCorrupt reports a record that can't be read. Calling again does not help.
var ErrCorrupt = errors.New("journal: corrupt")

// ErrUnsure is ErrCorrupt where nothing is found, but a record that can't be read may be the one.
var ErrUnsure = fmt.Errorf("%w: a record beside the place of this one", ErrCorrupt)

// Store is what one transaction of an engine can do. A record that can't be read is ErrCorrupt.
// Times are in µs. No slice or pointer is kept by either side, but what Shipment returns is the
// caller's to change.
type Store interface {
	// Key returns the shipment of an organisation's key. ok is false where the key is unknown or
	// its shipment is gone; stored reports whether the key has a record all the same.
	Key(organisation, key string) (s orders.Shipment, ok, stored bool, err error)
	// PutKey gives a key to a shipment that is not stored yet. replace: the key has a record.
	PutKey(organisation, key string, id uuid.UUID, replace bool) error
	// Room returns why no new order is taken, or nil. The error is the caller's answer.
	Room() error

	Shipment(id uuid.UUID) (s orders.Shipment, ok bool, err error)
	// PutShipment stores a shipment under its id, and its deadline if dated: then that is new in this
	// transaction.
	PutShipment(s *orders.Shipment, dated bool) error
	// AppendFeed appends an entry of the shipment's present status to the feed of its organisation.
	AppendFeed(s *orders.Shipment) error

	// Ref returns what is known of a carrier's reference. A record that can't be read says nothing.
	Ref(carrier, ref string) (Ref, error)
	// PutRef stores what is known of a reference, as of a time for its retention. One that says
	// nothing is removed.
	PutRef(carrier, ref string, r Ref, at time.Time) error

	// Unanswered returns the shipments of a recipient's number (orders.Recipient.Number) that the index of
	// unanswered shipments has.
	Unanswered(number string) ([]uuid.UUID, error)
	// List adds a shipment to that index; an engine may drop the entry ParkedRetention after
	// Shipment.MatchedUntil.
	// Unlist removes it.
	List(s *orders.Shipment) error
	Unlist(s *orders.Shipment) error

	// Parked returns a carrier's report that waits. One that is gone is ErrCorrupt.
	Parked(carrier string, id ParkedID) (orders.Report, error)
	Park(r *orders.Report) (ParkedID, error)
	Unpark(carrier string, id ParkedID) error
	// OldestParked returns the carrier's report that waits longest; "" where none waits.
	OldestParked(carrier string) (id ParkedID, at time.Time, err error)
	// ParkedReports returns how many of a carrier's reports wait, and the octets of their records.
	ParkedReports(carrier string) (n int, octets int64)
	// ParkedCarriers returns the carriers of which reports wait.
	ParkedCarriers() []string

	// Blocked returns the entry of a recipient in a block list; the zero Block where there is none.
	Blocked(organisation string, c orders.Channel, to orders.Recipient) (orders.Block, error)
	PutBlocked(b orders.Block) error
	// Suppressions returns how many of the entries in all block lists are suppressions (Block.Suppression).
	// An engine removes one SuppressionMemory after its end.
	Suppressions() (int, error)
}

// Ref is what is known of a reference: the part that it is bound to, the part that had it before,
// and the report that waits under it for the next.
type Ref struct {
	Bound, Before Binding
	Parked        ParkedID
	Stored        bool // there is a record of it
}

// Binding is a part of a shipment. A zero id is none.
type Binding struct {
	Shipment uuid.UUID
	Part     int
}

// None reports whether b is no part.
func (b Binding) None() bool { return b.Shipment == uuid.Nil }

// ParkedID is what an engine calls a parked report. "" is none.
type ParkedID string

// Ledger applies the rules to one transaction.
type Ledger struct {
	Store Store
	// Bounds of the reports of one carrier that wait. Where they are reached, its oldest make room for
	// a new one, whose octets may exceed the bound. Another carrier's are not touched.
	MaxParked       int
	MaxParkedOctets int64
	// MaxSuppressions bounds the suppressions in all block lists together. Beyond it no more begin.
	MaxSuppressions int
	Log             *slog.Logger
}

// micro cuts a time to what an engine keeps, so that a call returns what a later look-up will.
func micro(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }
