package smpp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"straks/internal/handover"
)

var (
	errTooLate  = errors.New("too little of the message's time to live is left")
	errHeldUp   = errors.New("the bind could not write the message before too little time was left for the response")
	errRate     = errors.New("the bind's rate does not allow the message in time")
	errBindLost = errors.New("the bind was lost before its rate allowed the message")
)

// errNotAllowed is why Config.Allow keeps a message from being written.
var errNotAllowed = errors.New("this process may not submit now")

// allowed asks Config.Allow.
func (g *Gateway) allowed() error {
	if g.allow == nil {
		return nil
	}
	if err := g.allow(); err != nil {
		return fmt.Errorf("%w: %w", errNotAllowed, err)
	}
	return nil
}

const (
	// firstPause is how long a message waits after all binds have put it off. It doubles
	// up to lastPause.
	firstPause = 50 * time.Millisecond
	lastPause  = 400 * time.Millisecond
	// responseTime is the last part of the time of ctx, at most a quarter of it, in which no
	// message is started: one that is written at the last
	// moment would end as unknown, although its response is on the way.
	responseTime = 500 * time.Millisecond
)

// Send hands a message over and returns the result, at the latest when ctx ends.
// While the message surely has not left, it is tried on other binds,
// other SMSCs, and again; once it may have left, nowhere else.
func (g *Gateway) Send(ctx context.Context, m Message) Result {
	j, faults := g.newJob(&m)
	if faults != nil {
		return faulty(faults)
	}
	begin, cancel := lastBegin(ctx)
	defer cancel()
	r := j.run(ctx, begin)
	for next := j.moved(begin, r); next != nil; next = j.moved(begin, r) {
		j = next
		r = j.run(ctx, begin)
	}
	if c := j.at(r.SMSC); c != nil {
		c.metrics.sends[r.Outcome].Inc()
	}
	return r
}

// lastBegin returns the context for everything before the write.
func lastBegin(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-min(responseTime, time.Until(deadline)/4)))
}

// job is one message being sent. Only the goroutine of Send uses it.
type job struct {
	g      *Gateway
	setup  *setup
	m      *Message
	order  []*smsc  // those that can carry the message, in the order in which they are tried
	builds []*build // one for each of them
	last   Result   // of the last attempt

	tried    []*bind // since the last pause
	heldBack int     // of those, the ones whose rate did not allow it: if all did not, waiting is of no use
	rounds   int     // pauses so far
}

// newJob builds the message for every SMSC of its route. Faults mean that no SMSC
// can carry it.
func (g *Gateway) newJob(m *Message) (*job, []Fault) {
	now := g.setup.Load()
	r := now.routeOf(m)
	if r == nil {
		return nil, noRoute
	}
	j := &job{g: g, setup: now, m: m}
	var first []Fault
	ref := uint16(g.refs.Add(1))
	for _, c := range r.order() {
		b, faults := c.build(m, r.senderFor(m, c), ref)
		if faults == nil {
			j.order, j.builds = append(j.order, c), append(j.builds, b)
		} else if first == nil {
			first = faults
		}
	}
	if len(j.order) > 0 {
		return j, nil
	}
	return nil, first
}

// faulty is the result for a message that Check would have refused.
func faulty(faults []Fault) Result {
	refusals := map[Field]Refusal{
		FieldRecipient: RefusedInvalidRecipient, FieldSender: RefusedInvalidSender, FieldBody: RefusedRejected,
	}
	return Result{
		Outcome: handover.Refused, Refusal: refusals[faults[0].Field],
		Err: fmt.Errorf("%s: %s", faults[0].Field, faults[0].Message),
	}
}

// run makes attempts until one settles the message or begin ends.
func (j *job) run(ctx, begin context.Context) Result {
	for {
		slot, err := j.g.slots.acquire(begin, want{order: j.order, avoid: j.tried, pause: j.pause()})
		if errors.Is(err, errAllTried) && begin.Err() == nil && j.heldBack < len(j.tried) {
			j.tried, j.heldBack, j.rounds = nil, 0, j.rounds+1
			continue
		}
		if err != nil {
			j.g.countSilence(err)
			return j.notSent(err)
		}
		a := j.newAttempt(slot)
		r, settled := a.run(ctx, begin)
		if settled {
			return r
		}
		j.last, j.tried = r, append(j.tried, a.bind)
		if a.cause == causeRate {
			j.heldBack++
		}
		a.bind.smsc.metrics.retries[a.cause].Inc()
	}
}

// pause returns how long to wait for an untried bind before the
// tried ones are tried again; 0 if none was tried.
func (j *job) pause() time.Duration {
	if len(j.tried) == 0 {
		return 0
	}
	pause := min(firstPause<<min(j.rounds, 10), lastPause)
	return pause/2 + rand.N(pause)
}

// notSent is the result when there is no time for another attempt. The error of the last
// attempt says more than the reason for which the wait after it ended.
func (j *job) notSent(why error) Result {
	r := j.last
	r.Outcome = handover.NotSent
	if r.Err == nil {
		r.Err = why
	}
	return r
}

func (j *job) at(name string) *smsc {
	for _, c := range j.order {
		if c.Name == name {
			return c
		}
	}
	return nil
}

func (j *job) buildFor(c *smsc) *build {
	for i := range j.order {
		if j.order[i] == c {
			return j.builds[i]
		}
	}
	return nil
}
