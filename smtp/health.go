package smtp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// RelayState is the state of a relay, for operators.
type RelayState struct {
	Name      string    `json:"name"`
	Addr      string    `json:"addr"`
	Up        bool      `json:"up"`               // at least one connection is open
	Since     time.Time `json:"since"`            // when Up last changed
	Reason    string    `json:"reason,omitempty"` // why it is not up, or its last failure; empty when it is well
	Open      int       `json:"open"`             // connections, in use or idle
	InUse     int       `json:"inUse"`
	MaxConns  int       `json:"maxConns"`
	Troubled  bool      `json:"troubled"`        // it failed lately: other relays go first
	Failures  int       `json:"failures"`        // transactions, NOOPs and attempts to connect that failed in a row
	Paused    time.Time `json:"paused,omitzero"` // since when it gets no mail, by an operator; zero: it is not so
	Next      time.Time `json:"next,omitzero"`   // of the next attempt to connect; zero while none is planned
	Encrypted bool      `json:"encrypted"`       // the last connection had TLS
	SMTPUTF8  bool      `json:"smtpUTF8"`        // the last connection offered it

	// Overdue is for how long the relay has replied to no final dot; 0 while it does. Nanoseconds in JSON.
	Overdue time.Duration `json:"overdue,omitempty"`
}

// health is the state of a relay, and what decides about its next use. relay.mu guards it.
type health struct {
	RelayState           // Up, InUse, Troubled and MaxConns are set when it is read
	drained    bool      // by an operator: it must have no connection
	dialling   int       // attempts to connect under way
	dials      int       // failed attempts to connect since the last connection
	logins     int       // refused logins among them
	probe      time.Time // when maintain probes a relay in trouble; zero when it is well
	noDial     time.Time // after a refusal: no attempt to connect before then; zero when none is in force
	refused    string    // the password of the last refused login
	full       int       // connections, open or under way, when another was refused at its greeting; 0 when there were none
}

func (r *relay) state() RelayState {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.health.RelayState
	s.Up, s.InUse, s.MaxConns = s.Open > 0, s.Open-len(r.idle), r.MaxConns
	s.Troubled = !r.health.probe.IsZero()
	s.Failures += r.health.dials
	now := time.Now()
	if s.Overdue = r.silence.Overdue(now); s.Overdue > 0 {
		s.Reason = r.silence.NewError(r.Name, now).Error()
	}
	return s
}

// well reports whether no probe is due.
func (r *relay) well(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.health.Open > 0 && (r.health.probe.IsZero() || now.Before(r.health.probe))
}

// rank orders relays: the lowest is tried first. For a letter that needs SMTPUTF8, a relay that may
// lack it comes after all that offer it.
func (r *relay) rank(l *letter) int {
	s := r.state()
	rank := 0
	switch {
	case !s.Up:
		rank = 3
	case s.Troubled || s.Overdue > 0:
		rank = 2
	case len(r.slots) == cap(r.slots), r.limited():
		rank = 1
	}
	if l.utf8 && !s.SMTPUTF8 {
		rank += 4
	}
	return rank
}

// connected records a new connection.
func (r *relay) connected(c *conn) {
	utf8, encrypted := c.ext.offers("SMTPUTF8"), c.encrypted()
	r.mu.Lock()
	h := &r.health
	wasDown := h.Open == 0
	h.Open++
	h.SMTPUTF8, h.Encrypted = utf8, encrypted
	if wasDown {
		h.Since, h.Reason = time.Now(), ""
	}
	if h.dials > 0 {
		r.silence.Restarted()
	}
	h.dials, h.logins, h.refused = 0, 0, ""
	if h.full == 0 || h.Open > h.full { // else one more was refused meanwhile
		h.noDial, h.full = time.Time{}, 0
	}
	r.mu.Unlock()
	r.metrics.connects.Inc()
	if wasDown {
		r.log.Info("relay connected", "addr", r.Addr, "encrypted", encrypted, "smtputf8", utf8)
	}
}

// disconnected records a closed connection, and returns how many are left.
func (r *relay) disconnected() (open int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &r.health
	h.Open--
	if h.Open > 0 {
		return h.Open
	}
	h.Since = time.Now()
	if h.Reason == "" {
		h.Reason = "no connection left"
	}
	return 0
}

// record records how a transaction ended. A transaction that began too late for a reply
// says nothing of the relay.
func (r *relay) record(res Result) {
	var f *Failure
	switch {
	case res.took == 0:
	case hasReason(res.Err, ReasonTimeout) && r.tooShort(res.took):
	case errors.As(res.Err, &f):
		r.failed(f)
	case res.Code != 0:
		r.mu.Lock()
		r.health.Failures, r.health.probe, r.health.Reason = 0, time.Time{}, ""
		r.mu.Unlock()
	}
}

// tooShort reports whether a time-out came too soon to say anything of the relay.
func (r *relay) tooShort(took time.Duration) bool { return took < min(time.Second, r.CommandTimeout) }

// failed records that a connection broke, or that the relay was unfit. Other relays then go first,
// until a mail that has no other relay succeeds, or the probe, which comes after 1 s at first
// and 30 s at last.
func (r *relay) failed(err error) {
	r.recordFailure(err, func(h *health, _ Reason) {
		h.Failures++
		h.probe = time.Now().Add(min(time.Second<<min(h.Failures-1, 5), 30*time.Second))
	})
}

// probed records that the relay replies. It may still fail at mails, so failures stay
// counted: after the next one the probe comes later.
func (r *relay) probed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !time.Now().Before(r.health.probe) {
		r.health.probe, r.health.Reason = time.Time{}, ""
	}
}

// refusedPause is the least time between attempts to connect to a relay that was reached, and refused us or broke
// off before it was ready for a mail: at its greeting, EHLO or TLS, or because it can't check logins now.
const refusedPause = time.Second

// unreachable records that no connection could be made. After a refused login the next attempt comes after 30 s
// at first and 10 minutes at last, or as soon as the password changes. If the relay was reached, it comes after
// refusedPause; but not where it was the caller that had too little time.
func (r *relay) unreachable(err error, hurried bool) {
	r.recordFailure(err, func(h *health, reason Reason) {
		h.dials++
		switch {
		case reason == ReasonAuth:
			h.logins++
			h.noDial, h.full = time.Now().Add(min(15*time.Second<<min(h.logins, 6), 10*time.Minute)), 0
		case reason == ReasonDial, hurried:
			h.noDial, h.full = time.Time{}, 0
		default:
			h.noDial, h.full = time.Now().Add(refusedPause), h.Open+max(h.dialling-1, 0)
		}
	})
}

// recordFailure counts a *Failure and logs it, except where it repeats the one before. A
// cancelled context is not the relay's fault.
func (r *relay) recordFailure(err error, change func(*health, Reason)) {
	var f *Failure
	if !errors.As(err, &f) || errors.Is(err, context.Canceled) {
		return
	}
	r.metrics.failures.WithLabelValues(string(f.Reason)).Inc()
	r.mu.Lock()
	change(&r.health, f.Reason)
	news := r.health.Reason != f.Error()
	r.health.Reason = f.Error()
	r.mu.Unlock()
	switch {
	case f.Reason == ReasonAuth:
		r.log.Error("relay refuses the login; the next is delayed", "addr", r.Addr, "reason", f.Error())
	case news:
		r.log.Warn("relay failed", "addr", r.Addr, "reason", f.Error())
	}
}

// errLockedOut: the relay refused a connection or a login, and the next attempt is not due.
var errLockedOut = errors.New("the next attempt to connect is delayed after a refusal")

// mayDial returns an error while no connection may be tried. A relay that has refused gets one attempt at a
// time. It may have refused because we had too many connections open: then one that was closed since, or
// that the caller is to replace, makes room.
func (r *relay) mayDial(replacing int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, now := &r.health, time.Now()
	room := h.full > 0 && h.Open+h.dialling-replacing < h.full
	if now.Before(h.noDial) && !room {
		return fmt.Errorf("%w: %s", errLockedOut, h.Reason)
	}
	if !h.noDial.IsZero() {
		h.noDial = now.Add(refusedPause)
	}
	h.dialling++
	return nil
}

// newPassword ends the pause after a refused login where the password has changed since.
func (r *relay) newPassword() {
	r.mu.Lock()
	refused := r.health.refused
	r.mu.Unlock()
	if refused == "" || r.Secret == nil {
		return
	}
	if secret, err := r.Secret.Read(); err != nil || secret == refused {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.health.logins, r.health.noDial, r.health.refused = 0, time.Time{}, ""
}

// dialled records the end of an attempt to connect.
func (r *relay) dialled() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.health.dialling--
}

// lockedOut reports whether a mail would have to wait until the relay may be dialled again.
func (r *relay) lockedOut() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := &r.health
	return h.Open == 0 && (h.dialling == 0 || h.full == 0) && time.Now().Before(h.noDial)
}

// backOff returns the pause after a failed attempt to connect: 100 ms, doubling to 10 s, half
// of it random, so that the clients of a relay that restarts do not all come at once.
func (r *relay) backOff() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := min(100*time.Millisecond<<min(r.health.dials, 7), 10*time.Second)
	wait = wait/2 + rand.N(wait/2)
	return max(wait, time.Until(r.health.noDial))
}
