package orders

import (
	"context"
	"log/slog"
)

// inbound is a fact on its way to the journal.
type inbound struct {
	event Event
	done  func(error) // nil: the fact will not be sent again
}

// Receive takes a report, without waiting. done is called once, from another
// goroutine: nil when the report is on disk and may be acknowledged, else it must
// be sent again. Where Receive returns an error (ErrBusy), done is not called.
func (s *Service) Receive(r Report, done func(error)) error {
	return s.enqueue(r.Carrier, inbound{r, done})
}

// Late takes an answer that came after its hand-over had ended, without waiting.
// After ErrBusy it is lost: the deadline settles the shipment.
func (s *Service) Late(a Answer) error {
	return s.enqueue(a.Carrier, inbound{event: a})
}

// Block takes a change of a block list, without waiting; done is as in Receive. Of
// two changes the one with the later At counts, in whatever order they are stored.
func (s *Service) Block(b Block, done func(error)) error {
	return s.enqueue("", inbound{b, done})
}

func (s *Service) enqueue(carrier string, in inbound) error {
	if s.inbox.put(carrier, in) {
		return nil
	}
	if in.done != nil { // a late answer is lost, not sent again
		s.metrics.inboxFull.Inc()
	}
	return ErrBusy
}

// receive stores the inbox, in batches, until ctx has ended and the inbox is empty.
func (s *Service) receive(ctx context.Context) {
	for {
		lane, batch := s.inbox.take()
		if lane != nil {
			s.inbox.stored(lane, s.store(lane.carrier, batch))
			continue
		}
		select {
		case <-s.inbox.wake:
		case <-ctx.Done():
			if lane, batch = s.inbox.take(); lane == nil {
				return // the receivers that still store a batch go on
			}
			s.inbox.stored(lane, s.store(lane.carrier, batch))
		}
	}
}

// store applies a batch of a carrier's facts, and then calls done for each of its facts. A fact that
// cannot be stored must not fail the others of its batch: each is tried alone. It
// reports whether most of the batch were receipts that match nothing.
func (s *Service) store(carrier string, batch []inbound) (strange bool) {
	events := make([]Event, len(batch))
	for i, in := range batch {
		events[i] = in.event
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.ReceiptWait(carrier))
	defer cancel()
	effects, err := s.apply(ctx, events)
	if ofTheCall(err) && len(batch) > 1 {
		for i := range batch {
			s.store(carrier, batch[i:i+1])
		}
		return false
	}
	if err != nil {
		message := "receipts not stored: the SMSC gets a temporary error and sends them again"
		if r, ok := batch[0].event.(Report); ok && r.Carrier == MailReports { // and so are all of its lane
			message = "reports about mails not stored: their senders get a temporary error and send them again"
		}
		s.sampled.Write("receipts", slog.LevelError, message, slog.Int("receipts", len(batch)), slog.Any("err", err))
	}
	parked := 0
	for i, in := range batch {
		if err == nil {
			s.applied(in.event, effects[i])
			if effects[i].Parked {
				parked++
			}
		}
		if in.done != nil {
			in.done(err)
		} else if late, ok := in.event.(Answer); ok && err != nil {
			s.retryLate(late)
		}
	}
	return 2*parked > len(batch)
}

// retryLate stores a late answer on its own: the carrier does not send it again.
func (s *Service) retryLate(a Answer) {
	s.retries.Go(func() {
		s.persist(a, func(e Effect, err error) {
			if err == nil {
				s.applied(a, e)
			}
		})
	})
}
