package session

import (
	"context"
	"time"

	"straks/smpp/wire"
)

// idleGrace is how long an SMSC that unbinds may still answer pending submits before
// unbind_resp closes the session. Before an unbind of our own, it is how long we wait for
// a moment without an unanswered delivery.
const idleGrace = time.Second

// Unbind ends the session in good order: no new submits, wait for the responses of those
// pending, unbind, unbind_resp, close. Deliveries are received and answered
// meanwhile. ctx bounds the wait for responses, UnbindTimeout the rest.
//
// An error means that the wait for responses was cut short. The session has
// ended in any case.
func (s *Session) Unbind(ctx context.Context) error {
	s.mu.Lock()
	s.stopSubmits()
	s.mu.Unlock()
	err := s.waitSubmits(ctx)
	if err == nil {
		s.waitIdle()
		s.mu.Lock()
		s.unbindCause = ErrClosed
		s.mu.Unlock()
		s.call(context.WithoutCancel(ctx), wire.Unbind, nil, s.cfg.UnbindTimeout)
	}
	s.Close()
	return err
}

// unbindFromPeer lets pending submits and deliveries finish, for at most idleGrace, and then
// answers the SMSC's unbind and ends the session. The reader goes on meanwhile.
func (s *Session) unbindFromPeer(seq uint32) {
	s.mu.Lock()
	again := s.unbindCause == ErrUnbound
	s.unbindCause = ErrUnbound
	s.stopSubmits()
	s.mu.Unlock()
	if !again {
		s.goroutines.Go(func() { s.answerUnbind(seq) })
	}
}

func (s *Session) answerUnbind(seq uint32) {
	s.waitIdle()
	s.reply(wire.UnbindResp, wire.ESMEOK, seq, ErrUnbound)
}

// stopSubmits admits no further submit. Under mu.
func (s *Session) stopSubmits() {
	if !isClosed(s.draining) {
		close(s.draining)
	}
	s.checkIdle()
}

// checkIdle closes submitsDone and idle when their time has come. Under mu.
func (s *Session) checkIdle() {
	if s.submits > 0 || !isClosed(s.draining) {
		return
	}
	if !isClosed(s.submitsDone) {
		close(s.submitsDone)
	}
	if s.unanswered == 0 && !isClosed(s.idle) {
		close(s.idle)
	}
}

// waitSubmits waits until every submit has its response or is given up.
func (s *Session) waitSubmits(ctx context.Context) error {
	select {
	case <-s.submitsDone:
		return s.Err()
	case <-s.closing:
		return s.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// waitIdle waits for idle, for at most idleGrace.
func (s *Session) waitIdle() {
	timer := time.NewTimer(idleGrace)
	defer timer.Stop()
	select {
	case <-s.idle:
	case <-timer.C:
	case <-s.closing:
	}
}
