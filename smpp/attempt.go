package smpp

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"straks/smpp/session"
	"straks/smpp/wire"
)

// attempt is the submission of all parts of a message on one bind.
//
// Parts are written in order, each as soon as the previous one is written, not
// answered. While the SMSC has no part, and may have none, the attempt can be given
// up and the message go elsewhere. From then on it stays on this bind: a
// part that the SMSC put off is tried here again, until it is accepted, refused for
// good or too late.
type attempt struct {
	job   *job
	build *build
	bind  *bind
	slot  *slot // for the first part, then nil
	parts []part

	started  bool // the bind's rate has let it start
	promised int  // tokens of that rate, for the other parts

	ready   time.Time    // when the first part had its slot and its token
	written atomic.Int64 // when the first submit_sm was written: ns after ready; 0 before

	cause string      // for which another round or attempt is due
	halt  atomic.Bool // in this round a part was refused or put off, or could not be written
}

func (j *job) newAttempt(slot *slot) *attempt {
	b := j.buildFor(slot.bind.smsc)
	a := &attempt{job: j, build: b, bind: slot.bind, slot: slot, parts: make([]part, len(b.parts))}
	for i := range a.parts {
		a.parts[i].userRef = j.m.Reference + uint16(i)
	}
	return a
}

// run submits the parts. settled is false if the SMSC surely has nothing of the message,
// and another bind may try it.
func (a *attempt) run(ctx, begin context.Context) (r Result, settled bool) {
	for round := 0; ; round++ {
		a.round(ctx, begin)
		a.cause = a.pendingCause()
		switch {
		case a.count(refused) > 0 || a.count(pending) == 0:
			return a.result(), true
		case a.count(pending) == len(a.parts):
			return a.result(), a.tooLate()
		case a.tooLate() || !a.wait(begin, round):
			return a.result(), true
		}
		a.bind.smsc.metrics.retries[a.cause].Inc()
	}
}

// round submits, in order, every pending part, and returns when
// each has its response or none will come. When a part is known to be put off or refused before the
// next is written, the others are held back: the reason may hold for all of them.
func (a *attempt) round(ctx, begin context.Context) {
	if len(a.parts) == 1 {
		a.single(ctx, begin)
		return
	}
	var responses sync.WaitGroup
	defer responses.Wait()
	defer a.forgo()
	a.halt.Store(false)
	going, stop := context.WithCancel(begin) // a part that is held back waits for nothing more
	defer stop()
	for _, i := range a.pending() {
		slot, ok := a.next(going, i)
		if !ok {
			return
		}
		over := make(chan struct{}, 2) // the part was written, or never will be
		responses.Go(func() {
			a.submit(ctx, begin, i, slot, func() { over <- struct{}{} })
			if a.halt.Load() {
				stop()
			}
			over <- struct{}{}
		})
		<-over
	}
}

// single is the round of a message of one part.
func (a *attempt) single(ctx, begin context.Context) {
	slot, err := a.acquire(begin)
	if err != nil {
		a.parts[0].err = err
		return
	}
	a.submit(ctx, begin, 0, slot, func() {})
}

// next acquires a slot for a part, unless it is held back.
func (a *attempt) next(going context.Context, i int) (slot *slot, ok bool) {
	slot, err := a.acquire(going)
	if a.halt.Load() {
		if err == nil {
			a.job.g.slots.release(slot, unused)
		}
		return nil, false
	}
	a.parts[i].err = err
	return slot, err == nil
}

// forgo gives back the tokens of parts that don't go after all.
func (a *attempt) forgo() {
	if a.promised > 0 {
		a.bind.pacer.forgo(a.promised)
		a.promised = 0
	}
}

// pending returns the indexes of the parts that are not at the SMSC.
func (a *attempt) pending() (indexes []int) {
	for i := range a.parts {
		if a.parts[i].state == pending {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// acquire returns a slot of this bind, with a token of its rate: the first time the slot
// that the attempt was made with. It waits while the window is full, the rate holds the
// part back, or the bind is being bound again.
func (a *attempt) acquire(begin context.Context) (s *slot, err error) {
	slots := &a.job.g.slots
	if s, a.slot = a.slot, nil; s == nil {
		s, err = slots.acquire(begin, want{order: []*smsc{a.bind.smsc}, avoid: a.bind.smsc.others(a.bind), started: true})
		if err != nil {
			return nil, err
		}
	}
	if err = a.pace(begin); err != nil {
		slots.release(s, unused)
		return nil, err
	}
	if a.ready.IsZero() {
		a.ready = time.Now()
	}
	return s, nil
}

// pace waits for a token of the bind's rate.
func (a *attempt) pace(begin context.Context) error {
	pacer := a.bind.pacer
	switch {
	case a.promised > 0:
		a.promised--
		return pacer.follow(begin, true)
	case a.started:
		return pacer.follow(begin, false)
	}
	err := pacer.begin(begin, len(a.parts))
	if a.started = err == nil; a.started {
		a.promised = len(a.parts) - 1
	}
	return err
}

// wait pauses before the parts that are left are tried again. False means that time is up.
func (a *attempt) wait(begin context.Context, round int) bool {
	sleep(begin, min(firstPause<<min(round, 10), lastPause))
	return begin.Err() == nil
}

// submit submits one part and records its state. written is called when the part is
// written, if it is. That is not after begin has ended, however long the
// writer is held up.
func (a *attempt) submit(ctx, begin context.Context, i int, s *slot, written func()) {
	p, g := &a.parts[i], a.job.g
	s.message, s.index, s.total, s.userRef = a.job.m.ID, i, len(a.parts), p.userRef
	response, err := s.session.Submit(ctx, session.Request{
		Message: a.build.part(a.bind.smsc, i, p.userRef),
		Finish: func(m *wire.Message) error {
			if begin.Err() != nil {
				return errHeldUp
			}
			now := time.Now()
			if err := a.build.finish(a.bind.smsc, m, now); err != nil {
				return err
			}
			if err := g.allowed(); err != nil { // last, so that no time passes between it and the write
				return err
			}
			a.written.CompareAndSwap(0, max(now.Sub(a.ready).Nanoseconds(), 1))
			g.slots.written(s, now)
			written()
			return nil
		},
		Ref: s,
	})
	p.err = err
	switch {
	case err == nil:
		p.record(response, a.bind.smsc.classify(response.Status))
		a.bind.responded(response)
		if p.state == pending || p.state == refused {
			a.halt.Store(true) // before the next part can have this slot
		}
		g.slots.release(s, answered)
	case errors.Is(err, session.ErrNotSent):
		p.notSent()
		a.halt.Store(true)
		g.slots.release(s, unused)
	case errors.Is(err, session.ErrNoResponse):
		g.slots.release(s, unanswered)
		p.state = doubtful
	default: // late or expired releases the slot, or the end of the session
		p.state = doubtful
	}
}

// responded gives the bind's rate the load that the SMSC reports, and has the bind bound
// again if its session is of no use.
func (b *bind) responded(r session.Response) {
	load := 0.0
	if state, ok := wire.Lookup(r.TLVs, wire.TagCongestionState); ok && len(state) == 1 {
		load = loadOf(state[0])
	}
	switch b.smsc.classify(r.Status).Retry {
	case RetrySlower:
		load = 1
	case RetryRebind:
		select {
		case b.rebind <- struct{}{}:
		default:
		}
	}
	b.pacer.answered(time.Now(), load)
}
