package session

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"straks/smpp/wire"
)

// Session is one bound connection to an SMSC, from bind to unbind or loss. It
// never binds again by itself.
//
// Three goroutines work for it, and all have ended when Done is closed:
//
//	read   frames -> answers to their exchanges, deliveries to Deliver. It waits
//	       for nobody but the writer, whom a deadline bounds. (reader.go)
//	write  queues -> socket, many PDUs in one write. Only here are octets
//	       written, so only here a submit turns from "not sent" to "may have
//	       left". Answers and enquire_link go before submits. (writer.go)
//	keep   time: enquire_link, the peer's death, response time-outs. (keeper.go)
//
// The way of a submit, each step under mu and at most once:
//
//	window slot -> queue -> pending -> answered                  Submit returns the answer
//	                 |         |-> caller gone -> answered       Late is told
//	                 |         |-> ResponseTimeout -> tombstone  Submit returns ErrUnknown; Late may be told
//	                 |-> caller gone, loss                       Submit returns ErrNotSent
//
// The slot comes free on leaving queue or pending, not when the caller goes:
// until the SMSC has answered, or is given up, its window is in use.
//
// When the connection is lost the goroutines are joined first, and then what is
// left is settled: the writer knows by then how far the last write came.
type Session struct {
	cfg    Config
	conn   net.Conn // TLS or the socket itself
	socket net.Conn // closed to end everything; tls.Conn.Close could wait for the peer
	frames *wire.Reader
	peer   wire.BindResp

	window  chan struct{} // one element for each submit in queue or pending
	wake    chan struct{} // 1: something was queued
	room    chan struct{} // 1: the writer took from urgent
	bound   chan struct{} // closed: bind_resp has come
	drain   chan struct{} // closed: no new submits
	landed  chan struct{} // closed: drain, and no submit is in flight
	idle    chan struct{} // closed: landed, and no delivery is to be answered
	closing chan struct{} // closed: the goroutines are to end
	done    chan struct{} // closed: they have, and everything is settled

	start time.Time    // life counts from here
	life  atomic.Int64 // when the last PDU came, in nanoseconds since start

	joined sync.WaitGroup // read, write, keep, and leave while it runs

	mu               sync.Mutex // never held across I/O or a callback
	seq              uint32     // last sequence_number given
	queue            []*exchange
	urgent           []outgoing
	pending          map[uint32]*exchange
	graves           graveyard
	unanswered       int // deliveries given out, whose answer is not yet with the writer
	unansweredOctets int // of their PDUs
	draining         bool
	isLanded         bool
	isIdle           bool
	farewell         error // what the end is called once an unbind is under way
	cause            error // why it ends; the first one stays
}

// newSession wires a connection up and starts the goroutines. The bind is then
// the first exchange, so that whatever comes ahead of bind_resp is served like
// anything else.
func newSession(conn, socket net.Conn, cfg Config) *Session {
	s := &Session{
		cfg: cfg, conn: conn, socket: socket, frames: wire.NewReader(conn),
		window: make(chan struct{}, cfg.Window),
		wake:   make(chan struct{}, 1), room: make(chan struct{}, 1),
		bound: make(chan struct{}), drain: make(chan struct{}), landed: make(chan struct{}), idle: make(chan struct{}),
		closing: make(chan struct{}), done: make(chan struct{}),
		start:   time.Now(),
		pending: make(map[uint32]*exchange, cfg.Window),
		graves:  newGraveyard(cfg.Tombstones),
	}
	for _, work := range []func() error{s.read, s.write, s.keep} {
		s.joined.Go(func() { s.end(work()) })
	}
	go s.join()
	return s
}

// end starts the session's end. A nil cause means that somebody else has
// already given it, or will. That the peer hangs up after an unbind is no loss.
func (s *Session) end(cause error) {
	if cause == nil {
		return
	}
	s.mu.Lock()
	first, polite := s.cause == nil, s.farewell != nil
	if first {
		if s.cause = cause; s.farewell != nil && errors.Is(cause, ErrLost) {
			s.cause = s.farewell
		}
		s.stopSubmits()
		close(s.closing)
	}
	s.mu.Unlock()
	if first && polite {
		s.conn.Close() // over TLS this takes leave too, and may wait for that
	}
	if first {
		s.socket.Close()
	}
}

// join waits for the goroutines and settles what they left.
func (s *Session) join() {
	s.joined.Wait()
	s.mu.Lock()
	for _, o := range s.urgent {
		if o.exchange != nil {
			s.settle(o.exchange, result{err: s.cause})
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
	s.queue, s.urgent, s.pending, s.graves = nil, nil, nil, graveyard{}
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

// InFlight returns how many slots of the window are in use.
func (s *Session) InFlight() int { return len(s.window) }

// Peer returns what the SMSC said in bind_resp: its system_id and TLVs such as
// sc_interface_version.
func (s *Session) Peer() wire.BindResp { return s.peer }

// Close ends the session at once, without unbind, and waits for its goroutines.
func (s *Session) Close() {
	s.end(ErrClosed)
	<-s.done
}

// since returns the time since the session's start, on the monotonic clock.
func (s *Session) since() time.Duration { return time.Since(s.start) }
