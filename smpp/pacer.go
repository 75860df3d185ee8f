package smpp

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// pacer hands out the tokens of a bind's rate: first to parts of messages that are begun, then to who
// came first. A message is let in only where the rate has tokens for all of its parts in time, after
// those that others are promised: none is begun that time would run out for, if the rate stays
// what it is.
//
// Safe for concurrent use.
type pacer struct {
	mu       sync.Mutex
	rate     *rate
	promised int       // tokens that somebody waits for, or will for his next part
	begun    list.List // of *taker: for messages that were let in
	fresh    list.List // and for those whose first token it is
	armed    bool      // serve will be called
}

// taker waits for a token.
type taker struct {
	woken chan struct{} // closed when it is granted, or will never be
	err   error         // in the latter case
}

func newPacer(ceiling float64) *pacer { return &pacer{rate: newRate(ceiling)} }

// wait returns how long a submit that comes now would wait for its token.
func (p *pacer) wait(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.backlog(now)
}

func (p *pacer) backlog(now time.Time) time.Duration {
	return p.rate.wait(now) + p.rate.spread(p.promised)
}

// waiting returns how many wait for a token, and when the last was spent.
func (p *pacer) waiting() (n int, spent time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun.Len() + p.fresh.Len(), p.rate.spent
}

// answered notes one answer; see rate.answered.
func (p *pacer) answered(now time.Time, load float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate.answered(now, load)
}

// current returns the limit in submits per second; 0 means that there is none.
func (p *pacer) current(now time.Time) float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate.current(now)
}

// begin waits for the first token of a message of so many parts, and has the others promised. It
// fails with errRate, at once if they would not be good before ctx ends.
func (p *pacer) begin(ctx context.Context, parts int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.rate.grow(now)
	if deadline, ok := ctx.Deadline(); ok && now.Add(p.last(now, parts)).After(deadline) {
		return errRate
	}
	p.promised += parts
	err := p.take(ctx, &p.fresh, now)
	if err != nil {
		p.promised -= parts - 1
	}
	return err
}

// last returns in what time the last of so many parts should have gone.
func (p *pacer) last(now time.Time, parts int) time.Duration {
	d := p.backlog(now) + p.rate.spread(parts-1)
	if parts > 1 {
		d += d / 8 // each has to find a place, too
	}
	return d
}

// follow waits for one of the tokens that were promised.
func (p *pacer) follow(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.take(ctx, &p.begun, time.Now())
}

// again waits for one more token, for a part that was put off.
func (p *pacer) again(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.promised++
	return p.take(ctx, &p.begun, time.Now())
}

// forgo gives up tokens that were promised.
func (p *pacer) forgo(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.promised -= n
}

// take takes a promised token, for which it waits in the queue if need be. It is called, and
// returns, with mu locked; the promise is kept or gone then.
func (p *pacer) take(ctx context.Context, queue *list.List, now time.Time) error {
	p.rate.grow(now)
	switch {
	case ctx.Err() != nil:
		p.promised--
		return errRate
	case p.begun.Len()+p.fresh.Len() == 0 && p.rate.wait(now) == 0: // as nearly always
		p.promised--
		p.rate.spend(now, false)
		return nil
	}
	w := taker{woken: make(chan struct{})}
	at := queue.PushBack(&w)
	p.arm(now)
	p.mu.Unlock()
	select {
	case <-w.woken:
	case <-ctx.Done():
	}
	p.mu.Lock()
	select {
	case <-w.woken:
	default:
		queue.Remove(at)
		p.promised--
	}
	if ctx.Err() != nil {
		return errRate
	}
	return w.err
}

// wake takes the first out of a queue.
func (p *pacer) wake(queue *list.List, err error) {
	w := queue.Remove(queue.Front()).(*taker)
	p.promised--
	w.err = err
	close(w.woken)
}

// dismiss sends away who waits, since the bind is lost: what they would send could not be written, and
// their tokens would be lost to who comes when it is back.
func (p *pacer) dismiss() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, queue := range []*list.List{&p.begun, &p.fresh} {
		for queue.Len() > 0 {
			p.wake(queue, errBindLost)
		}
	}
}

// arm has those who wait served when the next token is good.
func (p *pacer) arm(now time.Time) {
	if !p.armed {
		p.armed = true
		time.AfterFunc(p.rate.wait(now), p.serve)
	}
}

// serve grants what tokens there are to those who wait.
func (p *pacer) serve() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
	now := time.Now()
	p.rate.grow(now)
	for {
		queue := &p.begun
		if queue.Len() == 0 {
			queue = &p.fresh
		}
		if queue.Len() == 0 {
			return
		}
		if p.rate.wait(now) > 0 {
			p.arm(now)
			return
		}
		p.rate.spend(now, true)
		p.wake(queue, nil)
	}
}
