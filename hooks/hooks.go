package hooks

import (
	"cmp"
	"context"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/ratelog"
	"straks/orders"
)

// Defaults and bounds.
const (
	DefaultTimeout = 15 * time.Second
	MaxInFlight    = 64
	// GiveUp is how long an entry is tried before it is passed over.
	GiveUp = 3 * 24 * time.Hour
	// CursorRetention is how long the cursor of a webhook is kept that is not in the configuration any more.
	CursorRetention = 30 * 24 * time.Hour

	// pageSize is how many entries a webhook reads at a time.
	pageSize = 100
	// maxReaders bounds the webhooks that read the feed at a time.
	maxReaders = 2
)

// Webhook is one receiver's subscription to an organisation's feed.
type Webhook struct {
	Organisation  string
	Name          string // within the organisation
	URL           string // http or https, with a host, without a user
	Secret        Secret
	FormerSecret  Secret // signs too, while a receiver still has it; may be none
	Verifications bool   // the feed of verifications, in place of that of shipments
	FinalOnly     bool   // only entries whose status is final
	FromOldest    bool   // a new webhook begins with the oldest entry that is kept; false: with the next new one
	MaxInFlight   int    // requests at a time, 1 to MaxInFlight; 0: 1
	Timeout       time.Duration
	Authorities   *x509.CertPool // that sign the receiver's certificate; nil: the system's
	Networks      []netip.Prefix // to which the receiver's name may lead; empty: all but loopback, link-local and the like
}

// Feed is where the dispatcher reads what became of shipments.
type Feed interface {
	Feed(ctx context.Context, q orders.FeedQuery) ([]orders.FeedEntry, error)
	// Changed returns a channel that is closed at the next entry of the organisation.
	Changed(organisation string) <-chan struct{}
}

// Config is what a Dispatcher needs.
type Config struct {
	Webhooks      []Webhook
	Feed          Feed
	Verifications Source // may be nil where no webhook asks for it
	Cursors       orders.Cursors
	Encode        func(orders.FeedEntry) []byte // an entry as the API's feed has it
	UserAgent     string
	Log           *slog.Logger
	Registerer    prometheus.Registerer

	// Of tests.
	giveUp, firstPause time.Duration // 0: GiveUp, firstPause
}

// Dispatcher sends to all webhooks.
type Dispatcher struct {
	cfg           Config
	shipments     Source
	subscriptions []*Subscription
	metrics       *metrics
	sampled       *ratelog.Log
	readers       chan struct{}
	flushNow      chan struct{}
}

// New returns a dispatcher. Before Begin and Run nothing is read or sent.
func New(cfg Config) *Dispatcher {
	cfg.giveUp, cfg.firstPause = cmp.Or(cfg.giveUp, GiveUp), cmp.Or(cfg.firstPause, firstPause)
	d := &Dispatcher{cfg: cfg, shipments: shipments{cfg.Feed, cfg.Encode}, sampled: ratelog.New(cfg.Log, 5), readers: make(chan struct{}, maxReaders), flushNow: make(chan struct{}, 1)}
	for _, w := range cfg.Webhooks {
		w.MaxInFlight = min(max(w.MaxInFlight, 1), MaxInFlight)
		if w.Timeout <= 0 {
			w.Timeout = DefaultTimeout
		}
		s := &Subscription{d: d, hook: w, kick: make(chan struct{}, 1), acked: make(map[uint64]bool)}
		s.log = cfg.Log.With("organisation", w.Organisation, "webhook", w.Name)
		s.source = d.shipments
		if w.Verifications {
			s.source = cfg.Verifications
		}
		host := ""
		if u, err := url.Parse(w.URL); err == nil {
			s.host, host = u.Host, u.Hostname()
		}
		s.transport = newTransport(&s.hook, addresses{w.Networks, Loopback(host)}.dialer())
		d.subscriptions = append(d.subscriptions, s)
	}
	d.metrics = newMetrics(cfg.Registerer, d)
	return d
}

// Begin reads the cursors, and stores those of new webhooks: what enters the feed after it has returned is sent. A
// cursor that can't be read or stored now is tried again by Run.
func (d *Dispatcher) Begin(ctx context.Context) {
	for _, s := range d.subscriptions {
		_ = s.load(ctx)
	}
	d.reportOrphans(ctx)
}

// Again has each webhook read its cursor again when Run begins: another process has sent since it was read. It must
// not be called while Run runs.
func (d *Dispatcher) Again() {
	for _, s := range d.subscriptions {
		s.mu.Lock()
		s.cursor, s.loaded, s.dirty = orders.Cursor{}, false, false
		s.mu.Unlock()
		s.failures, s.passed = 0, 0
	}
}

// Run sends until ctx ends. Then requests that are out have grace to end, and the cursors are stored. It may be called again
// after it has returned.
func (d *Dispatcher) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for _, s := range d.subscriptions {
		workers.Go(func() { s.run(ctx) })
	}
	d.keepCursors(ctx)
	workers.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	d.flush(last)
	return ctx.Err()
}
