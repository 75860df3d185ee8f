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

// acceptWait bounds how long an order waits to be stored: on a disk that is not too slow, in the transaction
// after the one that is under way. A caller that would wait longer should be told to retry.
func (s *Service) acceptWait() time.Duration { return 2 * s.cfg.StallAfter }

// settleWait is how long an order whose outcome is known waits for it to be on
// disk before its caller is answered anyway; see settle.
func (s *Service) settleWait() time.Duration { return s.cfg.StallAfter }

// ownTries bounds the attempts at a call that fails because the journal cannot read the
// record it is about. Such a record rarely becomes readable again; 35 attempts take about a minute.
const ownTries = 35

// Place carries the order to its outcome. created is false where the key was
// known: then the shipment is the one of the first time, and nothing is sent.
//
// Without an error the order is stored and the carrier took it, refused it for
// good, or may have it (the shipment's status says which). Errors: ErrNotSent, ErrBusy and
// ErrUnavailable, of an order that this call did not send; ErrAbandoned when ctx ends
// first: an order that was admitted is carried on; ErrNoChannel.
func (s *Service) Place(ctx context.Context, o Order) (Shipment, bool, error) {
	if s.carriers[o.Message.Channel] == nil {
		return Shipment{}, false, ErrNoChannel
	}
	f, first := s.start(orderKey{o.Organisation, o.Key}, o.Message.To)
	if first {
		lane := s.carriers[o.Message.Channel].Lane(o.message())
		if !s.refusedAtOnce(ctx, f, &o, lane) {
			go s.carry(context.WithoutCancel(ctx), f, &o, lane)
		}
	}
	shipment, err := f.wait(ctx)
	return shipment, err == nil && f.created && first, err
}

// refusedAtOnce refuses an order whose organisation is overloaded in its lane and whose key is not known, and reports whether
// it did. It does what admit would, in the caller's goroutine: in an overload, the cost of a refusal decides
// how much is left for the orders that are sent.
func (s *Service) refusedAtOnce(ctx context.Context, f *inFlight, o *Order, lane Lane) bool {
	err := s.admissions[o.Message.Channel].overload(lane, o.Organisation)
	if err == nil {
		return false
	}
	if _, known, failed := s.cfg.Journal.Known(ctx, o.Organisation, o.Key, s.cfg.Now()); known || failed != nil {
		return false
	}
	s.refused(f, o, err)
	s.forget(f)
	return true
}

// carry is the whole way of one order. It goes on when the callers have left.
func (s *Service) carry(ctx context.Context, f *inFlight, o *Order, lane Lane) {
	defer s.forget(f)
	ctx, cancel := context.WithTimeout(ctx, longestWait+s.cfg.SendDeadline)
	defer cancel()
	parts, most := s.carriers[o.Message.Channel].Estimate(o.message())
	if s.count(ctx, f, o, most) {
		s.sent(ctx, f, o, lane, parts, most)
		f.counted(Cost{}, false) // where all callers had left
	}
}

// sent is carry for an order that is counted.
func (s *Service) sent(ctx context.Context, f *inFlight, o *Order, lane Lane, parts int, most Cost) {
	p := s.admit(ctx, f, o, lane)
	if p == nil {
		return
	}
	defer p.release()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.SendDeadline)
	defer cancel()
	if c, ok := s.claim(ctx, f, p, o, parts, most); ok {
		s.handOver(ctx, f, p, o, c)
	}
}

// admit returns the permit of an order, perhaps after a wait. It returns nil if it finished the
// order, or if all callers have left. An order that can't be admitted at once is looked up first:
// a key that is known is not refused, and need not wait.
func (s *Service) admit(ctx context.Context, f *inFlight, o *Order, lane Lane) *permit {
	a := s.admissions[o.Message.Channel]
	if p := a.try(lane, o.Organisation); p != nil {
		return p
	}
	if shipment, known, err := s.known(ctx, o); s.repeat(f, o, shipment, known, err) {
		return nil
	}
	for {
		p, err := a.wait(lane, o.Organisation, o.octets(), &f.callers)
		switch {
		case err != nil:
			s.refused(f, o, err)
			return nil
		case p != nil:
			return p
		case s.forgetAbandoned(f):
			return nil
		}
	}
}

// refused finishes an order for which there was no room, and logs some of those.
func (s *Service) refused(f *inFlight, o *Order, err error) {
	s.metrics.order(o, "busy")
	channel := o.Message.Channel.String()
	attrs := []slog.Attr{slog.String("channel", channel), slog.Any("err", err)}
	kind := "refused " + channel
	if r := (*refusal)(nil); errors.As(err, &r) {
		attrs, kind = append(attrs, r.attrs()...), kind+" "+r.organisation+" "+r.lane
	}
	s.sampled.Write(kind, slog.LevelWarn, "order refused: more come than can be sent in time", attrs...)
	f.finish(Shipment{}, false, err)
}

// storedOrder is an order on disk that must be handed over now.
type storedOrder struct {
	shipment *Shipment
	started  time.Time     // acceptance, by the monotonic clock too
	stored   time.Duration // how long after that it was on disk
}

// claim stores the order, and reports whether it must be handed over now. If not, the order is
// finished.
func (s *Service) claim(ctx context.Context, f *inFlight, p *permit, o *Order, parts int, most Cost) (storedOrder, bool) {
	for {
		started := time.Now()
		in := acceptRequest(o, s.cfg.Now(), s.claimFor(), parts)
		in.Cost = most
		o.Message.Expires = started.Add(o.TTL) // which a step of the wall clock does not move
		s.claims(f, in.Shipment)
		shipment, ours, err := s.accept(ctx, in)
		s.metrics.stage(o, stageAccept, started)
		switch {
		case errors.Is(err, ErrBusy): // nothing of it was stored
			s.refused(f, o, err)
		case err != nil:
			s.metrics.order(o, "unavailable")
			f.finish(Shipment{}, false, storeError(err))
			if errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrNotStored) {
				s.free(p, in)
			}
		case ours && shipment.Status.Final(): // on the block list
			outcome := "blocked"
			if shipment.Status == EmailFailedSuppressedRecipient {
				outcome = "suppressed"
			}
			s.metrics.order(o, outcome)
			s.changes.Happened(o.Organisation)
			f.finish(shipment, true, nil)
		case ours:
			s.claims(f, shipment.ID) // that of the first time, where the key is tried again
			return storedOrder{&shipment, started, time.Since(started)}, true
		case s.elsewhere(ctx, f, p, o, shipment): // and free by now
			continue
		}
		return storedOrder{}, false
	}
}

// accept stores the order, on a disk that is not too slow for it.
func (s *Service) accept(ctx context.Context, in AcceptRequest) (Shipment, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, s.acceptWait())
	defer cancel()
	return s.cfg.Journal.Accept(ctx, in)
}

// claimMargin is how long after the send deadline the claim of an order ends: time to store that
// the order was not sent.
const claimMargin = 2 * time.Second

// acceptRequest gives the order its ids. A retried key keeps those of the first time.
func acceptRequest(o *Order, at time.Time, claimFor time.Duration, parts int) AcceptRequest {
	return AcceptRequest{
		Shipment: uuid.Must(uuid.NewV7()), OrderID: uuid.Must(uuid.NewV7()), Claim: uuid.New(),
		Key: o.Key, At: at.UTC(), ClaimFor: claimFor,
		Organisation: o.Organisation, SendersReference: o.SendersReference,
		Channel: o.Message.Channel, Recipient: o.Message.To, TTL: o.TTL, Total: parts,
	}
}

// storeError makes ErrUnavailable of any error that the journal returned.
func storeError(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// handOver sends the message of a claimed shipment and settles its outcome.
func (s *Service) handOver(ctx context.Context, f *inFlight, p *permit, o *Order, c storedOrder) {
	m, shipment := o.message(), c.shipment
	m.Shipment, m.Reference = shipment.ID, messageReference(shipment.Claim)
	started := time.Now()
	p.handOver()
	h := s.carriers[m.Channel].Send(ctx, m)
	p.answered()
	s.metrics.stage(o, stageHandOver, started)
	s.metrics.order(o, h.Outcome.String())

	spent := shipment.Cost.of(&h)
	f.counted(spent, h.Outcome != handover.NotSent)
	started = time.Now()
	s.settle(f, p, shipment, Answer{
		Shipment: shipment.ID, Claim: shipment.Claim, At: s.cfg.Now().UTC(),
		Outcome: h.Outcome, Status: h.Status, Carrier: h.Carrier, Cost: spent,
		Total: h.Total, Parts: h.Parts, Detail: h.Detail, Trace: h.trace(c.started, c.stored), Wait: h.Wait, Unreported: h.Unreported,
	})
	s.metrics.stage(o, stageSettle, started)
}

// settle stores the answer and finishes the order. If the journal can't store the answer within
// settleWait, the order is finished all the same, because its outcome is known: the order is stored,
// and the carrier has responded. The answer is then stored as soon as the journal
// can. Until then the order stays in flight, so that no retry of the key overtakes the
// answer.
func (s *Service) settle(f *inFlight, p *permit, shipment *Shipment, a Answer) {
	s.persist(a, func(e Effect, err error) {
		if err == nil {
			s.applied(a, e)
			s.forget(f) // first, so that a caller can retry at once
			f.finish(outcome(a, e.Shipment))
			return
		}
		p.unsettle()
		s.sampled.Write("outcomes", slog.LevelError, "outcome not stored, trying again",
			slog.Any("shipment", a.Shipment), slog.String("outcome", a.Outcome.String()), slog.Any("err", err))
		if a.Outcome == handover.NotSent {
			f.finish(Shipment{}, false, ErrUnavailable) // the key is not free yet, and may never be
			return
		}
		shipment.Answer(a)
		f.finish(*shipment, true, nil)
	})
}

// outcome is what an order is finished with after its answer was stored; now is its shipment. A
// NotSent does not free the key if another process has ended the claim: its caller got the answer that
// the message may have been sent. Then the order has failed, which a repeat is told.
func outcome(a Answer, now Shipment) (Shipment, bool, error) {
	switch {
	case a.Outcome != handover.NotSent:
		return now, true, nil
	case now.Status.Free() || now.Claim != a.Claim: // claimed again since
		return Shipment{}, false, notSent(a.Detail)
	}
	return Shipment{}, false, ErrUnavailable
}

// notSent is ErrNotSent with the carrier's word.
func notSent(detail string) error {
	if detail == "" {
		return ErrNotSent
	}
	return fmt.Errorf("%w: %s", ErrNotSent, detail)
}

// persist stores an answer, however many attempts it takes, and reports each attempt. The last one's effect has the
// changes of those before that were stored after all.
func (s *Service) persist(a Answer, tried func(Effect, error)) {
	var before undecided
	var changes []Change
	s.insist(a.Shipment, func(ctx context.Context) error {
		effects, err := s.cfg.Journal.Apply(ctx, []Event{a})
		changes = append(changes, before.take()...)
		if err != nil {
			before.add(err)
			tried(Effect{}, err)
			return err
		}
		e := effects[0]
		e.Changes = append(changes, e.Changes...)
		tried(e, nil)
		return nil
	})
}

// insist calls until there is no error, or the service ends. It lets a call take
// longer each time: on a disk that is slow for long, things get done all the same. It
// gives up on a call that fails by itself: it would keep its order in flight for ever, and
// keep others from sharing a transaction.
func (s *Service) insist(shipment uuid.UUID, call func(context.Context) error) {
	own := 0
	for pause, wait := 50*time.Millisecond, s.settleWait(); ; pause, wait = min(2*pause, 2*time.Second), min(2*wait, 16*s.settleWait()) {
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

// free frees the key of an order that was not sent, after a call of Accept that may have stored
// it. If it did not, this stores a claim of now, which others hold to be in flight until it is freed.
func (s *Service) free(p *permit, in AcceptRequest) {
	p.unsettle()
	s.insist(in.Shipment, func(ctx context.Context) error {
		in.At = s.cfg.Now().UTC()
		shipment, claimed, err := s.cfg.Journal.Accept(ctx, in)
		if err == nil && claimed && !shipment.Status.Final() {
			a := Answer{Shipment: shipment.ID, Claim: in.Claim, At: s.cfg.Now().UTC(), Outcome: handover.NotSent, Detail: "journal unavailable"}
			s.persist(a, func(Effect, error) {})
		}
		return err
	})
}
