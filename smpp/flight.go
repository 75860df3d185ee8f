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

	begun    bool // the bind's rate has let it in
	promised int  // tokens of that rate, for the other parts

	cause string      // why another attempt is due
	halt  atomic.Bool // in this round the SMSC said no to a part, or it could not be written
}

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
// each has its answer or none will come. A "no" to one that is known before the
// next is written holds the others back: it may be for all of them.
func (f *flight) round(ctx, begin context.Context) {
	if len(f.parts) == 1 {
		f.alone(ctx, begin)
		return
	}
	var answers sync.WaitGroup
	defer answers.Wait()
	defer f.forgo()
	f.halt.Store(false)
	going, stop := context.WithCancel(begin) // who is held back waits for nothing more
	defer stop()
	for _, i := range f.pending() {
		l, ok := f.next(going, i)
		if !ok {
			return
		}
		over := make(chan struct{}, 2) // it was written, or never will be
		answers.Go(func() {
			f.submit(ctx, begin, i, l, func() { over <- struct{}{} })
			if f.halt.Load() {
				stop()
			}
			over <- struct{}{}
		})
		<-over
	}
}

// alone is the round of a message that is its only part.
func (f *flight) alone(ctx, begin context.Context) {
	l, err := f.takeLease(begin)
	if err != nil {
		f.parts[0].err = err
		return
	}
	f.submit(ctx, begin, 0, l, func() {})
}

// next takes a place for a part, unless it is held back.
func (f *flight) next(going context.Context, i int) (l lease, ok bool) {
	l, err := f.takeLease(going)
	if f.halt.Load() {
		if err == nil {
			f.job.g.slots.release(l, unused)
		}
		return lease{}, false
	}
	f.parts[i].err = err
	return l, err == nil
}

// forgo gives back the tokens of parts that don't go after all.
func (f *flight) forgo() {
	if f.promised > 0 {
		f.bind.pacer.forgo(f.promised)
		f.promised = 0
	}
}

// pending returns the indexes of the parts that are not at the SMSC.
func (f *flight) pending() (indexes []int) {
	for i := range f.parts {
		if f.parts[i].state == pending {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// takeLease returns a place on this bind: the first time the one that the flight
// came with. It waits while the bind is full, held back by its rate, or being bound anew.
func (f *flight) takeLease(begin context.Context) (l lease, err error) {
	slots := &f.job.g.slots
	l, f.lease = f.lease, lease{}
	if l.bind == nil {
		if l, err = slots.acquire(begin, search{order: []*smsc{f.bind.smsc}, avoid: f.bind.smsc.others(f.bind), begun: true}); err != nil {
			return lease{}, err
		}
	}
	if err = f.pace(begin); err != nil {
		slots.release(l, unused)
		return lease{}, err
	}
	return l, nil
}

// pace waits until the bind's rate lets the next part through.
func (f *flight) pace(begin context.Context) error {
	pacer := f.bind.pacer
	switch {
	case f.promised > 0:
		f.promised--
		return pacer.follow(begin)
	case f.begun:
		return pacer.again(begin)
	}
	err := pacer.begin(begin, len(f.parts))
	if f.begun = err == nil; f.begun {
		f.promised = len(f.parts) - 1
	}
	return err
}

// wait lets some time pass before the parts that are left are tried again.
func (f *flight) wait(begin context.Context, round int) bool {
	sleep(begin, min(firstPause<<min(round, 10), lastPause))
	return begin.Err() == nil
}

// submit submits one part and notes what became of it. written is called in the
// moment in which it is written, if it is; that is not after begin has ended, though the
// writer may be held up for so long.
func (f *flight) submit(ctx, begin context.Context, i int, l lease, written func()) {
	p, g, began := &f.parts[i], f.job.g, time.Now()
	t := &ticket{lease: l, message: f.job.m.ID, index: i, total: len(f.parts), userRef: p.userRef}
	answer, err := l.session.Submit(ctx, session.Request{
		Message: f.build.part(f.bind.smsc, i, p.userRef),
		Finish: func(m *wire.Message) error {
			if begin.Err() != nil {
				return errHeldUp
			}
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
		p.note(answer, f.bind.smsc.verdict(answer.Status))
		f.bind.answered(answer)
		if p.state == pending || p.state == refused {
			f.halt.Store(true) // before the next part can have this place
		}
		t.release(g, answered)
	case errors.Is(err, session.ErrNotSent):
		p.notSent()
		f.halt.Store(true)
		t.release(g, unused)
	case errors.Is(err, session.ErrNoAnswer): // the session has given its place away
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

// answered tells the bind's rate how the SMSC feels.
func (b *binding) answered(a session.Answer) {
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
	b.pacer.answered(time.Now(), load)
}
