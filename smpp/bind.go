package smpp

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"straks/internal/ratelog"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// maxChanges is how often in a minute the log tells that a bind is up, and that it
// is lost.
const maxChanges = 10

// binding is one bind that is kept up: bound, bound again when it is lost, and
// unbound at the end. Its goroutine is run; the sessions come and go.
type binding struct {
	smsc  *smsc
	name  string // like "telco/1"
	mode  session.Mode
	index int // among the binds of its SMSC
	pacer *pacer
	again chan struct{} // 1: the session is of no use, bind anew

	changes *ratelog.Log // of run: an SMSC that binds and hangs up does so several times a second

	// Under slots.mu.
	session  *session.Session // nil while nothing can be submitted
	inFlight int
	progress time.Time // of the last answer, or since when one is owed
	silent   time.Time // until then counts as stalled

	mu      sync.Mutex
	answers map[string]uint64 // by status
	state   BindState         // what is shown of it, but for the numbers of slots and pacer
}

func newBinding(c *smsc, name string, mode session.Mode, index int) *binding {
	return &binding{
		smsc: c, name: name, mode: mode, index: index, pacer: newPacer(c.Rate), again: make(chan struct{}, 1),
		state: BindState{SMSC: c.Name, Bind: name, Mode: mode.String(), State: StateConnecting, Since: time.Now()},
	}
}

// run keeps the bind up until ctx ends.
func (b *binding) run(ctx context.Context, g *Gateway) {
	retry := backoff{most: b.smsc.ReconnectMax}
	log := g.log.With("smsc", b.smsc.Name, "bind", b.name)
	b.changes = ratelog.New(log, maxChanges)
	addrs := b.smsc.addrs()
	for attempt := b.index; ctx.Err() == nil; attempt++ {
		addr := addrs[attempt%len(addrs)]
		s, err := b.dial(ctx, g, addr, &retry, log)
		switch {
		case s != nil:
			lived := b.hold(ctx, g, s, addr, log)
			retry.lost(time.Now(), lived)
			sleep(ctx, retry.next(time.Now()))
		case ctx.Err() == nil:
			sleep(ctx, b.bindFailed(err, addr, &retry, log))
		}
	}
	b.become(StateClosed, "shut down", "")
}

// dial makes one attempt to bind, when its SMSC's gate lets it.
func (b *binding) dial(ctx context.Context, g *Gateway, addr string, retry *backoff, log *slog.Logger) (*session.Session, error) {
	gate := &b.smsc.gate
	if b.shown().State == StateConnecting && !gate.isOpen() {
		b.become(StateConnecting, "until the SMSC has taken the credentials, one bind at a time is tried", addr)
	}
	pass, err := gate.enter(ctx, b)
	if err != nil {
		return nil, err
	}
	defer gate.leave(pass)
	s, err := session.Dial(ctx, b.sessionConfig(g, addr, retry.fast(time.Now())))
	var refusal *session.BindError
	switch {
	case err == nil:
		gate.letIn(b)
	case errors.As(err, &refusal) && gate.credentials(refusal):
		delay, alone := gate.refuse(pass, time.Now())
		log.Error(refusalAdvice(alone), "addr", addr, "reason", err, "next", delay.Round(time.Second).String())
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

// hold gives the session to those who send, until it ends or ctx does. It returns for how
// long that was; taking leave of the SMSC doesn't count.
func (b *binding) hold(ctx context.Context, g *Gateway, s *session.Session, addr string, log *slog.Logger) (lived time.Duration) {
	bound := time.Now()
	defer b.smsc.gate.lost()
	select {
	case <-b.again: // it was about the session before
	default:
	}
	b.become(StateBound, "", addr)
	b.countBind()
	b.changes.Write("bound", slog.LevelInfo, "bound", slog.String("addr", addr),
		slog.String("mode", b.mode.String()), slog.String("peer", s.Peer().SystemID))
	if b.mode != session.Receiver {
		g.slots.open(b, s)
		defer g.slots.shut(b)
	}
	select {
	case <-s.Done():
		lived = time.Since(bound)
		b.become(StateConnecting, s.Err().Error(), addr)
		b.changes.Write("lost", slog.LevelWarn, "bind lost", slog.String("addr", addr), slog.Any("reason", s.Err()))
	case <-b.again:
		lived = time.Since(bound)
		g.slots.shut(b)
		b.become(StateConnecting, "the SMSC says that it is not bound", addr)
		log.Warn("binding anew: the SMSC says that it is not bound", "addr", addr)
		b.leave(s, log)
	case <-ctx.Done():
		b.become(StateClosing, "shutting down", addr)
		b.unbind(s, g.drainTime, log)
	}
	return lived
}

// unbindGrace is how long an SMSC that has forgotten the session may take for the answers to
// what is in flight.
const unbindGrace = time.Second

// leave unbinds from an SMSC that has forgotten the session. It gives no answers to what is
// in flight any more, or hardly, and nor perhaps to the unbind; and meanwhile the
// bind is out of service.
func (b *binding) leave(s *session.Session, log *slog.Logger) {
	defer time.AfterFunc(2*unbindGrace, s.Close).Stop()
	b.unbind(s, min(b.smsc.ResponseTimeout, unbindGrace), log)
}

// unbind ends the session in good order. Deliveries are acknowledged meanwhile.
func (b *binding) unbind(s *session.Session, patience time.Duration, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Unbind(ctx); err != nil {
		log.Warn("unbound with messages unanswered", "reason", err)
		return
	}
	log.Info("unbound")
}

// bindFailed records a failed attempt and returns the wait before the next. It
// logs what is new and, as long as it lasts, once a minute.
func (b *binding) bindFailed(err error, addr string, retry *backoff, log *slog.Logger) time.Duration {
	var refusal *session.BindError
	label, state := "network", StateDown
	if errors.As(err, &refusal) {
		label = statusLabel(refusal.Status)
		if b.smsc.gate.credentials(refusal) {
			state = StateRefused
		}
	}
	b.smsc.metrics.bindFailed(label)
	news := b.become(state, err.Error(), addr)
	delay := retry.next(time.Now())
	if state == StateDown && retry.worthLogging(time.Now(), news) {
		log.Warn("can't bind", "addr", addr, "reason", err, "next", delay.Round(time.Millisecond).String())
	}
	return delay
}

// become changes what is shown of the bind, and tells whether that is news.
func (b *binding) become(state State, reason, addr string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	news := b.state.State != state
	if news {
		b.state.Since = time.Now()
	}
	b.state.State, b.state.Reason, b.state.Addr = state, reason, addr
	return news
}

// fastConnect bounds an attempt to connect early in an outage: where packets
// vanish, a new attempt notices the SMSC's return sooner than TCP's own
// repeats, which come after 1, 3 and 7 seconds.
const fastConnect = time.Second

func (b *binding) sessionConfig(g *Gateway, addr string, fast bool) session.Config {
	c := b.smsc
	connect := c.ConnectTimeout
	if fast && c.tls == nil {
		connect = min(connect, fastConnect)
	}
	return session.Config{
		Addr: addr, TLS: c.tls, Mode: b.mode,
		Bind: wire.Bind{
			SystemID: c.SystemID, Password: c.Password, SystemType: c.SystemType, AddressRange: c.AddressRange,
			InterfaceVersion: c.InterfaceVersion.octet(),
		},
		Window:      c.Window,
		DialTimeout: connect, BindTimeout: c.ConnectTimeout, ResponseTimeout: c.ResponseTimeout,
		DeadAfter: c.DeadLink, EnquireInterval: c.EnquireLink, UnbindTimeout: min(c.ConnectTimeout, g.drainTime),
		Deliver: func(d *session.Delivery) { g.handler.Deliver(c.Name, d) },
		Late:    func(l session.Late) { g.late(b, l) },
		Observe: b.observer(),
	}
}
