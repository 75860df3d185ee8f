package smtp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
)

// Pool hands mails to one of several relays over connections that it keeps open.
// Any goroutine may call its methods.
type Pool struct {
	setup   atomic.Pointer[setup]
	metrics *metrics
	log     *slog.Logger

	changing sync.Mutex // held while the setup changes
	running  *running   // nil before and after Run
}

// New checks the configuration (see Config.Check) and registers the metrics. It connects to no
// relay.
func New(c Config, log *slog.Logger, registerer prometheus.Registerer) (*Pool, error) {
	if err := c.Check().Err(); err != nil {
		return nil, err
	}
	p := &Pool{log: log, metrics: newMetrics()}
	s, err := p.newSetup(c.WithDefaults(), new(setup))
	if err != nil {
		return nil, err
	}
	p.setup.Store(s)
	for _, c := range append(p.metrics.collectors(), gauges{p}) {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("smtp: %w", err)
		}
	}
	return p, nil
}

// Run keeps connections to all relays open until ctx ends. Then it lets no more mails in, waits
// for those under way and for late replies, sends QUIT and returns nil. Before Run the handler
// gets nothing, and late replies are not awaited. It may be called once.
func (p *Pool) Run(ctx context.Context, h Handler) error {
	p.begin(ctx, h)
	<-ctx.Done()
	p.end()
	return nil
}

// longestSend bounds a Send whose context has no deadline.
const longestSend = time.Minute

// Send hands m to the first relay of its route that takes it, and returns when ctx ends at the latest.
// After a relay that surely did not take it the next is tried; when no relay could be
// reached, all are tried again until ctx ends, except those that declined the mail. Once the final dot may have
// left, no other relay gets the mail. It is Refused when every relay declined it, for a reason
// other than us.
func (p *Pool) Send(ctx context.Context, m Message) Result {
	s, now := p.setup.Load(), time.Now()
	l, err := newLetter(m, now)
	if err != nil {
		return unsendable(err)
	}
	if !l.take(s) {
		return unsendable(Faults{{FieldTo, noRoute}})
	}
	s.signer.sign(l, now)
	ctx, cancel := context.WithTimeout(ctx, longestSend)
	defer cancel()
	var last Result
	for pause := 25 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		res := p.round(ctx, l)
		if res.Outcome == handover.NotSent && last.Err != nil && errors.Is(res.Err, ErrBusy) { // as in a round without time left
			res.Relay, res.Code, res.Enhanced, res.Err = last.Relay, last.Code, last.Enhanced, last.Err
		}
		last = res
		if now := p.setup.Load(); now != s && res.Outcome == handover.NotSent && ctx.Err() == nil && l.take(now) {
			s = now // its relay may be gone
			continue
		}
		wait := max(pause/2+rand.N(pause), res.deferral)
		if res.Outcome != handover.NotSent || !worthwhile(ctx, res, wait) || !sleep(ctx, wait) {
			p.report(l, res)
			return res
		}
	}
}

// worthwhile reports whether another round may succeed. One for a deferred recipient alone needs time
// after the wait.
func worthwhile(ctx context.Context, res Result, wait time.Duration) bool {
	deadline, _ := ctx.Deadline()
	return res.again || res.deferral > 0 && time.Until(deadline) > wait+leastTime
}

// unsendable returns the result of a message that Check refuses.
func unsendable(err error) Result {
	res := Result{Outcome: handover.Refused, Refusal: OtherRefusal, Err: err}
	var faults Faults
	if errors.As(err, &faults) && slices.ContainsFunc(faults, func(f Fault) bool { return f.Field == FieldTo || f.Field == FieldFrom }) {
		res.Refusal = BadAddress
	}
	return res
}

// round tries each relay once that has not declined the letter, the healthiest first, until one has the
// mail or may have it. Each gets its share of the time that is left.
func (p *Pool) round(ctx context.Context, l *letter) Result {
	var last Result
	again, silent, deferral := false, false, time.Duration(0)
	candidates := slices.DeleteFunc(l.byHealth(), (*relay).paused)
	if len(candidates) == 0 && len(l.declines) < len(l.relays) {
		last.Err = ErrPaused
	}
	replaced := slices.ContainsFunc(candidates, (*relay).replies)
	for i, r := range candidates {
		if err := r.admit(replaced); err != nil {
			if last.Err == nil {
				last.Err = err
			}
			silent = true
			continue
		}
		deadline, _ := ctx.Deadline()
		share := time.Until(deadline) / time.Duration(len(candidates)-i)
		res := r.send(ctx, l, time.Now().Add(share))
		if res.Outcome != handover.NotSent {
			return res
		}
		switch {
		case res.declined:
			l.declines = append(l.declines, decline{r, res.otherwise})
		case l.deferredBy(r): // this was its second attempt
			l.declines = append(l.declines, decline{r, NotRefused})
			res.again = false
		case res.deferral > 0:
			l.deferrals = append(l.deferrals, r)
			deferral = max(deferral, res.deferral)
		}
		again = again || res.again
		if last.Code == 0 || res.Code != 0 { // a reply says more than a failure
			last = res
		}
		if ctx.Err() != nil {
			break
		}
	}
	if refusal := l.refusal(); len(l.declines) == len(l.relays) && refusal != NotRefused {
		last.Outcome, last.Refusal = handover.Refused, refusal
	}
	last.again, last.deferral = again, deferral
	if silent && !replaced { // a known outage: no wait for its end
		last.again = false
		if deferral == 0 {
			countSilence(l.relays)
		}
	}
	return last
}

// byHealth returns the relays that have not declined the letter, the healthiest first.
func (l *letter) byHealth() []*relay {
	ranks := make(map[*relay]int, len(l.relays))
	for _, r := range l.relays {
		ranks[r] = r.rank(l)
	}
	candidates := slices.DeleteFunc(slices.Clone(l.relays), l.declinedBy)
	slices.SortStableFunc(candidates, func(a, b *relay) int {
		return cmp.Or(ranks[a]-ranks[b], a.lastProbe().Compare(b.lastProbe()))
	})
	return candidates
}

// report logs how a mail was handed over.
func (p *Pool) report(l *letter, res Result) {
	level := slog.LevelDebug
	if res.Outcome == handover.Unknown {
		level = slog.LevelWarn
	}
	p.log.LogAttrs(context.Background(), level, "mail handed over", slog.Any("mail", l.message),
		slog.String("relay", res.Relay), slog.String("outcome", res.Outcome.String()), slog.String("refusal", res.Refusal.String()),
		slog.Int("code", res.Code), slog.String("queue_id", res.QueueID), slog.Any("error", res.Err))
}

// Ready returns nil when a mail could be sent now, else the reason of each relay.
func (p *Pool) Ready() error {
	var why []error
	for _, s := range p.States() {
		switch {
		case !s.Paused.IsZero():
			why = append(why, fmt.Errorf("relay %s is paused by an operator", s.Name))
			continue
		case s.Overdue > 0:
			why = append(why, errors.New(s.Reason))
			continue
		case s.usable():
			return nil
		}
		why = append(why, fmt.Errorf("relay %s: %s", s.Name, s.Reason))
	}
	return errors.Join(why...)
}

// usable reports whether the relay could take a mail now.
func (s RelayState) usable() bool {
	return s.Paused.IsZero() && s.Overdue == 0 && s.Up && (!s.Troubled || s.Failures < 3)
}

// States returns the state of each relay, in the order of the configuration.
func (p *Pool) States() []RelayState {
	relays := p.setup.Load().relays
	states := make([]RelayState, len(relays))
	for i, r := range relays {
		states[i] = r.state()
	}
	return states
}

// sleep returns false when ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
