package orders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/ratelog"
)

const (
	DefaultSendDeadline = 5 * time.Second
	DefaultRetention    = 90 * 24 * time.Hour
	DefaultReceiptWait  = time.Second
	DefaultQueue        = 1024        // orders that wait for a journal's writer; and four times as many facts
	DefaultStallAfter   = time.Second // for which a journal's writer may be busy with one transaction
)

// Config is what a Service is made of. Zero values have the defaults named.
type Config struct {
	Journal       Journal
	SMS           Carrier               // nil: the channel is absent
	Email         Carrier               // nil: the channel is absent
	Limiter       Limiter               // nil: orders have no limits
	Settled       func(*Shipment)       // is called with each shipment that got its final status for the first time; nil: is not
	Organisations []string              // for the labels of metrics
	Relays        []string              // likewise
	HintForms     map[string][]string   // by SMSC: every MismatchHint.Form of its reports, for the labels of a metric
	SendDeadline  time.Duration         // from an order's admission to the carrier's answer; DefaultSendDeadline
	StallAfter    time.Duration         // for which the journal may be busy with one transaction; DefaultStallAfter at the least
	AtWork        int                   // orders of a channel that are stored or answered at a time; 32 for each of GOMAXPROCS
	MaxInFlight   int                   // orders of a channel between their admission and their outcome on disk; 10,000
	Retention     func() Retention      // of orders, keys and feed; nil: DefaultRetention
	Now           func() time.Time      // the clock of everything that is stored; time.Now
	Log           *slog.Logger          // slog.Default()
	Registerer    prometheus.Registerer // nil: metrics are not exported

	// Heads returns the newest number of each feed to which several processes append. Nil: this one alone does.
	Heads func(context.Context) (map[string]uint64, error)

	// ReceiptWait returns how long a receipt of the carrier may wait for its commit; then the carrier is asked to send it
	// again. Nil: DefaultReceiptWait.
	ReceiptWait func(carrier string) time.Duration
}

// Service places orders and receives receipts by the rules of the package
// comment. It owns these goroutines: one for each order in flight (from Place
// until its outcome is on disk), and, while Run runs, the receivers of receipts, the deadline
// keeper, the keeper of unanswered shipments, the sweeper, and one for each late answer that the journal could not store at first.
type Service struct {
	cfg        Config
	log        *slog.Logger
	sampled    *ratelog.Log // errors that every receipt or order may cause
	metrics    *metrics
	carriers   map[Channel]Carrier
	admissions map[Channel]*admission
	changes    Changes
	inbox      *inbox         // of receipts, late answers and changes of block lists, which may be stored in any order
	stop       chan struct{}  // closed when retries must end
	retries    sync.WaitGroup // of late answers, which the journal did not take at first

	mu      sync.Mutex
	orders  map[orderKey]*inFlight
	drained chan struct{} // made by Drain; closed when no order is in flight any more
}

var (
	// ErrNotSent: no carrier could take the message before the send deadline,
	// and it surely did not leave. The key is free to be tried again. The carrier's
	// error, if there is one, is in the text.
	ErrNotSent = errors.New("not sent: no carrier could take it in time")
	// ErrHeld: another process has an order with the key in flight, whose outcome is not
	// known yet. This call sent nothing; repeat it.
	ErrHeld = errors.New("in flight elsewhere, with no outcome yet")
	// ErrAbandoned: the caller went away. An order that was admitted is carried on to its outcome.
	ErrAbandoned = errors.New("abandoned by the caller")
	// ErrNoChannel: no carrier is configured for the order's channel.
	ErrNoChannel = errors.New("channel not configured")
)

// fewLines is how many log lines of a kind are written in a minute.
const fewLines = 3

// NewService returns a service. Place works at once; receipts, deadlines and
// retention need Run.
func NewService(cfg Config) *Service {
	cfg.SendDeadline = cmp.Or(cfg.SendDeadline, DefaultSendDeadline)
	cfg.StallAfter = max(cfg.StallAfter, DefaultStallAfter)
	cfg.AtWork = cmp.Or(cfg.AtWork, 32*runtime.GOMAXPROCS(0))
	cfg.MaxInFlight = cmp.Or(cfg.MaxInFlight, 10_000)
	if cfg.Retention == nil {
		cfg.Retention = func() Retention { return Retention{All: DefaultRetention} }
	}
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	if cfg.ReceiptWait == nil {
		cfg.ReceiptWait = func(string) time.Duration { return DefaultReceiptWait }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{
		cfg:        cfg,
		log:        cfg.Log,
		sampled:    ratelog.New(cfg.Log, fewLines),
		metrics:    newMetrics(cfg.Registerer, cfg.Organisations, cfg.Relays, cfg.HintForms),
		carriers:   make(map[Channel]Carrier),
		admissions: make(map[Channel]*admission),
		inbox:      newInbox(),
		stop:       make(chan struct{}),
		orders:     make(map[orderKey]*inFlight),
	}
	for channel, carrier := range map[Channel]Carrier{SMS: cfg.SMS, Email: cfg.Email} {
		if carrier != nil {
			s.carriers[channel] = carrier
		}
		s.admissions[channel] = newAdmission(channel, cfg.AtWork, cfg.MaxInFlight, s.metrics)
	}
	s.metrics.watch(s)
	return s
}

// Check returns every fault that keeps the order from ever being sent. Call it
// before Place, which does not look again.
func (s *Service) Check(o Order) []Fault {
	carrier, ok := s.carriers[o.Message.Channel]
	if !ok {
		return []Fault{{FieldChannel, o.Message.Channel.String() + " is not set up in this service"}}
	}
	return carrier.Check(o.message())
}

// Reach returns the SMSCs or relays that the order's message may go to, and whether one of them could take it now.
func (s *Service) Reach(o Order) (carriers []string, now bool) {
	carrier, ok := s.carriers[o.Message.Channel]
	if !ok {
		return nil, false
	}
	return carrier.Reach(o.message())
}

// message is that of the order, as its carrier is to see it.
func (o *Order) message() Message {
	m := o.Message
	m.Organisation = o.Organisation
	return m
}

// Working reports whether an order is being stored or answered now.
func (s *Service) Working() bool {
	for _, a := range s.admissions {
		if a.load().atWork > 0 {
			return true
		}
	}
	return false
}

// Shipment returns the organisation's shipment, or ErrNotFound.
func (s *Service) Shipment(ctx context.Context, organisation string, id uuid.UUID) (Shipment, error) {
	return s.cfg.Journal.Shipment(ctx, organisation, id)
}

// Feed returns entries of the organisation's feed.
func (s *Service) Feed(ctx context.Context, q FeedQuery) ([]FeedEntry, error) {
	return s.cfg.Journal.Feed(ctx, q)
}

// Find returns shipments of all organisations, for operators.
func (s *Service) Find(ctx context.Context, q FindQuery) ([]Shipment, error) {
	return s.cfg.Journal.Find(ctx, q)
}

// Blocks returns entries of block lists.
func (s *Service) Blocks(ctx context.Context, q BlockQuery) (BlockPage, error) {
	return s.cfg.Journal.Blocks(ctx, q)
}

// Ready returns nil when each channel in use can send, else the reasons why not.
func (s *Service) Ready() error {
	var errs []error
	for _, c := range s.carriers {
		errs = append(errs, c.Ready())
	}
	return errors.Join(errs...)
}

// ReadyFor returns nil when the channel can send, else the reason why not.
func (s *Service) ReadyFor(channel Channel) error {
	c, ok := s.carriers[channel]
	if !ok {
		return fmt.Errorf("%w: %v", ErrNoChannel, channel)
	}
	return c.Ready()
}

// Run receives receipts, keeps deadlines, settles unanswered shipments and sweeps, until ctx ends. By then
// nothing may call Receive any more; what is in the inbox is still stored.
func (s *Service) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range receivers {
		wg.Go(func() { s.receive(ctx) })
	}
	wg.Go(func() { s.keepDeadlines(ctx) })
	wg.Go(func() { s.keepUnanswered(ctx) })
	wg.Go(func() { s.sweep(ctx) })
	if s.cfg.Heads != nil {
		wg.Go(func() { s.followHeads(ctx) })
	}
	wg.Wait()
	close(s.stop)
	s.retries.Wait()
	return nil
}

// sleep waits until d has passed or done is closed, and reports whether d has passed.
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
