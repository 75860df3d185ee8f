package orders

import (
	"time"

	"github.com/google/uuid"
)

// Shipment is what the journal keeps of an order: everything but the text. Its
// methods are the whole state machine, and pure: a journal loads a shipment,
// calls one, and stores what came of it in the same transaction as the feed
// entry.
//
//	            Claim                Answer               Report / Expire
//	(no record) ----> Sending --+--> Accepted/Succeeded --+--> a final status
//	                   ^  |     |                         |
//	              Retry|  |     +------- refused ---------+
//	                   |  v NotSent
//	                   New (free)
//
// A final status stays, with two exceptions: a late Delivered replaces Failed_TTL, and a failure from
// beyond replaces, once, a Delivered that came from Relayed.
//
// Some mails are never reported as delivered, though they arrive (Unreported). If no report has come of such a
// mail until its deadline, Email_Succeeded becomes final.
type Shipment struct {
	ID               uuid.UUID // UUIDv7, so that shipments lie in the journal by time
	OrderID          uuid.UUID
	Claim            uuid.UUID // the hand-over that owns the shipment while it is being sent
	Organisation     string
	SendersReference string
	Channel          Channel
	Recipient        Recipient
	Status           Status
	Accepted         time.Time // when the current claim was taken; what the TTL counts from
	Updated          time.Time // of the last change of status
	Deadline         time.Time // Accepted + TTL, or Answer.Wait where that is shorter: from here on it is Failed_TTL
	ClaimUntil       time.Time // end of the claim; zero once its answer is stored
	Total            int       // parts that the message will have, at the most; 0 once its answer is stored
	Carrier          string    // name of the SMSC or relay that has or had it
	Parts            []Part    // of the message, known from its Answer on
	Cost             Cost      // at the most, until its Answer is stored
	Detail           string    // the carrier's last word, for operators: "ESME_RINVDSTADR", "UNDELIV err:013"
	Trace            Trace     // how the hand-over went, for operators

	Unreported bool // a mail of which no report comes if it arrives
	Relayed    bool // a mail is Email_Delivered by a report that it was relayed, which a failure may correct
	Complained bool // the recipient has called the mail spam, as a report said

	// Listed reports that the journal's index of unanswered shipments has an entry of it. Package
	// ledger sets it.
	Listed bool

	// Held reports that another caller's claim is unanswered, and that its answer will come: the claim lasts, or its
	// process lives. Journal.Accept and Journal.Known set it; it is not stored.
	Held bool
}

// Part is one segment of a long SMS; every other message has one.
type Part struct {
	Refs  []string // under which receipts find it; see Journal
	State PartState
	// Submitted is the submit date in the report that was its last word, for telling
	// repeats of that from reports about a later message with the same reference.
	Submitted time.Time
}

// Trace is how the hand-over of a shipment went. Times are since Shipment.Accepted, in µs; a stage that was
// not reached is 0. They never go back from one stage to the next.
type Trace struct {
	Bind     string        // the carrier's connection, like "telco/1"; may be empty
	Encoding string        // of an SMS, like "gsm"; may be empty
	Stored   time.Duration // the order was on disk
	Slot     time.Duration // an SMS had a slot of a window and a token of the rate, a mail a connection
	Written  time.Duration // the first part, or all of a mail, was written
	Answered time.Duration // the carrier's answer was there; of parts, the last one
	Reported time.Duration // the last report that counted was there; it may have come before the answer
}

// stages returns the times that follow each other.
func (t *Trace) stages() [4]*time.Duration {
	return [4]*time.Duration{&t.Stored, &t.Slot, &t.Written, &t.Answered}
}

// Cut returns the trace as a journal keeps it: in µs, and in order.
func (t Trace) Cut() Trace {
	last := time.Duration(0)
	for _, d := range t.stages() {
		if *d > 0 {
			*d = max((*d).Truncate(time.Microsecond), last, time.Microsecond)
			last = *d
		} else {
			*d = 0
		}
	}
	t.Reported = max(t.Reported.Truncate(time.Microsecond), 0)
	return t
}

// PartState is what is known of one part. The journal stores its number.
type PartState uint8

const (
	PartUnanswered PartState = iota // it may have left
	PartTaken                       // the carrier gave a reference
	PartDelivered
	PartFailed
)

// AcceptRequest is an order on its way into the journal.
type AcceptRequest struct {
	Shipment uuid.UUID // the id to give the shipment, unless the key is known already
	OrderID  uuid.UUID // likewise
	Claim    uuid.UUID // new for every hand-over, the same when a call is repeated
	Key      string
	At       time.Time // acceptance, UTC

	// ClaimFor is how long the claim lasts from At. Until it ends the shipment does not expire, and
	// other callers see it as Held.
	ClaimFor time.Duration

	Organisation     string
	SendersReference string
	Channel          Channel
	Recipient        Recipient
	TTL              time.Duration
	Total            int  // parts that the message has at the most
	Cost             Cost // at the most
}

// Claim makes the shipment of a new order, owned by the hand-over in.Claim.
func Claim(in AcceptRequest) Shipment {
	s := Shipment{ID: in.Shipment, OrderID: in.OrderID}
	s.Retry(in)
	return s
}

// Retry starts the shipment again for a retried key: both ids stay, everything else is as in says. Only
// a shipment with a Free status may be retried.
func (s *Shipment) Retry(in AcceptRequest) {
	*s = Shipment{
		ID: s.ID, OrderID: s.OrderID, Claim: in.Claim,
		Organisation: in.Organisation, SendersReference: in.SendersReference,
		Channel: in.Channel, Recipient: in.Recipient,
		Status:   specials[in.Channel].sending,
		Accepted: in.At, Updated: in.At, Deadline: in.At.Add(in.TTL), ClaimUntil: in.At.Add(in.ClaimFor), Total: max(in.Total, 1),
		Cost: in.Cost,
	}
}

// Block ends a new shipment whose recipient is on the organisation's block list, by this entry.
func (s *Shipment) Block(by Block) {
	s.Status = specials[s.Channel].reserved
	if by.Suppression() && s.Channel == Email {
		s.Status = EmailFailedSuppressedRecipient
	}
	s.Cost.Amount = 0
	s.endClaim()
}

// MayHaveLeft reports whether the message may have left: not where its key is free, nor where a block list stopped it.
func (s *Shipment) MayHaveLeft() bool {
	return !s.Status.Free() && s.Status != specials[s.Channel].reserved && s.Status != EmailFailedSuppressedRecipient
}

// endClaim forgets what is kept of a claim while it is unanswered.
func (s *Shipment) endClaim() { s.ClaimUntil, s.Total = time.Time{}, 0 }

// Claimed reports whether the shipment's claim is unanswered: its answer may still free the key.
func (s *Shipment) Claimed() bool {
	return s.Status == specials[s.Channel].sending && !s.ClaimUntil.IsZero()
}

// InFlight reports whether the shipment's claim is unanswered, and lasts at now.
func (s *Shipment) InFlight(now time.Time) bool { return s.Claimed() && now.Before(s.ClaimUntil) }

// all reports whether every part is known and at least in the given state.
func (s *Shipment) all(least PartState) bool {
	for _, p := range s.Parts {
		if p.State < least {
			return false
		}
	}
	return len(s.Parts) > 0
}

// Report applies what a receipt says of the part with the given index, and
// reports whether the status changed. The shipment is delivered when every part is, and failed on
// the first part that failed.
func (s *Shipment) Report(part int, r Report) bool {
	sp := specials[s.Channel]
	if part < 0 || part >= len(s.Parts) || r.Status.Channel() != s.Channel {
		return false
	}
	p := &s.Parts[part]
	s.Unreported = s.Unreported || r.Expanded
	s.Complained = s.Complained || r.Suppress == BlockedByComplaint
	before := p.State
	switch {
	case s.Relayed && r.failed(): // from beyond
		p.State, s.Relayed = PartFailed, false
		s.Trace.Reported = max(r.At.Sub(s.Accepted), 0)
		return s.become(r.Status, r.At, r.Detail)
	case p.State >= PartDelivered: // a repeat, or a contradiction: the first word stands
		return false
	case r.Status.Delivered():
		p.State, p.Submitted = PartDelivered, r.Submitted
	case r.Status.Final():
		p.State, p.Submitted = PartFailed, r.Submitted
	default:
		p.State = max(p.State, PartTaken)
	}
	if p.State != before {
		s.Trace.Reported = max(r.At.Sub(s.Accepted), 0)
	}
	s.endClaim() // a report about a mail may come before the answer
	switch {
	case p.State == PartDelivered && s.all(PartDelivered) && s.none(PartFailed) &&
		(!s.Status.Final() || s.Status == sp.expired):
		s.Relayed = r.Relayed
		return s.become(sp.delivered, r.At, r.Detail)
	case s.Status.Final():
		return false
	case p.State == PartFailed:
		return s.become(r.Status, r.At, r.Detail)
	case s.Status == sp.sending && s.all(PartTaken):
		return s.become(sp.taken, r.At, r.Detail)
	}
	return false
}

// failed reports whether the message failed, as the report says.
func (r *Report) failed() bool { return r.Status.Final() && !r.Status.Delivered() }

func (s *Shipment) none(state PartState) bool {
	for _, p := range s.Parts {
		if p.State == state {
			return false
		}
	}
	return true
}

// Expire ends a shipment whose deadline has passed, and reports whether the status changed. A
// free shipment has no deadline: no caller was told of it. One in flight may yet become free.
func (s *Shipment) Expire(now time.Time) bool {
	if s.Status.Final() || s.Status.Free() || now.Before(s.Deadline) || s.InFlight(now) {
		return false
	}
	sp := specials[s.Channel]
	if s.Unreported && s.Status == sp.taken {
		return s.become(sp.silent, now, s.Detail)
	}
	return s.become(sp.expired, now, s.Detail)
}

// become changes the status. Updated never goes back, whatever the clocks do.
func (s *Shipment) become(status Status, at time.Time, detail string) bool {
	s.Status = status
	if at.After(s.Updated) {
		s.Updated = at
	}
	s.Detail = detail
	return true
}
