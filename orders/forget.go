package orders

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Forget erases the recipient of a shipment, and the references that may have it in them. A shipment whose outcome is not
// known yet stays as it is: its reports are matched by the recipient.
type Forget struct {
	Shipment uuid.UUID
	Carrier  string
	Refs     []string // those of the shipment that may have the recipient in them: if it has others by then, nothing is erased
	At       time.Time
}

func (Forget) event() {}

// Drop takes out a report that waits for its answer.
type Drop struct {
	Carrier   string
	Refs      []string
	Recipient Recipient // that it names
}

func (Drop) event() {}

// Forgetting returns the event that erases the recipient of the shipment. ok is false where that must wait.
func (s *Shipment) Forgetting(at time.Time) (f Forget, ok bool) {
	if !s.forgettable() {
		return f, false
	}
	f = Forget{Shipment: s.ID, Carrier: s.Carrier, At: at}
	for _, p := range s.Parts {
		for _, ref := range p.Refs {
			if !strings.HasPrefix(ref, IDPrefix) {
				f.Refs = append(f.Refs, ref)
			}
		}
	}
	return f, true
}

func (s *Shipment) forgettable() bool { return s.Status.Final() || s.Status.Free() }

// Forget erases who the message was to. The sender's reference stays, since a client looks its messages up by it, unless it
// has the recipient in it.
func (s *Shipment) Forget() bool {
	if !s.forgettable() || s.Recipient == Forgotten {
		return false
	}
	for _, text := range []*string{&s.SendersReference, &s.Detail} {
		if strings.Contains(strings.ToLower(*text), strings.ToLower(strings.TrimPrefix(string(s.Recipient), "+"))) {
			*text = ""
		}
	}
	for i := range s.Parts {
		s.Parts[i].Refs = nameless(s.Parts[i].Refs)
	}
	s.Recipient = Forgotten
	return true
}

// nameless returns the references that can't have a recipient in them: the carrier's message ids.
func nameless(refs []string) (ids []string) {
	for _, ref := range refs {
		if strings.HasPrefix(ref, IDPrefix) {
			ids = append(ids, ref)
		}
	}
	return ids
}

// Nameless returns the answer as a shipment whose recipient is forgotten takes it: one that comes late, or again, must not
// bring back what was erased.
func (a Answer) Nameless() Answer {
	a.Parts = slices.Clone(a.Parts)
	for i := range a.Parts {
		a.Parts[i].Refs = nameless(a.Parts[i].Refs)
	}
	return a
}

// ForgetQuery says whom to forget.
type ForgetQuery struct {
	Channel   Channel
	Recipient Recipient
	Blocks    bool   // also what an operator or the recipient has put on a block list
	By        string // the operator's name, for the block lists
}

// ForgottenCounts is what Service.Forget has done.
type ForgottenCounts struct {
	Shipments int       // whose recipient was erased
	UnderWay  int       // whose outcome is not known yet: they have their recipient still
	Until     time.Time // when that of each is known, at the latest; zero where none is under way
	Reports   int       // that waited for their answer, and were dropped
	Lifted    int       // entries of block lists that were lifted: they leave after a day
	Kept      int       // entries of block lists that stay, since they keep messages from the recipient
}

const (
	// forgetStep is how many shipments one call of the journal forgets.
	forgetStep = 500
	// maxFruitless is how many looks in a row may find shipments all of which have changed when they must be erased.
	maxFruitless = 10
)

// Forget erases a person's data: the recipient in shipments, reports that wait, and suppressions. What was stored of their
// messages stays otherwise, with the numbers of the feed. It may be called again, after an error too.
func (s *Service) Forget(ctx context.Context, q ForgetQuery) (done ForgottenCounts, err error) {
	if err = s.forgetShipments(ctx, &q, &done); err == nil && done.UnderWay == 0 { // else a report may be about those
		err = s.dropReports(ctx, &q, &done)
	}
	if err == nil {
		err = s.forgetBlocks(ctx, &q, &done)
	}
	s.log.Info("recipient forgotten", "channel", q.Channel.String(), "shipments", done.Shipments, "under_way", done.UnderWay,
		"reports", done.Reports, "blocks_lifted", done.Lifted, "blocks_kept", done.Kept, slog.Any("err", err))
	return done, err
}

// forgetShipments looks again and again, until only shipments are found that have to wait.
func (s *Service) forgetShipments(ctx context.Context, q *ForgetQuery, done *ForgottenCounts) error {
	waiting, fruitless := 0, 0
	for {
		found, err := s.cfg.Journal.Find(ctx, FindQuery{Recipient: q.Recipient, Limit: waiting + forgetStep})
		if err != nil {
			return err
		}
		var events []Event
		waiting, done.Until = 0, time.Time{}
		for i := range found {
			if f, ok := found[i].Forgetting(s.cfg.Now().UTC()); ok {
				events = append(events, f)
				continue
			}
			waiting++
			if found[i].Deadline.After(done.Until) {
				done.Until = found[i].Deadline
			}
		}
		if done.UnderWay = waiting; len(events) == 0 {
			return nil
		}
		effects, err := s.cfg.Journal.Apply(ctx, events)
		if err != nil {
			return err
		}
		erased := 0
		for _, e := range effects {
			if e.Found && e.Shipment.Recipient == Forgotten {
				erased++
			}
		}
		if done.Shipments += erased; erased > 0 {
			fruitless = 0
		} else if fruitless++; fruitless == maxFruitless {
			done.UnderWay += len(events) // they change faster than they are looked up
			return nil
		}
	}
}

func (s *Service) dropReports(ctx context.Context, q *ForgetQuery, done *ForgottenCounts) error {
	for q.Recipient.Number() != "" {
		reports, err := s.cfg.Journal.Waiting(ctx, q.Recipient, forgetStep)
		if err != nil || len(reports) == 0 {
			return err
		}
		var events []Event
		for _, r := range reports {
			if sameNumber(string(r.Recipient), string(q.Recipient)) {
				events = append(events, Drop{Carrier: r.Carrier, Refs: r.Refs, Recipient: r.Recipient})
			}
		}
		effects, err := s.cfg.Journal.Apply(ctx, events)
		dropped := 0
		for _, e := range effects {
			dropped += e.Dropped
		}
		if done.Reports += dropped; err != nil || dropped == 0 {
			return err
		}
	}
	return nil
}

// forgetBlocks lifts the entries of a recipient. An entry that is lifted leaves the journal after a day.
func (s *Service) forgetBlocks(ctx context.Context, q *ForgetQuery, done *ForgottenCounts) error {
	to := BlockForm(q.Channel, q.Recipient)
	for after := ""; ; {
		page, err := s.cfg.Journal.Blocks(ctx, BlockQuery{After: after, Limit: forgetStep})
		if err != nil {
			return err
		}
		for _, b := range page.Blocks {
			switch {
			case b.Channel != q.Channel || b.Recipient != to || b.Off:
				continue
			case !b.Suppression() && !q.Blocks:
				done.Kept++
				continue
			}
			lifted := Block{Organisation: b.Organisation, Channel: b.Channel, Recipient: b.Recipient, Off: true, At: s.cfg.Now().UTC(),
				Source: BlockedByOperator, Reason: "forgotten", By: q.By}
			if _, err := s.cfg.Journal.Apply(ctx, []Event{lifted}); err != nil {
				return err
			}
			done.Lifted++
		}
		if after = page.Next; after == "" {
			return nil
		}
	}
}
