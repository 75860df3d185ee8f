package orders

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/ratelog"
)

// Config is what a Service is made of. Zero values have the defaults named.
type Config struct {
	Journal       Journal
	SMS           Carrier               // nil: the channel is absent
	Email         Carrier               // nil: the channel is absent
	Organisations []string              // for the labels of metrics
	HintForms     map[string][]string   // by SMSC: every Hint.Form of its reports, for the labels of a metric
	SendDeadline  time.Duration         // from acceptance to the carrier's answer; 5 s
	MaxInFlight   map[Channel]int       // orders between their request and their outcome; 10,000 where absent
	Retention     time.Duration         // of orders, keys and feed; 90 days
	Log           *slog.Logger          // slog.Default()
	Registerer    prometheus.Registerer // nil: metrics are kept, but nobody sees them
}

// Service places orders and receives receipts by the rules of the package
// comment. It owns these goroutines: one for each order in flight (from Place
// until its outcome is on disk), and, while Run runs, the receivers of receipts, the deadline keeper, the sweeper, and one for each late answer that the journal
// did not take at first.
type Service struct {
	cfg      Config
	log      *slog.Logger
	metrics  *metrics
	carriers map[Channel]Carrier
	inbox    chan inbound            // of receipts, late answers and changes of block lists, which may be stored in any order
	seldom   *ratelog.Log            // what goes wrong with every receipt or order
	stop     chan struct{}           // closed when retries are to end
	away     [Email + 1]atomic.Int64 // orders, by channel, see WithCarrier
	retries  sync.WaitGroup          // of late answers, which the journal did not take at first

	mu      sync.Mutex
	flights map[flightKey]*flight
	counts  map[Channel]int // of flights
	landed  chan struct{}   // made by Drain; closed when the last flight has landed
}

var (
	// ErrNotSent: no carrier could take the message before the send deadline,
	// and it surely did not leave. The key is free to be tried again. The carrier's
	// word, where there is one, is in the text.
	ErrNotSent = errors.New("not sent: no carrier could take it in time")
	// ErrAbandoned: the caller went away. The order is carried on to its outcome.
	ErrAbandoned = errors.New("abandoned by the caller")
	// ErrNoChannel: no carrier is configured for the order's channel.
	ErrNoChannel = errors.New("channel not configured")
)

// fewLines is how many log lines of a kind are written in a minute.
const fewLines = 3

// NewService returns a service. Place works at once; receipts, deadlines and
// retention need Run.
func NewService(cfg Config) *Service {
	if cfg.SendDeadline == 0 {
		cfg.SendDeadline = 5 * time.Second
	}
	if cfg.Retention == 0 {
		cfg.Retention = 90 * 24 * time.Hour
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Service{
		cfg:      cfg,
		log:      cfg.Log,
		seldom:   ratelog.New(cfg.Log, fewLines),
		metrics:  newMetrics(cfg.Registerer, cfg.Organisations, cfg.HintForms),
		carriers: make(map[Channel]Carrier),
		inbox:    make(chan inbound, inboxSize),
		stop:     make(chan struct{}),
		flights:  make(map[flightKey]*flight),
		counts:   make(map[Channel]int),
	}
	if cfg.SMS != nil {
		s.carriers[SMS] = cfg.SMS
	}
	if cfg.Email != nil {
		s.carriers[Email] = cfg.Email
	}
	s.metrics.watch(s)
	return s
}

// Check tells everything that keeps the order from ever being sent. Call it
// before Place, which does not look again.
func (s *Service) Check(o Order) []Fault {
	carrier, ok := s.carriers[o.Message.Channel]
	if !ok {
		return []Fault{{FieldChannel, o.Message.Channel.String() + " is not set up in this service"}}
	}
	return carrier.Check(o.message())
}

// message is that of the order, as its carrier is to see it.
func (o *Order) message() Message {
	m := o.Message
	m.Organisation = o.Organisation
	return m
}

// Shipment returns the organisation's shipment, or ErrNotFound.
func (s *Service) Shipment(ctx context.Context, organisation string, id uuid.UUID) (Shipment, error) {
	return s.cfg.Journal.Shipment(ctx, organisation, id)
}

// Feed returns entries of the organisation's feed.
func (s *Service) Feed(ctx context.Context, q FeedQuery) ([]FeedEntry, error) {
	return s.cfg.Journal.Feed(ctx, q)
}

// Ready returns nil when each channel in use can send, else the reasons why not.
func (s *Service) Ready() error {
	var errs []error
	for _, c := range s.carriers {
		errs = append(errs, c.Ready())
	}
	return errors.Join(errs...)
}

// Run receives receipts, keeps deadlines and sweeps, until ctx ends. By then
// nothing may call Receive any more; what is in the inbox is still stored.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range receivers {
		wg.Go(func() { s.receive(ctx) })
	}
	wg.Go(func() { s.keepDeadlines(ctx) })
	wg.Go(func() { s.sweep(ctx) })
	wg.Wait()
	close(s.stop)
	s.retries.Wait()
	return nil
}

// sleep waits until d has passed or done is closed, and tells whether to go on.
func sleep(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-done:
		return false
	}
}
