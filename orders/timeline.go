package orders

import (
	"slices"
	"time"
)

// StepKind is what happened to a shipment at one time.
type StepKind string

const (
	StepAccepted  StepKind = "accepted"  // the order was admitted; all other times are since then
	StepStored    StepKind = "stored"    // it was on disk
	StepReady     StepKind = "ready"     // it had a slot of a window, or a connection
	StepSubmitted StepKind = "submitted" // the first part, or the whole mail, was written
	StepAnswered  StepKind = "answered"  // the carrier had answered for every part
	StepReported  StepKind = "reported"  // the last report that counted had come
	StepNotSent   StepKind = "notSent"   // no carrier could take it, and its key is free
	StepFinal     StepKind = "final"     // the status became final
)

// StepKinds returns every kind, in the order in which they usually come.
func StepKinds() []StepKind {
	return []StepKind{StepAccepted, StepStored, StepReady, StepSubmitted, StepAnswered, StepReported, StepNotSent, StepFinal}
}

// Step is one step on the way of a shipment. The text of the message is in none.
type Step struct {
	Kind  StepKind
	At    time.Time
	After time.Duration // since StepAccepted, in µs

	Carrier    string   // of StepSubmitted, StepAnswered and StepReported
	Bind       string   // of StepSubmitted: the carrier's connection
	Encoding   string   // of StepSubmitted, for an SMS
	Parts      int      // of StepSubmitted
	MessageIDs []string // of StepAnswered: the carrier's
	Status     Status   // of StepNotSent and StepFinal
	Detail     string   // of StepReported, StepNotSent and StepFinal: the carrier's last word
}

// Steps returns the way of the shipment as far as it is known, in the order of time. A report may come before
// the answer.
func (s *Shipment) Steps() []Step {
	steps := []Step{{Kind: StepAccepted, At: s.Accepted}}
	reached := func(after time.Duration, step Step) {
		if after > 0 {
			step.At, step.After = s.Accepted.Add(after), after
			steps = append(steps, step)
		}
	}
	t := &s.Trace
	reached(t.Stored, Step{Kind: StepStored})
	reached(t.Slot, Step{Kind: StepReady})
	reached(t.Written, Step{Kind: StepSubmitted, Carrier: s.Carrier, Bind: t.Bind, Encoding: t.Encoding, Parts: len(s.Parts)})
	reached(t.Answered, Step{Kind: StepAnswered, Carrier: s.Carrier, MessageIDs: s.MessageIDs()})
	reported := Step{Kind: StepReported, Carrier: s.Carrier}
	if s.Accepted.Add(t.Reported).Equal(s.Updated) { // else the last word is not this report's
		reported.Detail = s.Detail
	}
	reached(t.Reported, reported)
	slices.SortStableFunc(steps, func(a, b Step) int { return a.At.Compare(b.At) })
	end := Step{Kind: StepFinal, At: s.Updated, After: s.Updated.Sub(s.Accepted), Status: s.Status, Detail: s.Detail}
	switch {
	case s.Status.Free():
		end.Kind = StepNotSent
	case !s.Status.Final():
		return steps
	}
	return append(steps, end)
}
