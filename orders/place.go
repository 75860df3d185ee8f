package orders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
)

// acceptWait is how long an order waits to be stored. Who has to wait longer is
// better told to come again, or to go elsewhere.
const acceptWait = 2 * time.Second

// settleWait is how long an order whose outcome is known waits for it to be on
// disk before its caller is answered anyway; see settle.
const settleWait = time.Second

// ownTries is how often a call is made at the most that the journal fails for what it has
// of its shipment or key. That can hardly be read ever again, but a page of a disk that
// mends itself: about a minute.
const ownTries = 35

// Place carries the order to its outcome. created is false where the key was
// known: then the shipment is the one of the first time, and nothing is sent.
//
// Without an error the order is stored and the carrier took it, refused it for
// good, or may have it (the shipment's status says which). Errors: ErrNotSent,
// ErrUnavailable and ErrBusy leave the key free; ErrAbandoned when ctx ends
// first, the order being carried on; ErrNoChannel.
func (s *Service) Place(ctx context.Context, o Order) (Shipment, bool, error) {
	if s.carriers[o.Message.Channel] == nil {
		return Shipment{}, false, ErrNoChannel
	}
	f, first, err := s.board(flightKey{o.Organisation, o.Key}, o.Message.Channel)
	if err != nil {
		s.metrics.order(&o, "busy")
		return Shipment{}, false, err
	}
	if first {
		go s.fly(context.WithoutCancel(ctx), f, &o)
	}
	shipment, err := f.wait(ctx)
	return shipment, err == nil && f.created && first, err
}

// fly is the whole way of one order. It goes on when the caller has left. Of its two
// halves one is off the stack before the other begins: together they need more than
// 8 KiB, and Go would copy the stack once more for every order.
func (s *Service) fly(ctx context.Context, f *flight, o *Order) {
	defer s.land(f)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.SendDeadline)
	defer cancel()
	if shipment, ok := s.begin(ctx, f, o); ok {
		s.handOver(ctx, f, o, &shipment)
	}
}

// begin stores the order, and tells whether it is to be handed over now. Otherwise
// whoever waits has been told what became of it.
func (s *Service) begin(ctx context.Context, f *flight, o *Order) (Shipment, bool) {
	leave, err := s.admit(ctx, o)
	if err != nil {
		s.metrics.order(o, handover.NotSent.String())
		f.tell(Shipment{}, false, err)
		return Shipment{}, false
	}
	started := time.Now()
	in := intake(o, started, s.cfg.SendDeadline)
	o.Message.Expires = started.Add(o.TTL) // which a step of the wall clock does not move
	shipment, claimed, err := s.accept(ctx, in)
	leave()
	s.metrics.stage(o, stageAccept, started)
	switch {
	case errors.Is(err, ErrBusy): // nothing of it was stored
		s.metrics.order(o, "busy")
		f.tell(Shipment{}, false, err)
	case err != nil:
		s.metrics.order(o, "unavailable")
		f.tell(Shipment{}, false, storeError(err))
		if errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrNotStored) {
			s.release(f, in)
		}
	case !claimed:
		s.metrics.order(o, "repeated")
		f.tell(shipment, false, nil)
	case shipment.Status.Final(): // on the block list
		s.metrics.order(o, "blocked")
		f.tell(shipment, true, nil)
	default:
		return shipment, true
	}
	return Shipment{}, false
}

// admit turns an order away for which its carrier has no room, before two commits are
// spent on it, and keeps room for any other until leave is called. One whose key is
// known has its answer in the journal.
func (s *Service) admit(ctx context.Context, o *Order) (leave func(), err error) {
	leave, why := s.carriers[o.Message.Channel].Admit(o.message())
	if why == nil {
		return leave, nil
	}
	if _, known, err := s.cfg.Journal.Known(ctx, o.Organisation, o.Key, time.Now()); known || err != nil {
		return func() {}, nil // Accept tells
	}
	return nil, notSent(why.Error())
}

// accept stores the order, on a disk that is not too slow for it.
func (s *Service) accept(ctx context.Context, in Intake) (Shipment, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, acceptWait)
	defer cancel()
	return s.cfg.Journal.Accept(ctx, in)
}

// claimMargin is how long after the send deadline the claim of an order ends: time to store that
// the order was not sent.
const claimMargin = 2 * time.Second

// intake gives the order its ids. A retried key keeps those of the first time.
func intake(o *Order, at time.Time, send time.Duration) Intake {
	return Intake{
		Shipment: uuid.Must(uuid.NewV7()), OrderID: uuid.Must(uuid.NewV7()), Claim: uuid.New(),
		Key: o.Key, At: at.UTC(), ClaimFor: send + claimMargin,
		Organisation: o.Organisation, SendersReference: o.SendersReference,
		Channel: o.Message.Channel, Recipient: o.Message.To, TTL: o.TTL,
	}
}

// storeError makes ErrUnavailable of whatever the journal returned.
func storeError(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return errors.Join(ErrUnavailable, err)
}

// handOver sends the message of a claimed shipment and settles its outcome.
func (s *Service) handOver(ctx context.Context, f *flight, o *Order, shipment *Shipment) {
	m := o.message()
	m.Shipment = shipment.ID
	started := time.Now()
	h := s.send(ctx, m)
	s.metrics.stage(o, stageHandOver, started)
	s.metrics.order(o, h.Outcome.String())

	started = time.Now()
	s.settle(f, shipment, Answer{
		Shipment: shipment.ID, Claim: shipment.Claim, At: time.Now().UTC(),
		Outcome: h.Outcome, Status: h.Status, Carrier: h.Carrier,
		Total: h.Total, Parts: h.Parts, Detail: h.Detail,
	})
	s.metrics.stage(o, stageSettle, started)
}

// send hands over, and counts the order while that lasts.
func (s *Service) send(ctx context.Context, m Message) Handover {
	s.away[m.Channel].Add(1)
	defer s.away[m.Channel].Add(-1)
	return s.carriers[m.Channel].Send(ctx, m)
}

// WithCarrier returns how many orders of the channel are with their carrier, or
// wait for a place there: they are in flight, but burden nothing here.
func (s *Service) WithCarrier(c Channel) int64 { return s.away[c].Load() }

// Full tells that the channel's carrier has no room for any order.
func (s *Service) Full(c Channel) bool { return s.carriers[c] != nil && s.carriers[c].Full() }

// settle stores the answer and tells the caller. Should the journal not take it
// within settleWait the caller is told all the same, since what it is told is
// true (the order is stored, and the carrier did what it did), and the answer
// is stored as soon as the journal lets it. Until then the flight is up, so
// that the key cannot be tried again on what the journal does not know yet.
func (s *Service) settle(f *flight, shipment *Shipment, a Answer) {
	known := func(now Shipment, free bool) {
		switch {
		case a.Outcome != handover.NotSent:
			f.tell(now, true, nil)
		case free:
			f.tell(Shipment{}, false, notSent(a.Detail))
		default:
			f.tell(Shipment{}, false, ErrUnavailable)
		}
	}
	s.persist(a, func(e Effect, err error) {
		if err == nil {
			s.applied(a, e)
			s.land(f) // first, so that who is told to try again can
			known(e.Shipment, e.Shipment.Status.Free() || e.Shipment.Claim != a.Claim)
			return
		}
		s.seldom.Write("outcomes", slog.LevelError, "outcome not stored, trying again",
			slog.Any("shipment", a.Shipment), slog.String("outcome", a.Outcome.String()), slog.Any("err", err))
		shipment.Answer(a)
		known(*shipment, false)
	})
}

// notSent is ErrNotSent with the carrier's word.
func notSent(detail string) error {
	if detail == "" {
		return ErrNotSent
	}
	return fmt.Errorf("%w: %s", ErrNotSent, detail)
}

// persist stores an event about a shipment, however often it takes, and reports each try.
func (s *Service) persist(a Answer, tried func(Effect, error)) {
	s.insist(a.Shipment, func(ctx context.Context) error {
		effects, err := s.cfg.Journal.Apply(ctx, []Event{a})
		if err != nil {
			tried(Effect{}, err)
			return err
		}
		tried(effects[0], nil)
		return nil
	})
}

// insist calls until there is no error, or the service ends. It lets a call take
// longer each time: on a disk that is slow for long, things get done all the same. It
// gives up on a call that fails by itself: that would hold its order's place for ever, and
// keep others from sharing a transaction.
func (s *Service) insist(shipment uuid.UUID, call func(context.Context) error) {
	own := 0
	for pause, wait := 50*time.Millisecond, settleWait; ; pause, wait = min(2*pause, 2*time.Second), min(2*wait, 16*settleWait) {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		err := call(ctx)
		cancel()
		if ofTheCall(err) {
			own++
		}
		if own == ownTries {
			s.metrics.givenUp.Inc()
			s.log.Error("outcome given up: what the journal has of it can't be read; see straks journal check", "shipment", shipment, "err", err)
			return
		}
		if err == nil || !sleep(s.stop, pause) {
			return
		}
	}
}

// release makes the key of an order free again of which nobody knows whether
// it was stored. Nothing of it was sent.
func (s *Service) release(f *flight, in Intake) {
	s.insist(in.Shipment, func(ctx context.Context) error {
		shipment, claimed, err := s.cfg.Journal.Accept(ctx, in)
		if err == nil && claimed && !shipment.Status.Final() {
			a := Answer{Shipment: shipment.ID, Claim: in.Claim, At: time.Now().UTC(), Outcome: handover.NotSent, Detail: "journal unavailable"}
			s.persist(a, func(Effect, error) {})
		}
		return err
	})
}
