package smtp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"straks/internal/handover"
	"straks/internal/pemfile"
	"straks/internal/silence"
)

// relay is one configured relay with its connections.
type relay struct {
	Relay
	certificates *pemfile.Files
	limiter      *rate.Limiter // of mails; nil: no limit
	dialTCP      func(ctx context.Context, network, addr string) (net.Conn, error)
	log          *slog.Logger
	metrics      *relayMetrics
	slots        chan struct{} // one for each connection that is made, used, or checked
	wake         chan struct{} // wakes run when a connection must be made or replaced

	cancel    context.CancelFunc // ends run; nil before it. Under Pool.changing
	warmAgain time.Time          // when warm may make connections again; of run
	listeners sync.WaitGroup     // goroutines that wait for a late reply

	mu      sync.Mutex
	idle    []*conn // a stack: the connection used last is taken first
	handler Handler
	waiting []*conn // connections on which a late reply is awaited, the oldest first
	closed  bool    // no more mails
	ended   bool    // no more waiting for late replies
	health  health
	silence silence.Tracker
}

func newRelay(r Relay, log *slog.Logger, m *metrics) (*relay, error) {
	certificates, err := r.tlsFiles()
	if err != nil {
		return nil, err
	}
	log = log.With("relay", r.Name)
	certificates.Report = func(err error) {
		log.Warn("certificate files have changed and can't be used; the previous ones stay in use", "err", err)
	}
	var limiter *rate.Limiter
	if r.Rate > 0 {
		limiter = rate.NewLimiter(rate.Limit(r.Rate), 1)
	}
	return &relay{
		Relay:        r,
		certificates: certificates,
		limiter:      limiter,
		dialTCP:      new(net.Dialer).DialContext,
		log:          log,
		metrics:      m.of(r.Name),
		slots:        make(chan struct{}, r.MaxConns),
		wake:         make(chan struct{}, 1),
		silence:      silence.New(leastSilence),
		health:       health{RelayState: RelayState{Name: r.Name, Addr: r.Addr, Since: time.Now(), Reason: "not connected yet"}},
	}, nil
}

// send hands the letter to this relay. A kept connection that breaks before the final dot, is out
// of step, or has reached a limit of the relay is replaced by a new one, once: most such connections broke while idle.
func (r *relay) send(ctx context.Context, l *letter, handoverBy time.Time) Result {
	use := keptConnection
	if l.deferredBy(r) {
		use = newConnection
	}
	if err := r.token(ctx, handoverBy); err != nil {
		return Result{Relay: r.Name, Err: fmt.Errorf("relay %s: %w", r.Name, err), again: true}
	}
	res, kept := r.try(ctx, l, handoverBy, use)
	broke := res.fresh || hasReason(res.Err, ReasonLost) || hasReason(res.Err, ReasonProtocol)
	if kept && broke && res.Outcome == handover.NotSent && ctx.Err() == nil {
		res, _ = r.try(ctx, l, handoverBy, onlyNewConnections)
	}
	r.record(res)
	return res
}

// token waits until the rate allows another mail. It does not wait where that would take longer than the mail has.
func (r *relay) token(ctx context.Context, by time.Time) error {
	if r.limiter == nil {
		return nil
	}
	ctx, cancel := context.WithDeadline(ctx, by)
	defer cancel()
	if r.limiter.Wait(ctx) != nil {
		return ErrRate
	}
	return nil
}

// limited reports whether a mail would have to wait for the rate.
func (r *relay) limited() bool { return r.limiter != nil && r.limiter.Tokens() < 1 }

// use is which connection a mail takes.
type use uint8

const (
	keptConnection     use = iota // the one used last; a new one where none is idle
	newConnection                 // a new one, in place of an idle one
	onlyNewConnections            // a new one, in place of all idle ones: the cause that broke one broke them all
)

// leastTime is the least time up to the final dot with which a transaction is begun. One that
// is broken off costs its connection.
const leastTime = 10 * time.Millisecond

// try makes one attempt, and reports whether it was on a connection used before.
func (r *relay) try(ctx context.Context, l *letter, handoverBy time.Time, use use) (res Result, kept bool) {
	notSent := func(err error, again bool) (Result, bool) {
		return Result{Relay: r.Name, Err: fmt.Errorf("relay %s: %w", r.Name, err), again: again}, false
	}
	acquiring, cancel := context.WithDeadline(ctx, handoverBy)
	defer cancel()
	c, err := r.acquire(acquiring, use)
	switch {
	case err != nil:
		return notSent(err, !errors.Is(err, ErrClosed) && !r.lockedOut())
	case c.unable(l) != nil:
		err := c.unable(l)
		r.release(c)
		return r.declines(err)
	case time.Until(handoverBy) < leastTime:
		r.release(c)
		return notSent(ErrBusy, true)
	}
	kept = c.carried
	res, late := c.deliver(ctx, l, handoverBy, r.written)
	r.metrics.handedOver(res)
	if !late && !res.Times.Written.IsZero() {
		r.answered(c, res)
	}
	if late {
		r.listen(c, l)
	} else {
		r.release(c)
	}
	return res, kept
}

// declines returns the Result of a letter that the relay does not have the extension or size for.
func (r *relay) declines(err error) (res Result, kept bool) {
	res = Result{Relay: r.Name, Err: fmt.Errorf("relay %s: %w", r.Name, err), declined: true, otherwise: OtherRefusal}
	if errors.Is(err, errNoUTF8) {
		res.otherwise = BadAddress
	}
	return res, false
}

// acquire takes a slot and a connection.
func (r *relay) acquire(ctx context.Context, use use) (*conn, error) {
	if !r.slot(ctx) {
		return nil, ErrBusy
	}
	// To find at the deadline that a kept connection works would cost that connection.
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < leastTime {
		<-r.slots
		return nil, ErrBusy
	}
	return r.open(ctx, use)
}

// open returns the connection for a slot that was taken. It frees the slot on error.
func (r *relay) open(ctx context.Context, use use) (*conn, error) {
	c, err := r.connection(ctx, use)
	if err != nil {
		<-r.slots
	}
	return c, err
}

func (r *relay) connection(ctx context.Context, use use) (*conn, error) {
	for {
		c, err := r.pop()
		switch {
		case err != nil:
			return nil, err
		case c == nil:
			return r.connect(ctx, 0)
		case use == onlyNewConnections:
			r.discard(c)
			continue
		case use == newConnection, c.exhausted():
			return r.renew(ctx, c)
		}
		start := time.Now()
		if err = c.ready(ctx); err == nil {
			return c, nil
		}
		r.discard(c)
		if hasReason(err, ReasonTimeout) { // the other connections are likely to be as mute
			if !r.tooShort(time.Since(start)) {
				r.failed(err)
			}
			return nil, err
		}
		if ctx.Err() != nil { // else the other connections would be closed too
			return nil, ctx.Err()
		}
	}
}

// pop takes the connection used last off the stack, one that is exhausted only where there is no other; nil when
// there is none.
func (r *relay) pop() (*conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	if len(r.idle) == 0 {
		return nil, nil
	}
	last := len(r.idle) - 1
	for i := last; i >= 0; i-- {
		if !r.idle[i].exhausted() {
			last = i
			break
		}
	}
	c := r.idle[last]
	r.idle = slices.Delete(r.idle, last, last+1)
	return c, nil
}

// connect makes a new connection, except where a refusal forbids that for now. It is in place of a number
// of connections that count as open, but are closed.
func (r *relay) connect(ctx context.Context, replacing int) (*conn, error) {
	if err := r.mayDial(replacing); err != nil {
		return nil, err
	}
	defer r.dialled()
	start := time.Now()
	c, err := r.dial(ctx)
	if err != nil {
		r.unreachable(err, ctx.Err() != nil && r.tooShort(time.Since(start)))
		return nil, err
	}
	r.connected(c)
	return c, nil
}

// renew makes a connection in place of one that is exhausted or not wanted. The relay counts as up meanwhile.
func (r *relay) renew(ctx context.Context, c *conn) (*conn, error) {
	c.abandon()
	next, err := r.connect(ctx, 1)
	r.discard(c)
	return next, err
}

// release puts the connection back on the stack, or closes it, and frees the slot. One that is exhausted is
// replaced by maintain, so that no mail waits for that.
func (r *relay) release(c *conn) {
	exhausted := c.exhausted() // later, c may be another's
	r.mu.Lock()
	keep := !c.dead && !r.closed
	if keep {
		r.idle = append(r.idle, c)
	}
	r.mu.Unlock()
	switch {
	case !keep:
		r.discard(c)
	case exhausted:
		r.wakeUp()
	}
	<-r.slots
}

// discard closes a connection that was taken off the stack.
func (r *relay) discard(c *conn) {
	c.abandon()
	if r.disconnected() < r.MinIdle {
		r.wakeUp()
	}
}

// wakeUp has maintain look after the connections now.
func (r *relay) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
