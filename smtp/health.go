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
	logins      int // refused logins among them
	failures    int // failed transactions and signs of life since the last one that went well
	since       time.Time
	reason      string    // why it is down or in trouble
	probe       time.Time // when the keeper tries a relay in trouble; zero when it is well
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
	Reason    string    `json:"reason,omitempty"` // why it is not up, or what it last failed at; empty when it is well
	Open      int       `json:"open"`             // connections, in use or idle
	InUse     int       `json:"inUse"`
	MaxConns  int       `json:"maxConns"`
	Troubled  bool      `json:"troubled"`  // it failed lately: other relays go first
	Failures  int       `json:"failures"`  // failures in a row
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
		Troubled: !h.probe.IsZero(), Failures: h.failures + h.dials, Encrypted: h.encrypted, SMTPUTF8: h.utf8,
	}
}

// well tells the keeper that nothing needs to be tried.
func (r *relay) well(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.health.open > 0 && (r.health.probe.IsZero() || now.Before(r.health.probe))
}

// rank orders relays: the lower the sooner it is tried. A relay that may lack
// SMTPUTF8 comes after all that have it, for a letter that needs it.
func (r *relay) rank(l *letter) int {
	s := r.state()
	rank := 0
	switch {
	case !s.Up:
		rank = 3
	case s.Troubled:
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
	h.dials, h.logins, h.barredUntil = 0, 0, time.Time{}
	r.mu.Unlock()
	r.metrics.connects.Inc()
	if wasDown {
		r.log.Info("relay connected", "addr", r.Addr, "encrypted", c.guard.encrypted(), "smtputf8", c.utf8)
	}
}

// learn notes how a transaction went. One that was begun too late to be answered
// says nothing of the relay.
func (r *relay) learn(res Result) {
	switch {
	case res.took == 0:
	case hasReason(res.Err, ReasonTimeout) && r.hurried(res.took):
	case isFailure(res.Err):
		r.failed(res.Err)
	case res.Code != 0:
		r.mu.Lock()
		r.health.failures, r.health.probe, r.health.reason = 0, time.Time{}, ""
		r.mu.Unlock()
	}
}

// hurried tells whether a time-out came so soon that it says nothing of the relay.
func (r *relay) hurried(took time.Duration) bool { return took < min(time.Second, r.CommandTimeout) }

// failed notes that a connection broke or was unfit. That puts the relay behind the
// others until a mail that has no other relay goes well, or the keeper's probe,
// which comes after 1 s at first and 30 s in the end.
func (r *relay) failed(err error) {
	r.note(err, func(h *health, _ Reason) {
		h.failures++
		h.probe = time.Now().Add(min(time.Second<<min(h.failures-1, 5), 30*time.Second))
	})
}

// probed notes that the relay answers. It may still fail at mails, so failures
// stay counted: the next one puts it back for longer.
func (r *relay) probed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !time.Now().Before(r.health.probe) {
		r.health.probe, r.health.reason = time.Time{}, ""
	}
}

// unreachable notes that no connection could be made. After a refused login the relay is left
// alone for 30 s at first and 10 minutes in the end; after one that was put off, for 1 s.
func (r *relay) unreachable(err error) {
	r.note(err, func(h *health, reason Reason) {
		h.dials++
		switch reason {
		case ReasonAuth:
			h.logins++
			h.barredUntil = time.Now().Add(min(15*time.Second<<min(h.logins, 6), 10*time.Minute))
		case ReasonUnfit:
			h.barredUntil = time.Now().Add(time.Second)
		}
	})
}

// note counts a *Failure and logs it, unless the same was logged just before.
func (r *relay) note(err error, change func(*health, Reason)) {
	var f *Failure
	if !errors.As(err, &f) {
		return
	}
	r.metrics.failures[f.Reason].Inc()
	r.mu.Lock()
	change(&r.health, f.Reason)
	news := r.health.reason != f.Error()
	r.health.reason = f.Error()
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
