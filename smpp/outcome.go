package smpp

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"straks/internal/handover"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// part is one part of a message. The goroutine that submits it owns it until
// the round is over.
type part struct {
	state       partState
	messageID   string
	userRef     uint16
	status      wire.Status
	disposition Disposition // of status
	err         error       // for pending after an attempt, and for doubtful
}

type partState uint8

const (
	pending  partState = iota // it surely is not at the SMSC
	taken                     // the SMSC accepted it
	doubtful                  // it may have left, no response came
	refused                   // for good
)

// record sets the state that follows from a response.
func (p *part) record(r session.Response, d Disposition) {
	p.status, p.disposition = r.Status, d
	switch {
	case r.Nack && !clearNack(r.Status, d):
		p.state, p.err = doubtful, fmt.Errorf("the SMSC responds with generic_nack %v", r.Status)
	case r.Status == wire.ESMEOK:
		p.state, p.messageID = taken, r.MessageID
	case d.Retry == RetryNever:
		p.state = refused
	default:
		p.err = fmt.Errorf("the SMSC responds with %v", r.Status)
	}
}

// clearNack reports whether a generic_nack leaves no doubt that the message was not
// accepted: its header was not understood (SMPP 3.4 §4.3.1), or it came too fast. The
// meaning of any other generic_nack depends on the SMSC's software.
func clearNack(s wire.Status, d Disposition) bool {
	return d.Retry == RetrySlower || s == wire.ESMEInvMsgLen || s == wire.ESMEInvCmdLen || s == wire.ESMEInvCmdID
}

// notSent refuses a part that can never be sent, since the message itself breaks a rule
// of the protocol. Any other part stays pending.
func (p *part) notSent() {
	var fault *wire.FieldError
	if errors.As(p.err, &fault) {
		p.state, p.status, p.disposition = refused, fault.Status, Disposition{Refusal: RefusedFailed}
	}
}

func (a *attempt) count(state partState) (n int) {
	for i := range a.parts {
		if a.parts[i].state == state {
			n++
		}
	}
	return n
}

// tooLate reports whether time ran out for a part.
func (a *attempt) tooLate() bool {
	return slices.ContainsFunc(a.parts, func(p part) bool { return p.state == pending && errors.Is(p.err, errTooLate) })
}

// pendingCause returns the cause, for metrics, of the first part that is not at the SMSC.
func (a *attempt) pendingCause() string {
	for i := range a.parts {
		p := &a.parts[i]
		switch {
		case p.state != pending || p.err == nil:
			continue
		case p.disposition.Retry == RetrySlower:
			return causeThrottled
		case p.disposition.Retry == RetryElsewhere:
			return causeTemporary
		case p.disposition.Retry == RetryRebind:
			return causeRebind
		case errors.Is(p.err, errRate):
			return causeRate
		case errors.Is(p.err, errNotAllowed):
			return causeNotAllowed
		}
		break
	}
	return causeNotSent
}

// result derives the outcome of the message from the states of its parts.
func (a *attempt) result() Result {
	r := Result{SMSC: a.bind.smsc.Name, Bind: a.bind.name, Total: len(a.parts), Segments: a.build.segments, Times: a.times(), Encoding: a.build.encoding.String()}
	for i := range a.parts {
		p := &a.parts[i]
		if p.state == taken || p.state == doubtful {
			r.Parts = append(r.Parts, Part{Index: i, MessageID: p.messageID, Reference: p.userRef, Taken: p.state == taken})
		}
		if p.status != wire.ESMEOK {
			r.Status = p.status
		}
		if p.state == refused && r.Refusal == RefusedNot {
			r.Refusal = p.disposition.Refusal
		}
		if r.Err == nil {
			r.Err = p.err
		}
	}
	switch {
	case r.Refusal != RefusedNot:
		r.Outcome = handover.Refused
	case a.count(doubtful) > 0:
		r.Outcome = handover.Unknown
	case a.count(taken) == len(a.parts):
		r.Outcome = handover.Accepted
	case a.count(taken) > 0:
		r.Outcome, r.Refusal = handover.Refused, RefusedIncomplete
	}
	return r
}

// times returns the times of the attempt; it is called when the last response has just come.
func (a *attempt) times() Times {
	t := Times{Slot: a.ready}
	if ns := a.written.Load(); ns > 0 {
		t.Written = a.ready.Add(time.Duration(ns))
		if a.count(doubtful) == 0 {
			t.Answered = time.Now()
		}
	}
	return t
}

// late handles a response that arrived after Send had returned. It runs on the
// session's reading goroutine.
func (m *maintainer) late(l session.Late) {
	s := l.Ref.(*slot)
	m.g.slots.release(s, answered)
	m.responded(l.Response)
	m.smsc.metrics.oddities[oddLate].Inc()
	m.countResponse(l.Took, l.Status)
	d := m.smsc.classify(l.Status)
	if l.Nack && !clearNack(l.Status, d) {
		return // the outcome stays unknown
	}
	r := LateResponse{
		Message: s.message, SMSC: m.smsc.Name, Index: s.index, Total: s.total,
		MessageID: l.MessageID, Reference: s.userRef, Status: l.Status,
	}
	if l.Status != wire.ESMEOK {
		if r.Refusal = d.Refusal; r.Refusal == RefusedNot {
			r.Refusal = RefusedFailed // "not now" is final, now that the message is not sent again
		}
	}
	m.handler.Late(r)
}

// expired releases the slot of a submit that passed ResponseTimeout after Send had returned.
func (m *maintainer) expired(ref any) { m.g.slots.release(ref.(*slot), unanswered) }
