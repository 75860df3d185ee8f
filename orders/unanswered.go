package orders

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Match is the finding that a report which waits is about an unanswered shipment. Journal.Matches
// makes them; Apply looks again, and has no effect where the finding does not hold any more.
type Match struct {
	Shipment  uuid.UUID
	Carrier   string // of the report
	Refs      []string
	Recipient Recipient // that the report names
	At        time.Time
}

func (Match) event() {}

// messageReference is the user_message_reference (SMPP 3.4 §5.3.2.17) of the first part of a message. It
// follows from the claim, so that it is stored before the message leaves.
func messageReference(claim uuid.UUID) uint16 { return binary.BigEndian.Uint16(claim[14:]) }

// Number returns by what a journal finds the unanswered shipments of a recipient: the last digits of
// a phone number, since SMSCs write numbers with and without prefixes. It is empty for anything else.
func (r Recipient) Number() string {
	if !isNumber(string(r)) {
		return ""
	}
	return string(r[len(r)-leastNumber:])
}

// Unanswered reports whether the hand-over has ended, or its process has, and a part may have left
// without an answer. It holds after the deadline too, since a late receipt corrects Failed_TTL, and after a
// receipt that reported another part as failed: further ones must not be taken for those of another message.
func (s *Shipment) Unanswered() bool {
	sp := specials[s.Channel]
	open := s.Status == sp.sending || s.Status == sp.expired || !s.none(PartFailed)
	return open && s.ClaimUntil.IsZero() && s.unansweredPart() >= 0
}

func (s *Shipment) unansweredPart() int {
	return slices.IndexFunc(s.Parts, func(p Part) bool { return p.State == PartUnanswered })
}

// MatchedUntil is when reports can no longer be matched with an unanswered shipment.
func (s *Shipment) MatchedUntil() time.Time { return s.Deadline.Add(repeats) }

const (
	// zoneStep is what time zones are apart at least.
	zoneStep = 15 * time.Minute
	// dateSkew is by how much a submit date may differ from our time, time zones apart: most
	// carriers give minutes, and a message may wait for a window before it leaves.
	dateSkew = 3 * time.Minute
)

// Unanswered returns the part of an unanswered shipment that the report may be about: one without an
// answer, at the report's carrier or an unknown one, of the recipient that the report names, in the
// time between acceptance and an hour after the deadline. A report with a user reference is about the
// part that has it; byReference: so it is. -1: none.
func (r *Report) Unanswered(s *Shipment) (part int, byReference bool) {
	if !s.Unanswered() || s.Carrier != "" && s.Carrier != r.Carrier || r.Unverified || !r.names(s) || !r.inTime(s) {
		return -1, false
	}
	if !r.Echoed {
		return s.unansweredPart(), false
	}
	i := int(r.Reference - messageReference(s.Claim))
	switch {
	case r.Whole && i < maxParts:
		return s.unansweredPart(), true
	case i < len(s.Parts) && s.Parts[i].State == PartUnanswered:
		return i, true
	}
	return -1, false
}

// maxParts is how many parts a message has at most: a user data header counts them in an octet.
const maxParts = 255

// inTime reports whether the report may be about a message that was accepted when the shipment was.
// The zone of its dates is unknown. But a receipt comes after the done date, so that the message is at
// least as old as done date minus submit date; and zones differ by quarters of an hour.
func (r *Report) inTime(s *Shipment) bool {
	if r.At.Add(clockSkew).Before(s.Accepted) || r.At.After(s.MatchedUntil()) {
		return false
	}
	if r.Submitted.IsZero() {
		return true
	}
	if !r.Done.IsZero() && r.At.Add(sameDate).Before(s.Accepted.Add(r.Done.Sub(r.Submitted))) {
		return false
	}
	off := r.Submitted.Sub(s.Accepted) % zoneStep
	if off < 0 {
		off += zoneStep
	}
	return off <= dateSkew || off >= zoneStep-dateSkew
}

// Attach notes that the report was found to be about an unanswered part: its references are the part's
// from now on, so that repeats of it lead there. It returns the part, which a report about the whole
// message moves.
func (s *Shipment) Attach(part int, r *Report) int {
	s.Carrier = r.Carrier
	if r.Whole && len(s.Parts) > 1 {
		s.Parts, part = s.Parts[:1], 0
	}
	for _, ref := range r.Refs {
		s.Parts[part].addRef(ref)
	}
	return part
}

// sameStatus reports whether all reports say the same.
func sameStatus(reports []Report) bool {
	return !slices.ContainsFunc(reports, func(r Report) bool { return r.Status != reports[0].Status })
}

// FindMatches returns which of the reports that wait are about which of the unanswered shipments of one
// recipient. A report that came after before, or whose carrier's setting forbids it, counts only with a
// user reference: the answer that it has overtaken may be on its way. It must fit one shipment only. Of
// several reports that fit one part, the first is taken if all say the same.
func FindMatches(reports []Report, shipments []Shipment, before, now time.Time) (found []Match) {
	about := make(map[int][]Report) // by index of the shipment
	for i := range reports {
		r := &reports[i]
		if n, byReference := r.only(shipments); n >= 0 && (byReference || r.ByRecipient && r.At.Before(before)) {
			about[n] = append(about[n], *r)
		}
	}
	for n := range shipments {
		s, fit := &shipments[n], about[n]
		open := 0
		for _, p := range s.Parts {
			if p.State == PartUnanswered {
				open++
			}
		}
		if len(fit) > open && !sameStatus(fit) {
			continue
		}
		slices.SortStableFunc(fit, func(a, b Report) int { return a.At.Compare(b.At) })
		for _, r := range fit[:min(len(fit), open)] {
			found = append(found, Match{Shipment: s.ID, Carrier: r.Carrier, Refs: r.Refs, Recipient: r.Recipient, At: now})
		}
	}
	return found
}

// only returns the index of the shipment that the report fits, if it fits one only; else -1.
func (r *Report) only(shipments []Shipment) (n int, byReference bool) {
	n = -1
	for i := range shipments {
		part, ref := r.Unanswered(&shipments[i])
		if part < 0 {
			continue
		}
		if n >= 0 {
			return -1, false
		}
		n, byReference = i, ref
	}
	return n, byReference
}

// Only is the shipment that the report fits, of those of its recipient that are unanswered, and the
// part; nil where there is none, or more than one.
func (r *Report) Only(shipments []Shipment) (s *Shipment, part int, byReference bool) {
	n, _ := r.only(shipments)
	if n < 0 {
		return nil, -1, false
	}
	s = &shipments[n]
	part, byReference = r.Unanswered(s)
	return s, part, byReference
}

// IDPrefix begins a reference that is a carrier's message id; the id follows. All other references are
// opaque, and may have a recipient in them.
const IDPrefix = "id:"

// MessageIDs returns the carrier's message ids of the parts, as far as they are known, in the form in
// which they are compared.
func (s *Shipment) MessageIDs() (ids []string) {
	for i := range s.Parts {
		ids = append(ids, s.Parts[i].MessageIDs()...)
	}
	return ids
}

// MessageIDs returns those of the part.
func (p *Part) MessageIDs() (ids []string) {
	for _, ref := range p.Refs {
		if id, ok := strings.CutPrefix(ref, IDPrefix); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
