package session

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"straks/smpp/wire"
)

// Session is one bound connection to an SMSC. It never binds again by itself.
type Session struct {
	cfg    Config
	conn   net.Conn // TLS or the socket itself
	socket net.Conn // closed to end everything; tls.Conn.Close could wait for the peer
	frames *wire.Reader

	wake        chan struct{} // 1: something was queued
	taken       chan struct{} // 1: the writer took the control PDUs
	bound       chan struct{} // closed: bind_resp has arrived
	draining    chan struct{} // closed: no new submits
	submitsDone chan struct{} // closed: draining, and no submit is queued or pending
	idle        chan struct{} // closed: submitsDone, and no delivery waits for Respond
	closing     chan struct{} // closed: the goroutines must end
	done        chan struct{} // closed: they have ended, and everything is settled

	start    time.Time    // lastRead counts from here
	lastRead atomic.Int64 // when the last PDU arrived, in nanoseconds since start

	goroutines sync.WaitGroup // read, write, keepalive, and answerUnbind while it runs

	mu               sync.Mutex // never held across I/O or a callback
	seq              uint32     // last sequence_number given
	queue            []*exchange
	controls         []control
	pending          map[uint32]*exchange
	expired          expiredSubmits
	submits          int   // in queue or pending
	unanswered       int   // deliveries whose response is not yet with the writer
	unansweredOctets int   // of their PDUs
	unbindCause      error // what a loss of the connection is called once an unbind is under way
	cause            error // why the session ends; the first one stays
}

// newSession starts the goroutines. The bind is then the first exchange, so that PDUs
// that arrive before bind_resp are served like any others.
func newSession(conn, socket net.Conn, cfg Config) *Session {
	s := &Session{
		cfg: cfg, conn: conn, socket: socket, frames: wire.NewReader(conn),
		wake: make(chan struct{}, 1), taken: make(chan struct{}, 1),
		bound: make(chan struct{}), draining: make(chan struct{}), submitsDone: make(chan struct{}), idle: make(chan struct{}),
		closing: make(chan struct{}), done: make(chan struct{}),
		start:   time.Now(),
		pending: make(map[uint32]*exchange),
		expired: newExpiredSubmits(cfg.MaxExpired),
	}
	for _, work := range []func() error{s.read, s.write, s.keepalive} {
		s.goroutines.Go(func() { s.end(work()) })
	}
	go s.join()
	return s
}

// end starts the end of the session. A nil cause means that the cause is given elsewhere.
// A peer that hangs up after an unbind is no loss.
func (s *Session) end(cause error) {
	if cause == nil {
		return
	}
	s.mu.Lock()
	first, unbinding := s.cause == nil, s.unbindCause != nil
	if first {
		if s.cause = cause; unbinding && errors.Is(cause, ErrLost) {
			s.cause = s.unbindCause
		}
		s.stopSubmits()
		close(s.closing)
	}
	s.mu.Unlock()
	if first && unbinding {
		s.conn.Close() // over TLS this sends close_notify, and may wait for it to be written
	}
	if first {
		s.socket.Close()
	}
}

// join waits for the goroutines and settles the exchanges that they left.
func (s *Session) join() {
	s.goroutines.Wait()
	s.mu.Lock()
	for _, c := range s.controls {
		if c.exchange != nil {
			s.settle(c.exchange, result{err: s.cause})
		}
	}
	for _, x := range s.queue {
		s.settle(x, result{err: notSent(s.cause)})
	}
	for _, x := range s.pending {
		switch {
		case x.id != wire.SubmitSM: // bind or unbind, which carry no message
			s.settle(x, result{err: s.cause})
		case x.unsent:
			s.settle(x, result{err: notSent(s.cause)})
		default:
			s.settle(x, result{err: unknown(s.cause)})
		}
	}
	s.queue, s.controls, s.pending, s.expired = nil, nil, nil, expiredSubmits{}
	s.mu.Unlock()
	close(s.done)
}

// Done is closed when the session has ended and every Submit has its result.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns why the session ended, nil while it has not begun to. See
// ErrClosed and its neighbours.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cause
}

// Close ends the session at once, without unbind, and waits for its goroutines.
func (s *Session) Close() {
	s.end(ErrClosed)
	<-s.done
}

// since returns the time since the session's start, on the monotonic clock.
func (s *Session) since() time.Duration { return time.Since(s.start) }

// isClosed reports whether the channel is closed. Nothing is ever sent on it.
func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
