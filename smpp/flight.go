package smpp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"straks/internal/handover"
	"straks/smpp/wire"
)

// flight is one attempt: all parts of a message on one bind.
//
// Parts are written in order, each as soon as the one before it is written, not
// answered. While no part was taken or may have been, the attempt can be given
// up and the message go elsewhere. From then on it stays on this bind: a
// part that the SMSC put off is tried here again, until it is taken, refused for
// good or too late.
type flight struct {
	job   *job
	build *build
	bind  *binding
	lease lease // for the first part
	parts []part
	cause string // why another attempt is due
}

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

func (j *job) newFlight(l lease) *flight {
	b := j.buildFor(l.bind.smsc)
	f := &flight{job: j, build: b, bind: l.bind, lease: l, parts: make([]part, len(b.parts))}
	last := j.g.userRefs.Add(uint32(len(f.parts)))
	for i := range f.parts {
		f.parts[i].userRef = uint16(last - uint32(len(f.parts)-1-i))
	}
	return f
}

// run submits the parts. settled is false if nothing of the message is or may
// be at the SMSC and another bind may try it.
func (f *flight) run(ctx, begin context.Context) (r Result, settled bool) {
	for round := 0; ; round++ {
		f.round(ctx, begin)
		f.cause = f.whyPending()
		switch {
		case f.count(refused) > 0 || f.count(pending) == 0:
			return f.result(), true
		case f.count(pending) == len(f.parts):
			return f.result(), f.tooLate()
		case f.tooLate() || !f.wait(begin, round):
			return f.result(), true
		}
		f.bind.smsc.metrics.retries[f.cause].Inc()
	}
}

// round submits, in order, every part that is not at the SMSC, and returns when
// each has its answer or none will come. It stops at the first that isn't written.
func (f *flight) round(ctx, begin context.Context) {
	var answers sync.WaitGroup
	defer answers.Wait()
	for i := range f.parts {
		p := &f.parts[i]
		if p.state != pending {
			continue
		}
		l, err := f.takeLease(begin)
		if err != nil {
			p.err = err
			return
		}
		if len(f.parts) == 1 {
			f.submit(ctx, i, l, func() {})
			return
		}
		written := make(chan bool, 2) // true: it was; false: it is over
		answers.Go(func() {
			f.submit(ctx, i, l, func() { written <- true })
			written <- false
		})
		if !<-written {
			return
		}
	}
}

// takeLease returns a place on this bind: the first time the one that the flight
// came with. It waits while the bind is full, held back by its rate, or
// being bound anew.
func (f *flight) takeLease(begin context.Context) (lease, error) {
	l := f.lease
	f.lease = lease{}
	if l.bind == nil {
		var err error
		slots := &f.job.g.slots
		if l, err = slots.acquire(begin, []*smsc{f.bind.smsc}, f.bind.smsc.others(f.bind), 0); err != nil {
			return lease{}, err
		}
	}
	if err := f.pace(begin); err != nil {
		f.job.g.slots.release(l, unused)
		return lease{}, err
	}
	return l, nil
}

// pace waits until the bind's rate lets a submit through.
func (f *flight) pace(begin context.Context) error {
	most := time.Hour
	if deadline, ok := begin.Deadline(); ok {
		most = time.Until(deadline)
	}
	wait, ok := f.bind.rate.take(time.Now(), most)
	if !ok {
		return errRate
	}
	if sleep(begin, wait); begin.Err() != nil {
		return errRate
	}
	return nil
}

// wait lets some time pass before the parts that are left are tried again.
func (f *flight) wait(begin context.Context, round int) bool {
	sleep(begin, min(firstPause<<min(round, 10), lastPause))
	return begin.Err() == nil
}

// submit submits one part and notes what became of it. written is called in the
// moment in which it is written, if it is.
func (f *flight) submit(ctx context.Context, i int, l lease, written func()) {
	p, g, began := &f.parts[i], f.job.g, time.Now()
	t := &ticket{lease: l, message: f.job.m.ID, index: i, total: len(f.parts), userRef: p.userRef}
	answer, err := l.session.Submit(ctx, Request{
		Message: f.build.part(f.bind.smsc, i, p.userRef),
		Finish: func(m *wire.Message) error {
			if err := f.build.finish(f.bind.smsc, m, time.Now()); err != nil {
				return err
			}
			written()
			return nil
		},
		Ref: t,
	})
	p.err = err
	switch {
	case err == nil:
		t.release(g, answered)
		f.bind.answered(answer)
		p.note(answer, f.bind.smsc.verdict(answer.Status))
	case errors.Is(err, ErrNotSent):
		t.release(g, unused)
		p.notSent()
	case errors.Is(err, ErrNoAnswer): // the session has given its place away
		t.release(g, unanswered)
		p.state = doubtful
	default:
		// The session keeps the place until the answer comes, which is told to late,
		// or until it is given up.
		givenUp := began.Add(f.bind.smsc.ResponseTimeout * 9 / 8)
		time.AfterFunc(time.Until(givenUp), func() { t.release(g, unanswered) })
		p.state = doubtful
	}
}

// note takes an answer down.
func (p *part) note(a Answer, v Verdict) {
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

// answered tells the bind's rate how the SMSC feels.
func (b *binding) answered(a Answer) {
	load := 0.0
	if state, ok := wire.Lookup(a.TLVs, wire.TagCongestionState); ok && len(state) == 1 {
		load = loadOf(state[0])
	}
	switch b.smsc.verdict(a.Status).Retry {
	case RetrySlower:
		load = 1
	case RetryRebind:
		select {
		case b.again <- struct{}{}:
		default:
		}
	}
	b.rate.answered(time.Now(), load)
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
