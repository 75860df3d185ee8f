package smtp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// health is what a relay is known to be like. relay.mu guards it.
type health struct {
	open        int // connections, in use or idle
	dials       int // failed attempts to connect since the last connection
	failures    int // failures of any kind since the last mail that was taken
	since       time.Time
	reason      string    // why it is down; empty when up
	troubled    time.Time // until then, other relays go first
	barredUntil time.Time // until then, nobody logs in
	utf8        bool      // the last connection offered SMTPUTF8
	encrypted   bool      // the last connection had TLS
}

// RelayState is how a relay is doing, for operators.
type RelayState struct {
	Name      string    `json:"name"`
	Addr      string    `json:"addr"`
	Up        bool      `json:"up"`               // at least one connection is open
	Since     time.Time `json:"since"`            // when Up last changed
	Reason    string    `json:"reason,omitempty"` // why it is not up
	Open      int       `json:"open"`             // connections, in use or idle
	InUse     int       `json:"inUse"`
	MaxConns  int       `json:"maxConns"`
	Failures  int       `json:"failures"`  // failures since the last success
	Encrypted bool      `json:"encrypted"` // the last connection had TLS
	SMTPUTF8  bool      `json:"smtpUTF8"`  // the last connection offered it
}

func (r *relay) state() RelayState {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.health
	return RelayState{
		Name: r.Name, Addr: r.Addr,
		Up: h.open > 0, Since: h.since, Reason: h.reason,
		Open: h.open, InUse: h.open - len(r.idle), MaxConns: r.MaxConns,
		Failures: h.failures, Encrypted: h.encrypted, SMTPUTF8: h.utf8,
	}
}

func (r *relay) isOpen() bool { return r.state().Up }

// rank orders relays: the lower the sooner it is tried. A relay that may lack
// SMTPUTF8 comes after all that have it, for a letter that needs it.
func (r *relay) rank(l *letter, now time.Time) int {
	s := r.state()
	r.mu.Lock()
	troubled := now.Before(r.health.troubled)
	r.mu.Unlock()
	rank := 0
	switch {
	case !s.Up:
		rank = 3
	case troubled:
		rank = 2
	case len(r.slots) == cap(r.slots):
		rank = 1
	}
	if l.utf8 && !s.SMTPUTF8 {
		rank += 4
	}
	return rank
}

// connected notes a new connection.
func (r *relay) connected(c *conn) {
	r.mu.Lock()
	h := &r.health
	wasDown := h.open == 0
	h.open++
	h.utf8, h.encrypted = c.utf8, c.guard.encrypted()
	if wasDown {
		h.since, h.reason = time.Now(), ""
	}
	h.dials, h.barredUntil = 0, time.Time{}
	r.mu.Unlock()
	r.metrics.connects.Inc()
	if wasDown {
		r.log.Info("relay connected", "addr", r.Addr, "encrypted", c.guard.encrypted(), "smtputf8", c.utf8)
	}
}

// learn notes how a transaction went.
func (r *relay) learn(res Result) {
	if isFailure(res.Err) {
		r.failed(res.Err)
		return
	}
	r.mu.Lock()
	r.health.failures, r.health.troubled = 0, time.Time{}
	r.mu.Unlock()
}

// failed notes a connection that could not be made, or failed under way. Trouble
// puts the relay behind the others, for 2 s at first, 30 s in the end.
func (r *relay) failed(err error) {
	var f *Failure
	if !errors.As(err, &f) {
		return
	}
	r.metrics.failures[f.Reason].Inc()
	r.mu.Lock()
	h := &r.health
	h.failures++
	h.dials++
	h.troubled = time.Now().Add(min(time.Second<<min(h.failures, 5), 30*time.Second))
	if f.Reason == ReasonAuth {
		h.barredUntil = time.Now().Add(min(15*time.Second<<min(h.failures, 6), 10*time.Minute))
	}
	news := h.reason != f.Error()
	h.reason = f.Error()
	r.mu.Unlock()
	switch {
	case f.Reason == ReasonAuth:
		r.log.Error("relay refuses the login; it is left alone for a while", "addr", r.Addr, "reason", f.Error())
	case news:
		r.log.Warn("relay fails", "addr", r.Addr, "reason", f.Error())
	}
}

// errBarred: a login was refused, and the next attempt is not due.
var errBarred = errors.New("left alone after a refused login")

func (r *relay) barred() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.health.barredUntil) {
		return fmt.Errorf("%w: %s", errBarred, r.health.reason)
	}
	return nil
}

// backOff returns how long the keeper waits after a failure: from 100 ms,
// doubling to 10 s, half of it at random, so that many clients of a relay that
// restarts do not come at once.
func (r *relay) backOff() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := min(100*time.Millisecond<<min(r.health.dials, 7), 10*time.Second)
	wait = wait/2 + rand.N(wait/2)
	return max(wait, time.Until(r.health.barredUntil))
}

func isFailure(err error) bool {
	var f *Failure
	return errors.As(err, &f)
}
