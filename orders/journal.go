package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Journal keeps idempotency keys, shipments, receipts that wait for their answer, deadlines, block
// lists and the feed. Its rules are those of orders/ledger; the suite in orders/journaltest is its
// definition in code.
//
// Every call may be repeated with the same result, so that ErrUnavailable
// ("nothing is known") is answered by calling again. After any other error nothing of the call
// was stored; an error that is not declared here (a record that can't be read) is the
// call's own, and calling again rarely helps. All methods are safe for concurrent use.
// What a method returned without error is on stable storage. Reads never wait for
// writes.
//
// # References
//
// An answer binds references (the SMSC's message id, the user reference that it
// may echo) to a part; a report has one or more of them. Both meet in one
// record for each (carrier, reference): whichever comes second finds the other
// half there and applies it, so a receipt may overtake its answer by any
// time, over any bind and across a restart. References are opaque strings,
// normalised by the caller.
//
// Carriers use references again, so the record holds the last two parts that were
// bound to it and one report that is about neither (Report.Choose) and waits for the next
// part (Report.Awaited). Of two such reports the better one stays (Report.Better).
// Where the reference is not the report's first, Report.Means reports whether a part may
// be meant at all. The parts of all its references are chosen from, those of the
// first coming first: a repeat may be about a part that is known by a lesser one only.
type Journal interface {
	// Accept stores the order, unless its key is known.
	//
	// claimed reports that the caller, as in.Claim, owns the hand-over: the key
	// was new, or was free again (its ids are kept for a while, see Shipment.Retry),
	// or this very claim was stored before. Where claimed is false the shipment is
	// the one that the key got the first time. While it is Claimed, its key may yet become free. A recipient on the
	// organisation's block list comes back claimed with a final status: it is
	// not to be sent.
	Accept(ctx context.Context, in AcceptRequest) (s Shipment, claimed bool, err error)

	// Known returns the shipment of the organisation's key, if Accept at that time would
	// return it unclaimed. known reports whether the key is known and not free. While the shipment is Claimed, its key may
	// yet become free, and a crash may take back what is said of it.
	Known(ctx context.Context, organisation, key string, at time.Time) (s Shipment, known bool, err error)

	// Apply stores facts, each in full (shipment, feed entry, bindings) or not at all. The effects
	// answer them one by one; a fact about a shipment that does not exist has an effect, not an
	// error. Facts about one shipment are applied in the order given; facts about different
	// shipments, and those of calls at the same time, have no order. A call that the journal has taken, and
	// does not know to be stored, fails with UndecidedError.
	Apply(ctx context.Context, events []Event) ([]Effect, error)

	// Abandoned returns shipments whose claim is unanswered, and will stay so: the process that
	// claimed them has ended, after it may have handed the message over. Their outcome is unknown.
	Abandoned(ctx context.Context) ([]Shipment, error)

	// Matches returns what FindMatches finds, at most limit: of the reports that wait, and of the
	// shipments that are unanswered. A report that came at before or later counts only with a user
	// reference.
	Matches(ctx context.Context, before, now time.Time, limit int) ([]Match, error)

	// Shipment returns the organisation's shipment, or ErrNotFound.
	Shipment(ctx context.Context, organisation string, id uuid.UUID) (Shipment, error)

	// Feed returns at most q.Limit entries. Sequence numbers are strictly
	// increasing for an organisation; after an entry was readable, none
	// with a lower number appears. Every change of status from the carrier's acceptance on
	// (Status.InFeed) has an entry; the query says which of them are returned. One that can't be read is logged and
	// skipped. Numbers begin above the journal's feed start. An ascending query from beyond the newest number
	// fails with BeyondNewestError.
	Feed(ctx context.Context, q FeedQuery) ([]FeedEntry, error)

	// Find returns shipments of all organisations, for operators. One that can't be read is logged and skipped.
	Find(ctx context.Context, q FindQuery) ([]Shipment, error)

	// Waiting returns reports, at most limit, that wait for their answer and name the number as it is in the recipient, by
	// its last digits (Recipient.Number). One that can't be read is skipped.
	Waiting(ctx context.Context, to Recipient, limit int) ([]Report, error)

	// Blocks returns entries of block lists. One that can't be read is logged and skipped.
	Blocks(ctx context.Context, q BlockQuery) (BlockPage, error)

	// Due returns shipments, at most limit of them, that Expiry at now would
	// change, none whose claim another process that lives will answer, and when to ask again: zero where no deadline is known. A later
	// Accept or Answer may bring a nearer one, but none nearer than its TTL or wait. A shipment
	// that can't be read is logged and skipped: it delays no other.
	Due(ctx context.Context, now time.Time, limit int) (due []uuid.UUID, next time.Time, err error)

	// Sweep removes what is older than the retention of its organisation (keys, shipments, feed
	// entries), and parked reports older than a day. An unsettled shipment stays for
	// a while, for its deadline to be kept first. It takes one small step of
	// about budget records and reports whether more is waiting. With an error that is
	// about some of the records only, others were removed all the same.
	Sweep(ctx context.Context, now time.Time, retention Retention, budget int) (Swept, error)

	// Close waits for what is being written, and releases the store.
	Close() error
}

// Event is a fact: an Answer, a Report, an Expiry, a Match, a Block, a Forget or a Drop.
type Event interface{ event() }

// Expiry reports that a shipment's deadline may have passed.
type Expiry struct {
	Shipment uuid.UUID
	At       time.Time
}

// Block puts a recipient on the organisation's block list, or takes it off. Of two the one with the
// later At counts, in whatever order they are stored; of two at the same time, the one stored later.
// A lifted block is kept for a day, so that an older block which is stored after it has no effect.
type Block struct {
	Organisation string
	Channel      Channel
	Recipient    Recipient // letter case does not matter in an e-mail address
	Off          bool
	At           time.Time
	Source       BlockSource // empty in an entry of before schema version 5, which lacks what follows too
	Word         string      // of the configuration, that the phone sent; the code of a bounce, like "5.1.1"
	Reason       string      // in the operator's words; the shipment that a bounce or complaint is about
	By           string      // the operator's name, as the operator's program gave it

	// A suppression ends by itself, and is longer each time.

	Until time.Time // zero: it does not end
	Times int       // how many there were, with this one
}

// Suppression reports whether b ends by itself: reports about mails made it, and no operator or recipient.
func (b Block) Suppression() bool { return !b.Until.IsZero() }

// Blocks reports whether b keeps messages from its recipient at a time. The zero Block keeps none.
func (b Block) Blocks(at time.Time) bool {
	return !b.At.IsZero() && !b.Off && (b.Until.IsZero() || at.Before(b.Until))
}

// BlockForm returns the form of a recipient under which block lists have it: the letter case of an
// e-mail address does not matter there, though it may to a mail server (RFC 5321 §2.4).
func BlockForm(c Channel, to Recipient) Recipient {
	if c == Email {
		return Recipient(strings.ToLower(string(to)))
	}
	return to
}

// BlockSource is what changed a block list.
type BlockSource string

const (
	BlockedByPhone     BlockSource = "phone"
	BlockedByOperator  BlockSource = "operator"
	BlockedByBounce    BlockSource = "bounce"
	BlockedByComplaint BlockSource = "complaint"
)

// BlockQuery asks for entries of block lists: the one of a Recipient, or all, page by page.
type BlockQuery struct {
	Organisation string    // empty: all organisations; required with Recipient
	Channel      Channel   // of Recipient
	Recipient    Recipient // empty: all
	After        string    // BlockPage.Next of the page before
	Limit        int       // entries that are looked at
}

// BlockPage is a page of block lists, in no order that means anything.
type BlockPage struct {
	Blocks []Block // also lifted ones, for a day. Recipient is empty in one of before schema version 5
	Next   string  // empty: there are no more
}

func (Answer) event() {}
func (Report) event() {}
func (Expiry) event() {}
func (Block) event()  {}

// Effect is what became of one event.
//
// An Answer of handover.NotSent does not free the key if its claim has another answer already: its key is free only if
// the shipment's status says so.
type Effect struct {
	Shipment Shipment     // as it is now; zero where none was found
	Found    bool         // the event has a shipment
	Changes  []Change     // of status, in order; more than one where an answer met a parked report
	Parked   bool         // a Report that waits for its answer
	Dropped  int          // how many older Reports of its carrier wait no longer, to make room for it; of a Drop, 1 or 0
	Hint     MismatchHint // a Report: the one of its Hints that is bound, where its Refs are not
	Matched  MatchedBy    // a Report or Match: by what it found its shipment, where none of its references was bound

	Suppressed Block // a suppression of the shipment's recipient that begins with it; zero: none does
	Lifted     bool  // such a suppression has ended with it
}

// MatchedBy is what led a report to a shipment that none of its references was bound to.
type MatchedBy string

const (
	MatchedByReference MatchedBy = "reference" // recipient and user reference
	MatchedByRecipient MatchedBy = "recipient" // the recipient alone
)

// Change is one change of status that an event brought.
type Change struct {
	From, To Status
	At       time.Time
}

// FeedQuery asks for entries after Seq (or before it, newest first).
type FeedQuery struct {
	Organisation string
	Seq          uint64 // exclusive; Descending from 0 starts at the newest
	Limit        int
	Descending   bool
	FinalOnly    bool // leaves out the entries whose status is not final
}

// BeyondNewestError is the answer to an ascending FeedQuery whose Seq is beyond the newest number that the
// organisation's feed has given out, of whatever status, and kept or not. So it never meets a reader that
// goes on from an entry of this journal, also if retention has removed the entry; but it meets one whose number is
// from another service or from a later state of the journal.
type BeyondNewestError struct {
	Newest uint64 // the feed start where the feed has had no entry
}

func (e *BeyondNewestError) Error() string {
	return fmt.Sprintf("the feed's newest number is %d", e.Newest)
}

// FeedEntry is one change of status. Claim, Parts, Carrier and Detail of its
// shipment may be empty.
type FeedEntry struct {
	Seq      uint64
	Shipment Shipment
}

// Swept counts what a step of Sweep removed.
type Swept struct {
	Shipments int
	Parked    int // reports that no answer ever claimed
	More      bool
}

var (
	// ErrUnavailable: the journal does not know whether the call took effect
	// (disk full, failing or stalled). Nothing is known; call again.
	ErrUnavailable = errors.New("journal unavailable")
	// ErrNotStored comes with ErrUnavailable where the journal knew before it tried:
	// nothing was stored.
	ErrNotStored = errors.New("nothing was stored")
	// ErrBusy: the queue in front of the journal is full; nothing was stored.
	ErrBusy = errors.New("too much in flight")
	// ErrNotFound: no such shipment, or it is another organisation's.
	ErrNotFound = errors.New("no such shipment")
)

// ofTheCall reports whether an error of the journal is about the call's own records: another call,
// or a part of this one, may succeed.
func ofTheCall(err error) bool {
	return err != nil && !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrBusy)
}
