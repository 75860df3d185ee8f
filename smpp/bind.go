package smpp

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"straks/internal/ratelog"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// bind is one bind of an SMSC: bound, bound again when it is lost, and
// unbound at the end. Sessions come and go.
type bind struct {
	smsc   *smsc
	name   string // like "telco/1"
	mode   session.Mode
	share  *share // which of the SMSC's binds it is
	pacer  *pacer
	rebind chan struct{} // 1: the session is of no use, bind again

	// Under slots.mu.
	session      *session.Session // nil while nothing can be submitted
	inFlight     int              // slots taken
	owed         int              // of those, the ones whose submit_sm was written
	progress     time.Time        // when the last response came, or the oldest submit in flight was taken
	stalledUntil time.Time        // until then it counts as stalled
	leaving      bool             // no message may start on it

	mu        sync.Mutex
	responses map[string]uint64 // by status
	state     BindState         // as shown, except the numbers of slots and pacer
}

func newBind(c *smsc, name string, mode session.Mode, share *share) *bind {
	return &bind{
		smsc: c, name: name, mode: mode, share: share, pacer: newPacer(c.Rate), rebind: make(chan struct{}, 1),
		state: BindState{SMSC: c.Name, Bind: name, Mode: mode.String(), State: StateConnecting, Since: time.Now()},
	}
}

// setState changes the state that is shown of the bind, and reports whether it is a new one.
func (b *bind) setState(state State, reason, addr string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.setStateLocked(state, reason, addr)
}

// setStateLocked is setState for a caller that holds b.mu.
func (b *bind) setStateLocked(state State, reason, addr string) bool {
	changed := b.state.State != state
	if changed {
		b.state.Since = time.Now()
	}
	b.state.State, b.state.Reason, b.state.Addr = state, reason, addr
	return changed
}

// maxChanges is how often in a minute the log says that a bind is up, and that it
// is lost: an SMSC that accepts binds and hangs up does so several times a second.
const maxChanges = 10

// maintainer keeps one bind up. Its goroutine is run.
type maintainer struct {
	*bind
	g       *Gateway
	handler Handler
	log     *slog.Logger
	changes *ratelog.Log
	backoff backoff
	addr    string    // of the current attempt
	held    *heldSlot // nil while the bind is another process's, or none shares it

	unreached time.Time // since when no attempt has reached the SMSC; zero while one has
}

func newMaintainer(g *Gateway, b *bind, h Handler) *maintainer {
	log := g.log.With("smsc", b.smsc.Name, "bind", b.name)
	return &maintainer{bind: b, g: g, handler: h, log: log, changes: ratelog.New(log, maxChanges), backoff: backoff{most: b.smsc.ReconnectMax}}
}

// run keeps the bind up until ctx ends, while it is ours.
func (m *maintainer) run(ctx context.Context) {
	defer m.disown()
	addrs := m.smsc.addrs()
	for attempt := m.share.n; ctx.Err() == nil; attempt++ {
		if !m.hold(ctx) {
			break
		}
		if !m.own(ctx) {
			continue
		}
		m.addr = addrs[attempt%len(addrs)]
		s, err := m.dial(ctx)
		switch {
		case s != nil:
			m.unreached = time.Time{}
			lived, unbound := m.use(ctx, s)
			m.backoff.lost(time.Now(), lived)
			delay := m.backoff.next(time.Now())
			if unbound {
				delay = max(delay, m.smsc.RebindPause)
			}
			m.rest(ctx, delay)
		case ctx.Err() == nil && !m.ended():
			m.rest(ctx, m.bindFailed(err))
			m.giveUp(ctx, err)
		}
	}
	m.setState(StateClosed, "shut down", "")
}

// dial makes one attempt to bind, when the SMSC's limiter permits it.
func (m *maintainer) dial(ctx context.Context) (*session.Session, error) {
	ctx, cancel := m.whileOurs(ctx)
	defer cancel()
	limiter := &m.smsc.limiter
	if m.shown().State == StateConnecting && !limiter.isOpen() {
		m.setState(StateConnecting, "until the SMSC has accepted the credentials, one bind at a time is tried", m.addr)
	}
	permit, err := limiter.acquire(ctx, m.bind)
	if err != nil {
		return nil, err
	}
	defer limiter.release(permit)
	s, err := session.Dial(ctx, m.sessionConfig())
	var refusal *session.BindError
	switch {
	case err == nil:
		limiter.accepted(m.bind)
	case m.inherits(err):
	case errors.As(err, &refusal) && limiter.credentials(refusal):
		delay, alone := limiter.refused(permit, time.Now())
		m.log.Error(refusalAdvice(alone), "addr", m.addr, "reason", err, "next", delay.Round(time.Second).String())
	}
	return s, err
}

func refusalAdvice(alone bool) string {
	if alone {
		return "the SMSC refuses this bind's credentials, and others are up: does it allow as many binds as are configured? " +
			"attempts are few so that it doesn't lock the account"
	}
	return "the SMSC refuses our credentials: check system_id, password and system_type; " +
		"attempts are few so that it doesn't lock the account"
}

// use lets messages be sent on the session, until it ends or ctx does. It returns for how
// long that was; the time for unbinding doesn't count. unbound: the session ended with an unbind.
func (m *maintainer) use(ctx context.Context, s *session.Session) (lived time.Duration, unbound bool) {
	bound := time.Now()
	defer m.smsc.limiter.lost()
	select {
	case <-m.rebind: // it was about the previous session
	default:
	}
	m.open(s)
	m.inherited()
	m.countBind()
	m.changes.Write("bound", slog.LevelInfo, "bound", slog.String("addr", m.addr),
		slog.String("mode", m.mode.String()))
	if m.mode != session.Receiver {
		defer m.g.slots.shut(m.bind)
	}
	drained, stop := m.drained(ctx)
	defer stop()
	select {
	case <-drained:
		lived, unbound = time.Since(bound), true
		reason := "drained by an operator"
		if m.ended() {
			reason = givenUp
		}
		m.setState(StateClosing, reason, m.addr)
		m.unbind(s, m.g.setup.Load().drainTime)
	case <-s.Done():
		lived, unbound = time.Since(bound), errors.Is(s.Err(), session.ErrUnbound)
		m.setState(StateConnecting, s.Err().Error(), m.addr)
		m.changes.Write("lost", slog.LevelWarn, "bind lost", slog.String("addr", m.addr), slog.Any("reason", s.Err()))
	case <-m.rebind:
		lived, unbound = time.Since(bound), true
		m.g.slots.shut(m.bind)
		m.setState(StateConnecting, "the SMSC says that it is not bound", m.addr)
		m.log.Warn("binding again: the SMSC says that it is not bound", "addr", m.addr)
		m.leave(s)
	case <-ctx.Done():
		m.setState(StateClosing, "shutting down", m.addr)
		m.unbind(s, m.g.setup.Load().drainTime)
	}
	return lived, unbound
}

// open shows the bind as bound and opens its window. A reader of the state sees both or
// neither: a bind that is shown as bound has slots, so that nothing is refused for a full
// queue right after the gateway is ready.
func (m *maintainer) open(s *session.Session) {
	m.bind.mu.Lock()
	defer m.bind.mu.Unlock()
	m.setStateLocked(StateBound, "", m.addr)
	if m.mode != session.Receiver {
		m.g.slots.open(m.bind, s)
	}
}

// forgottenGrace is how long an SMSC that has forgotten a session may take for the responses to
// what is in flight, and again for unbind_resp. It hardly sends any, and meanwhile the
// bind is out of service.
const forgottenGrace = time.Second

// leave unbinds from an SMSC that has forgotten the session.
func (m *maintainer) leave(s *session.Session) {
	defer time.AfterFunc(2*forgottenGrace, s.Close).Stop()
	m.unbind(s, min(m.smsc.ResponseTimeout, forgottenGrace))
}

// unbind ends the session in good order. Deliveries are acknowledged meanwhile.
func (m *maintainer) unbind(s *session.Session, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := s.Unbind(ctx); err != nil {
		m.log.Warn("unbound with messages unanswered", "reason", err)
		return
	}
	m.log.Info("unbound")
}

// bindFailed records a failed attempt and returns the wait before the next. It
// logs the first failure, and one a minute while they last.
func (m *maintainer) bindFailed(err error) time.Duration {
	var refusal *session.BindError
	label, state := "network", StateDown
	if errors.As(err, &refusal) {
		label = statusLabel(refusal.Status)
		if m.smsc.limiter.credentials(refusal) {
			state = StateRefused
		}
	}
	m.smsc.metrics.bindFailed(label)
	if m.inherits(err) {
		return m.stillCounted(err)
	}
	changed := m.setState(state, err.Error(), m.addr)
	delay := m.backoff.next(time.Now())
	if state == StateDown && m.backoff.worthLogging(time.Now(), changed) {
		m.log.Warn("can't bind", "addr", m.addr, "reason", err, "next", delay.Round(time.Millisecond).String())
	}
	return delay
}

// fastConnect bounds an attempt to connect early in an outage: where packets
// are dropped, a new attempt notices the SMSC's return sooner than TCP's own
// retransmissions, which come after 1, 3 and 7 seconds.
const fastConnect = time.Second

func (m *maintainer) sessionConfig() session.Config {
	c := m.smsc
	connect := c.ConnectTimeout
	if m.backoff.fast(time.Now()) && c.certificates == nil {
		connect = min(connect, fastConnect)
	}
	return session.Config{
		Addr: m.addr, Dial: m.g.dial, TLS: c.tlsConfig(), Mode: m.mode,
		Bind: wire.Bind{
			SystemID: c.SystemID, Password: c.Password, SystemType: c.SystemType, AddressRange: c.AddressRange,
			InterfaceVersion: c.InterfaceVersion.octet(),
		},
		DialTimeout: connect, BindTimeout: c.ConnectTimeout, ResponseTimeout: c.ResponseTimeout,
		DeadAfter: c.DeadLink, EnquireInterval: c.EnquireLink, UnbindTimeout: min(c.ConnectTimeout, m.g.setup.Load().drainTime),
		Deliver: func(d *Delivery) { m.handler.Deliver(c.Name, d) },
		Late:    m.late,
		Expired: m.expired,
		Observe: m.observer(),
	}
}

// backoff decides how long to wait before the next attempt to bind.
//
//	first minute of an outage   200 to 400 ms   bound again within a second of the SMSC's return
//	then                        growing by half, up to SMSC.ReconnectMax
//
// Every delay is jittered, so that many binds do not come at the same moment.
// For refused credentials see bindLimiter.
type backoff struct {
	most time.Duration

	since  time.Time     // when the outage began; zero while there is none
	delay  time.Duration // of the last attempt, before jitter
	logged time.Time     // when a failure was last logged
}

const (
	fastPhase = time.Minute
	fastDelay = 300 * time.Millisecond
	// steady is how long a session must live to end an outage. Otherwise an SMSC
	// that accepts the bind and drops it would be bound to for ever at full speed.
	steady = 10 * time.Second
)

// lost records that a session ended, and how long it had lived.
func (b *backoff) lost(now time.Time, lived time.Duration) {
	if lived >= steady || b.since.IsZero() {
		b.since, b.delay = now, 0
	}
}

// next returns the wait after an attempt that failed or a session that ended.
func (b *backoff) next(now time.Time) time.Duration {
	if b.since.IsZero() {
		b.since = now
	}
	if b.fast(now) {
		b.delay = fastDelay
	} else {
		b.delay = min(max(b.delay, fastDelay)*3/2, b.most)
	}
	return jitter(b.delay)
}

// fast reports whether the outage is in its first minute.
func (b *backoff) fast(now time.Time) bool {
	return b.since.IsZero() || now.Sub(b.since) < fastPhase
}

// worthLogging reports whether to log a failure: a new kind, or the first for a minute.
func (b *backoff) worthLogging(now time.Time, changed bool) bool {
	if !changed && now.Sub(b.logged) < time.Minute {
		return false
	}
	b.logged = now
	return true
}

// jitter returns d, changed by a third at most.
func jitter(d time.Duration) time.Duration {
	return d*2/3 + rand.N(d*2/3+1)
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
