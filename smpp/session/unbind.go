package session

import (
	"context"
	"time"

	"straks/smpp/wire"
)

// leaveGrace is how long an SMSC that unbinds may still answer what is in
// flight before unbind_resp closes the session, and how long we look for a
// moment without an unanswered delivery before we unbind ourselves.
const leaveGrace = time.Second

// Unbind ends the session in good order: no new submits, the answers of those in
// flight awaited, unbind, unbind_resp, close. Deliveries are taken and answered
// all the while. ctx bounds the wait for the window, UnbindTimeout the rest.
//
// An error tells that the wait for the window was cut short. The session has
// ended in any case.
func (s *Session) Unbind(ctx context.Context) error {
	s.mu.Lock()
	s.stopSubmits()
	s.mu.Unlock()
	err := s.waitWindow(ctx)
	if err == nil {
		s.waitIdle()
		s.mu.Lock()
		s.farewell = ErrClosed
		s.mu.Unlock()
		s.call(context.WithoutCancel(ctx), wire.Unbind, nil, s.cfg.UnbindTimeout)
	}
	s.Close()
	return err
}

// stopSubmits lets no further submit in. Under mu.
func (s *Session) stopSubmits() {
	if !s.draining {
		s.draining = true
		close(s.drain)
	}
	s.checkIdle()
}

// waitWindow waits until every submit has its answer or is given up.
func (s *Session) waitWindow(ctx context.Context) error {
	select {
	case <-s.landed:
		return s.Err()
	case <-s.closing:
		return s.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// checkIdle tells who waits for it that nothing is in flight any more, or to be
// answered. A Submit that takes a slot now gives it back at once. Under mu.
func (s *Session) checkIdle() {
	if !s.draining || len(s.window) > 0 {
		return
	}
	if !s.isLanded {
		s.isLanded = true
		close(s.landed)
	}
	if !s.isIdle && s.unanswered == 0 {
		s.isIdle = true
		close(s.idle)
	}
}

// peerUnbinds lets what is under way finish, for a moment, and then answers and
// ends the session. The reader goes on meanwhile.
func (s *Session) peerUnbinds(seq uint32) {
	s.mu.Lock()
	again := s.farewell == ErrUnbound
	s.farewell = ErrUnbound
	s.stopSubmits()
	s.mu.Unlock()
	if !again {
		s.joined.Go(func() { s.leave(seq) })
	}
}

// waitIdle waits for idle, for a moment.
func (s *Session) waitIdle() {
	timer := time.NewTimer(leaveGrace)
	defer timer.Stop()
	select {
	case <-s.idle:
	case <-timer.C:
	case <-s.closing:
	}
}

func (s *Session) leave(seq uint32) {
	s.waitIdle()
	s.reply(wire.UnbindResp, wire.ESMEOK, seq, ErrUnbound)
}
