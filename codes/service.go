package codes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/ratelog"
	"straks/orders"
)

// Bounds and defaults of a verification.
const (
	MinLength, MaxLength, DefaultLength       = 4, 10, 6
	MinAttempts, MaxAttempts, DefaultAttempts = 1, 10, 5
	MinTTL, MaxTTL, DefaultTTL                = time.Minute, time.Hour, 5 * time.Minute
	MaxResendAfter, DefaultResendAfter        = time.Hour, 30 * time.Second // at least a second
	// MaxMessages is how many messages a verification may have.
	MaxMessages = 10
	// mailTTL is how long reports about a mail are waited for, as with every mail.
	mailTTL = 48 * time.Hour
)

// Config is what a Service is made of.
type Config struct {
	Keys          Keys // Active is required
	Store         Store
	Orders        *orders.Service
	Templates     []Template
	Language      string            // of requests that ask for none that a template has
	Apps          map[string]string // {app}, by organisation; absent: its name
	Organisations []string          // for the labels of metrics
	Retention     time.Duration     // of verifications that have ended, of idempotencyIds, and of the feed; orders.DefaultRetention
	Now           func() time.Time  // time.Now
	Log           *slog.Logger
	Registerer    prometheus.Registerer

	// Elsewhere reports whether another node can send the message of an order, and this one can't. Nil: there is no other node.
	Elsewhere func(orders.Order) bool

	// Used is told how each verification ends, and to whom its last message went: whether the code was used. Codes that
	// nobody uses are a sign of numbers that are paid for traffic. May be nil.
	Used func(organisation string, to Address, used bool)
}

// Service makes verifications, sends their codes and checks them. It owns the goroutine of Run, and none else.
type Service struct {
	cfg       Config
	templates map[string]*Template
	changes   orders.Changes
	sampled   *ratelog.Log
	metrics   *metrics
	ahead     atomic.Int64  // nanoseconds by which Forward has moved the clock
	wake      chan struct{} // the keeper: something may be due earlier
}

// New returns a service. Ends and messages on another channel need Run.
func New(cfg Config) *Service {
	cfg.Retention = cmp.Or(cfg.Retention, orders.DefaultRetention)
	cfg.Log = cmp.Or(cfg.Log, slog.Default())
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Service{cfg: cfg, templates: make(map[string]*Template), sampled: ratelog.New(cfg.Log, 3), wake: make(chan struct{}, 1)}
	builtIn := BuiltIn()
	s.templates[builtIn.Name] = &builtIn
	for i := range cfg.Templates {
		s.templates[cfg.Templates[i].Name] = &cfg.Templates[i]
	}
	s.metrics = newMetrics(cfg.Registerer, cfg.Organisations)
	return s
}

// Template returns the template of a name, nil where there is none.
func (s *Service) Template(name string) *Template { return s.templates[name] }

// DefaultLanguage is the language of requests that ask for none that a template has.
func (s *Service) DefaultLanguage() string { return s.cfg.Language }

func (s *Service) now() time.Time {
	return s.cfg.Now().UTC().Add(time.Duration(s.ahead.Load()))
}

// Forward moves the clock of this service ahead, so that a person who tries it out need not wait until a code expires.
func (s *Service) Forward(by time.Duration) {
	s.ahead.Add(int64(by))
	s.hurry()
}

// Errors, beside those of orders.Service.
var (
	// ErrNotFound: there is no such verification, or it is another organisation's.
	ErrNotFound = errors.New("no such verification")
	// ErrNoChannel: a verification has no address on the channel.
	ErrNoChannel = errors.New("the verification has no address on this channel")
)

// EndedError is the answer about a verification that has ended.
type EndedError struct {
	ID     uuid.UUID
	Status Status
}

func (e *EndedError) Error() string { return "the verification is " + string(e.Status) }

// LimitError is the answer where a recipient has too many verifications, messages or wrong codes.
type LimitError struct {
	Limit string        // for the caller, a whole sentence
	After time.Duration // until it may be otherwise
}

func (e *LimitError) Error() string { return e.Limit }

// State is a verification as its organisation sees it.
type State struct {
	Verification
	Status   Status           // at the time of the call
	Shipment *orders.Shipment // of the message that the call is about: the last one, or that of its idempotencyId; nil: it was not sent
	Created  bool             // by this call
}

// Get returns a verification, with the shipment of its last message.
func (s *Service) Get(ctx context.Context, organisation string, id uuid.UUID) (State, error) {
	v, err := s.view(ctx, organisation, id)
	if err != nil {
		return State{}, err
	}
	return s.state(ctx, &v, len(v.Channels))
}

// view returns a verification as it is stored.
func (s *Service) view(ctx context.Context, organisation string, id uuid.UUID) (v Verification, err error) {
	err = s.cfg.Store.ViewCodes(ctx, func(r Reader) error {
		found, ok, err := verification(r, id)
		if err == nil && (!ok || found.Organisation != organisation) {
			err = ErrNotFound
		}
		v = found
		return err
	})
	return v, err
}

// state returns a verification with the shipment of a message, which is not sent now.
func (s *Service) state(ctx context.Context, v *Verification, message int) (State, error) {
	st := State{Verification: *v, Status: v.StatusAt(s.now())}
	key := s.cfg.Keys.find(v.KeyID)
	if key == nil {
		return st, nil
	}
	shipment, known, err := s.cfg.Orders.Repeated(ctx, orders.Order{Organisation: v.Organisation, Key: key.orderKey(v.ID, message),
		Message: orders.Message{Channel: v.Channels[message-1]}})
	switch {
	case errors.Is(err, orders.ErrNotSent):
		return st, nil
	case err != nil:
		return st, err
	case known:
		st.Shipment = &shipment
	}
	return st, nil
}

// Cancel ends a pending verification. One that has ended stays as it is: cancelling twice is no fault.
func (s *Service) Cancel(ctx context.Context, organisation string, id uuid.UUID) error {
	var ended *Verification
	var err error
	failed := s.cfg.Store.UpdateCodes(ctx, func(tx Tx) error {
		ended, err = nil, nil
		v, ok, failed := verification(tx, id)
		if failed != nil {
			return failed
		}
		if !ok || v.Organisation != organisation {
			err = ErrNotFound
			return nil
		}
		now := s.now()
		switch status := v.StatusAt(now); status {
		case Pending:
			before := v
			v.end(Cancelled, now)
			ended = &before
			return s.store(tx, &v, true, now)
		case Cancelled:
		default:
			err = &EndedError{id, status}
		}
		return nil
	})
	if failed != nil {
		return failed
	}
	if ended != nil {
		s.ended(ended, Cancelled)
	}
	return err
}

// store stores a verification. changed says that its status is a new one.
func (s *Service) store(tx Tx, v *Verification, changed bool, now time.Time) error {
	if changed && v.Status.Final() {
		all, err := places(tx, v.Addresses)
		if err != nil {
			return err
		}
		for _, p := range all {
			p.ended(v.ID)
			if err := p.put(tx, now); err != nil {
				return err
			}
		}
	}
	if changed {
		if err := appendEntry(tx, v); err != nil {
			return err
		}
	}
	return put(tx, Verifications, v.ID[:], v, v.Due(s.cfg.Retention))
}

// ended counts and tells that a verification has ended. v is as it was before.
func (s *Service) ended(v *Verification, as Status) {
	s.changes.Happened(v.Organisation)
	s.metrics.status(v.Organisation, as)
	to, err := s.addresses(v)
	if err != nil || len(to) == 0 {
		return // of a key that is gone
	}
	a, ok := on(to, v.Channels[len(v.Channels)-1])
	if !ok {
		return
	}
	s.metrics.used(a, as == Approved)
	if s.cfg.Used != nil {
		s.cfg.Used(v.Organisation, a, as == Approved)
	}
}

// codeOf returns the code of a verification; false where its key is gone.
func (s *Service) codeOf(v *Verification) (string, bool) {
	key := s.cfg.Keys.find(v.KeyID)
	if key == nil {
		return "", false
	}
	return key.codeOf(v.ID, v.Subject, v.Alphabet, v.Length), true
}

// fault logs, a few times a minute, what keeps a verification from working.
func (s *Service) fault(what string, v *Verification, err error) {
	s.sampled.Write(what, slog.LevelError, what, slog.String("verification", v.ID.String()), slog.String("organisation", v.Organisation),
		slog.Any("err", err))
}

var errKeyGone = errors.New("its key is not in the configuration any more")

// stoppedError returns the error of a recipient that is stopped.
func stoppedError(after time.Duration) error {
	return &LimitError{fmt.Sprintf("There were %d wrong codes for this recipient within an hour: it is stopped for an hour.", MaxWrong), after}
}
