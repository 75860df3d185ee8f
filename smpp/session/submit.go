package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"straks/smpp/wire"
)

// Every error of Submit is exactly one of these two (errors.Is). The cause is wrapped
// beside it.
var (
	// ErrNotSent: not one octet of the message left. It may be sent again, elsewhere too.
	ErrNotSent = errors.New("smpp: not sent")
	// ErrUnknown: the message may have left, and no response came. It must not be sent again.
	ErrUnknown = errors.New("smpp: outcome unknown")
)

// Causes for which a session ended, or does not take a submit.
var (
	ErrClosed     = errors.New("smpp: session closed")             // by Unbind or Close
	ErrUnbound    = errors.New("smpp: the SMSC unbound")           // it sent unbind
	ErrDraining   = errors.New("smpp: session is unbinding")       // no new submits
	ErrDead       = errors.New("smpp: enquire_link timed out")     // no PDU for DeadAfter
	ErrLost       = errors.New("smpp: connection lost")            // closed or broken by the peer or the network
	ErrNoResponse = errors.New("smpp: no response in time")        // ResponseTimeout, BindTimeout or UnbindTimeout
	ErrReceiver   = errors.New("smpp: bound as receiver")          // a receiver may not submit
	errUnreadable = errors.New("smpp: the octets are no SMPP PDU") // from the peer
)

func notSent(cause error) error { return fmt.Errorf("%w: %w", ErrNotSent, cause) }

func unknown(cause error) error { return fmt.Errorf("%w: %w", ErrUnknown, cause) }

// Request is one submit_sm to be sent.
type Request struct {
	// Message must not be touched until Submit has returned, and not after an
	// ErrUnknown either: the writer may still hold it.
	Message *wire.Message
	// Finish, if set, completes the message at the moment when it is
	// written, on the writing goroutine: what depends on the time (validity_period)
	// belongs here. It must not block. Its error keeps the message from being
	// sent, and Submit returns it wrapped in ErrNotSent.
	Finish func(*wire.Message) error
	// Ref is handed to Late and Expired.
	Ref any
}

// Response is the SMSC's response to a submit_sm, whatever its Status.
type Response struct {
	Status    wire.Status
	MessageID string // as the SMSC spells it; may be empty
	TLVs      []wire.TLV
	Nack      bool          // it was a generic_nack
	Took      time.Duration // from when the writer took the submit
}

// Late is a response that arrived after Submit had returned ErrUnknown.
type Late struct {
	Ref any // of the Request
	Response
}

// Submit sends one message and returns the SMSC's response to it. It waits for the
// writer and the response until ctx ends, and for the response no longer than
// ResponseTimeout.
//
// An error is ErrNotSent or ErrUnknown, never both. A fault of the message is
// ErrNotSent with a *wire.FieldError.
func (s *Session) Submit(ctx context.Context, req Request) (Response, error) {
	if s.cfg.Mode == Receiver {
		return Response{}, notSent(ErrReceiver)
	}
	if ctx.Err() != nil {
		return Response{}, notSent(context.Cause(ctx))
	}
	x := &exchange{id: wire.SubmitSM, ctx: ctx, req: req, done: make(chan result, 1)}
	if err := s.enqueue(x); err != nil {
		return Response{}, notSent(err)
	}
	select {
	case res := <-x.done:
		return res.response, res.err
	case <-ctx.Done():
		res := s.abandon(x)
		return res.response, res.err
	}
}

// enqueue queues x for the writer, unless no submit is taken any more.
func (s *Session) enqueue(x *exchange) error {
	s.mu.Lock()
	switch {
	case s.cause != nil:
		defer s.mu.Unlock()
		return s.cause
	case isClosed(s.draining):
		s.mu.Unlock()
		return ErrDraining
	}
	s.queue = append(s.queue, x)
	s.submits++
	s.mu.Unlock()
	s.wakeWriter()
	return nil
}

// abandon ends the caller's wait for x. A submit that is still queued is withdrawn. One that
// the writer has taken stays pending, and its response goes to Late.
func (s *Session) abandon(x *exchange) result {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case res := <-x.done: // it came at the same moment
		return res
	default:
	}
	x.abandoned = true
	if i := slices.Index(s.queue, x); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
		s.settle(x, result{})
		return result{err: notSent(context.Cause(x.ctx))}
	}
	return result{err: unknown(context.Cause(x.ctx))}
}
