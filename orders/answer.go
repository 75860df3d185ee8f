package orders

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
)

// Answer is how a hand-over ended, or a late answer, which may come for each part.
type Answer struct {
	Shipment uuid.UUID
	Claim    uuid.UUID // an answer to another claim than the present one changes nothing; zero in one that came late
	At       time.Time
	Outcome  handover.Outcome
	Status   Status // for handover.Refused: the final status
	Carrier  string
	Total    int // parts that the message has
	Parts    []PartAnswer
	Cost     Cost // Parts is 0 where the answer says nothing of it, as a late one
	Detail   string
	Trace    Trace // zero in an answer that came late

	Wait       time.Duration // how long to wait for reports, from acceptance; 0, or more than the TTL: until the TTL has passed
	Unreported bool          // see Shipment
}

// PartAnswer is the carrier's answer to one part.
type PartAnswer struct {
	Index int      // from 0
	Refs  []string // references that receipts may bear: message id, echoed user reference
	Taken bool     // false: it may have left, no answer came
}

// Answer applies the carrier's answer and reports whether the status changed.
//
// NotSent frees the key however late it comes, unless the claim has an answer by then: who tells a caller that a key is
// known ends its claim first, with an Answer of Unknown. Then the shipment has failed, since it never leaves. A late
// answer need not name its claim: only an unknown outcome has one, and after that the shipment is never claimed again.
func (s *Shipment) Answer(a Answer) bool {
	late := a.Claim == uuid.Nil && a.Outcome != handover.NotSent && !s.Status.Free()
	if a.Claim != s.Claim && !late {
		return false
	}
	sp := specials[s.Channel]
	if a.Outcome == handover.NotSent {
		return s.notSent(a)
	}
	s.endClaim()
	if a.Cost.Parts > 0 {
		s.Cost = a.Cost
	}
	s.takeParts(a)
	s.takeTrace(a)
	s.takeWait(a)
	switch {
	case s.Status.Final():
		return false
	case a.Outcome == handover.Refused:
		status := a.Status
		if !status.Final() || status.Channel() != s.Channel {
			status = sp.failed
		}
		return s.become(status, a.At, a.Detail)
	case s.Status == sp.sending && s.all(PartTaken):
		return s.become(sp.taken, a.At, a.Detail)
	}
	return false
}

// notSent applies NotSent to its claim, unless an answer or a report has named the carrier that may have the message.
func (s *Shipment) notSent(a Answer) bool {
	sp := specials[s.Channel]
	switch {
	case s.Claimed():
		s.endClaim()
		return s.become(sp.fresh, a.At, a.Detail)
	case s.Status == sp.sending && s.Carrier == "" && !slices.ContainsFunc(s.Parts, func(p Part) bool { return len(p.Refs) > 0 }):
		s.Cost.Amount = 0
		return s.become(sp.failed, a.At, a.Detail)
	}
	return false
}

// takeParts notes what the answer says of the parts. A part's state only grows.
func (s *Shipment) takeParts(a Answer) {
	if a.Carrier != "" {
		s.Carrier = a.Carrier
	}
	// Once something is known of a part, no more parts come: a report about the whole message may have made one of all (Attach).
	unknown := s.none(PartTaken) && s.none(PartDelivered) && s.none(PartFailed)
	for unknown && len(s.Parts) < max(a.Total, 1) {
		s.Parts = append(s.Parts, Part{})
	}
	for _, pa := range a.Parts {
		if pa.Index < 0 || pa.Index >= len(s.Parts) {
			continue
		}
		p := &s.Parts[pa.Index]
		for _, ref := range pa.Refs {
			p.addRef(ref)
		}
		if pa.Taken {
			p.State = max(p.State, PartTaken)
		}
	}
}

// takeTrace notes how the hand-over went. Of a late answer only its time is new.
func (s *Shipment) takeTrace(a Answer) {
	switch {
	case a.Trace != Trace{}:
		reported := s.Trace.Reported // of a mail, a report may have come before
		s.Trace = a.Trace
		s.Trace.Reported = max(reported, a.Trace.Reported)
	case a.Claim == uuid.Nil && s.Trace.Answered == 0:
		s.Trace.Answered = a.At.Sub(s.Accepted)
	default:
		return
	}
	s.Trace = s.Trace.Cut()
}

// takeWait notes how long reports are waited for, and what their absence means.
func (s *Shipment) takeWait(a Answer) {
	if s.Status.Final() || a.Outcome == handover.Refused {
		return
	}
	s.Unreported = s.Unreported || a.Unreported
	if end := s.Accepted.Add(a.Wait); a.Wait > 0 && end.Before(s.Deadline) {
		s.Deadline = end
	}
}

func (p *Part) addRef(ref string) {
	for _, have := range p.Refs {
		if have == ref {
			return
		}
	}
	p.Refs = append(p.Refs, ref)
}
