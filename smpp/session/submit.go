package session

import (
	"context"
	"slices"
	"time"

	"straks/smpp/wire"
)

// Request is one submit_sm to be sent.
type Request struct {
	// Message must not be touched until Submit has returned, and not after an
	// ErrUnknown either: the writer may still hold it.
	Message *wire.Message
	// Finish, where given, completes the message in the moment in which it is
	// written, on the writing goroutine: what depends on the time (validity_period)
	// belongs here. It must not block. Its error keeps the message from being
	// sent, and Submit returns it wrapped in ErrNotSent.
	Finish func(*wire.Message) error
	// Ref is handed to Late if the answer comes too late for Submit to return it.
	Ref any
}

// Answer is what the SMSC said to a submit_sm. Any Status is an answer.
type Answer struct {
	Status    wire.Status
	MessageID string // as the SMSC spells it; may be empty
	TLVs      []wire.TLV
	Nack      bool          // it was a generic_nack
	Took      time.Duration // from the writer's taking it to the answer
}

// Late is an answer that came when Submit had already returned ErrUnknown.
type Late struct {
	Ref any // of the Request
	Answer
}

// Submit sends one message and returns the SMSC's answer to it. It waits for a
// free slot of the window, for the writer and for the answer, each no longer
// than ctx allows, and for the answer no longer than ResponseTimeout.
//
// An error is ErrNotSent or ErrUnknown, never both; a fault of the message is
// ErrNotSent with a *wire.FieldError.
func (s *Session) Submit(ctx context.Context, req Request) (Answer, error) {
	if s.cfg.Mode == Receiver {
		return Answer{}, notSent(ErrReceiver)
	}
	if err := s.acquire(ctx); err != nil {
		return Answer{}, notSent(err)
	}
	x := &exchange{id: wire.SubmitSM, ctx: ctx, req: req, slot: true, done: make(chan result, 1)}
	s.submit(x)
	select {
	case res := <-x.done:
		return res.answer, res.err
	case <-ctx.Done():
		res := s.abandon(x)
		return res.answer, res.err
	}
}

// acquire takes a slot of the window.
func (s *Session) acquire(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	select {
	case s.window <- struct{}{}:
		return nil
	case <-s.drain:
		return s.unavailable()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// unavailable says why no submit is taken any more.
func (s *Session) unavailable() error {
	if err := s.Err(); err != nil {
		return err
	}
	return ErrDraining
}

// submit queues x for the writer. The queue is no longer than the window.
func (s *Session) submit(x *exchange) {
	s.mu.Lock()
	switch {
	case s.cause != nil:
		s.settle(x, result{err: notSent(s.cause)})
	case s.draining:
		s.settle(x, result{err: notSent(ErrDraining)})
	default:
		s.queue = append(s.queue, x)
	}
	s.mu.Unlock()
	s.nudge()
}

// abandon ends the caller's wait for x: still in the queue it is withdrawn; with
// the writer or on the wire it stays pending, and its answer goes to Late.
func (s *Session) abandon(x *exchange) result {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case res := <-x.done: // it came in the same moment
		return res
	default:
	}
	x.abandoned = true
	if i := slices.Index(s.queue, x); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
		s.free(x)
		return result{err: notSent(context.Cause(x.ctx))}
	}
	return result{err: unknown(context.Cause(x.ctx))}
}
