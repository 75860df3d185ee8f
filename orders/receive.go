package orders

import (
	"context"
	"log/slog"
)

const (
	// inboxSize bounds the receipts that wait for the journal. Beyond it the
	// SMSC is told to come again.
	inboxSize = 8192
	// receivers store batches side by side, so that one batch is on its way
	// into the journal while the one before it is being synced.
	receivers    = 3
	receiveBatch = 256
)

// arrived is a fact on its way to the journal.
type arrived struct {
	event Event
	done  func(error)
}

// Receive takes a report, without waiting. done is called once, from another
// goroutine: nil when the report is on disk and may be acknowledged, else it must
// be sent again. Where Receive returns an error (ErrBusy), done is not called.
func (s *Service) Receive(r Report, done func(error)) error {
	return s.enqueue(s.inbox, arrived{r, done})
}

// Late takes an answer that came after its hand-over had ended, without
// waiting. It is lost where ErrBusy is returned: the deadline settles it then.
func (s *Service) Late(a Answer) error {
	return s.enqueue(s.inbox, arrived{event: a})
}

// Block takes a change of a block list, without waiting; see Receive for done. The later of two
// counts (Block.At), in whatever order they are stored.
func (s *Service) Block(b Block, done func(error)) error {
	return s.enqueue(s.inbox, arrived{b, done})
}

func (s *Service) enqueue(inbox chan arrived, a arrived) error {
	select {
	case inbox <- a:
		return nil
	default:
		if a.done != nil { // else nobody sends it again
			s.metrics.inboxFull.Inc()
		}
		return ErrBusy
	}
}

// receive stores what arrives in the inbox, in batches, until ctx ends and it is empty.
func (s *Service) receive(ctx context.Context, inbox chan arrived) {
	for {
		select {
		case a := <-inbox:
			s.store(batch(inbox, a))
		case <-ctx.Done():
			select {
			case a := <-inbox:
				s.store(batch(inbox, a))
			default:
				return
			}
		}
	}
}

// batch returns what waits already, up to receiveBatch.
func batch(inbox chan arrived, first arrived) []arrived {
	batch := []arrived{first}
	for len(batch) < receiveBatch {
		select {
		case a := <-inbox:
			batch = append(batch, a)
		default:
			return batch
		}
	}
	return batch
}

// store applies a batch and only then says done.
func (s *Service) store(batch []arrived) {
	events := make([]Event, len(batch))
	for i, a := range batch {
		events[i] = a.event
	}
	ctx, cancel := context.WithTimeout(context.Background(), settleWait)
	defer cancel()
	effects, err := s.cfg.Journal.Apply(ctx, events)
	if ofTheCall(err) && len(batch) > 1 {
		for i := range batch { // one of them can't be stored: it is to spoil no other
			s.store(batch[i : i+1])
		}
		return
	}
	if err != nil {
		s.seldom.Write("receipts", slog.LevelError, "receipts not stored, the SMSC is to send them again",
			slog.Int("receipts", len(batch)), slog.Any("err", err))
	}
	for i, a := range batch {
		if err == nil {
			s.applied(a.event, effects[i])
		}
		if a.done != nil {
			a.done(err)
			continue
		}
		if late, ok := a.event.(Answer); ok && err != nil {
			s.retryLate(late)
		}
	}
}

// retryLate stores a late answer on its own: nobody sends it a second time.
func (s *Service) retryLate(a Answer) {
	s.retries.Go(func() {
		s.persist(a, func(e Effect, err error) {
			if err == nil {
				s.applied(a, e)
			}
		})
	})
}
