package smpp

import (
	"errors"
	"fmt"
	"slices"

	"straks/internal/handover"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// part is one part of a message. The goroutine that submits it owns it until
// its round is over.
type part struct {
	state     partState
	messageID string
	userRef   uint16
	status    wire.Status
	verdict   Verdict // on status
	err       error   // for pending after an attempt, and for doubtful
}

type partState uint8

const (
	pending  partState = iota // it surely is not at the SMSC
	taken                     // the SMSC gave an id
	doubtful                  // it may have left, no answer came
	refused                   // for good
)

// note takes an answer down.
func (p *part) note(a session.Answer, v Verdict) {
	p.status, p.verdict = a.Status, v
	switch {
	case a.Nack && !clearNack(a.Status, v):
		p.state, p.err = doubtful, fmt.Errorf("the SMSC answers generic_nack %v", a.Status)
	case a.Status == wire.ESMEOK:
		p.state, p.messageID = taken, a.MessageID
	case v.Retry == RetryNever:
		p.state = refused
	default:
		p.err = fmt.Errorf("the SMSC answers %v", a.Status)
	}
}

// clearNack tells whether a generic_nack leaves no doubt that the message was not
// taken: its header was not understood (SMPP 3.4 §4.3.1), or it came too fast. What
// other SMSC software means by one, nobody knows.
func clearNack(s wire.Status, v Verdict) bool {
	return v.Retry == RetrySlower || s == wire.ESMEInvMsgLen || s == wire.ESMEInvCmdLen || s == wire.ESMEInvCmdID
}

// notSent tells a part that can be sent another time from one that never can:
// the message itself breaks a rule of the protocol.
func (p *part) notSent() {
	var fault *wire.FieldError
	if errors.As(p.err, &fault) {
		p.state, p.status, p.verdict = refused, fault.Status, Verdict{Refusal: RefusedFailed}
	}
}

func (f *flight) count(state partState) (n int) {
	for i := range f.parts {
		if f.parts[i].state == state {
			n++
		}
	}
	return n
}

// tooLate tells whether time ran out for a part.
func (f *flight) tooLate() bool {
	return slices.ContainsFunc(f.parts, func(p part) bool { return p.state == pending && errors.Is(p.err, errTooLate) })
}

// whyPending returns the cause, for metrics, of the first part that is not at the SMSC.
func (f *flight) whyPending() string {
	for i := range f.parts {
		p := &f.parts[i]
		switch {
		case p.state != pending || p.err == nil:
			continue
		case p.verdict.Retry == RetrySlower:
			return causeThrottled
		case p.verdict.Retry == RetryElsewhere:
			return causeTemporary
		case p.verdict.Retry == RetryRebind:
			return causeRebind
		case errors.Is(p.err, errRate):
			return causeRate
		}
		break
	}
	return causeNotSent
}

// result sums the parts up.
func (f *flight) result() Result {
	r := Result{SMSC: f.bind.smsc.Name, Bind: f.bind.name, Total: len(f.parts)}
	for i := range f.parts {
		p := &f.parts[i]
		if p.state == taken || p.state == doubtful {
			r.Parts = append(r.Parts, Part{Index: i, MessageID: p.messageID, Reference: p.userRef, Taken: p.state == taken})
		}
		if p.status != wire.ESMEOK {
			r.Status = p.status
		}
		if p.state == refused && r.Refusal == RefusedNot {
			r.Refusal = p.verdict.Refusal
		}
		if r.Err == nil {
			r.Err = p.err
		}
	}
	switch {
	case r.Refusal != RefusedNot:
		r.Outcome = handover.Refused
	case f.count(doubtful) > 0:
		r.Outcome = handover.Unknown
	case f.count(taken) == len(f.parts):
		r.Outcome = handover.Accepted
	case f.count(taken) > 0:
		r.Outcome, r.Refusal = handover.Refused, RefusedIncomplete
	}
	return r
}
