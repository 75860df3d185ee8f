package ledger

import (
	"errors"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// Reports about mails have ids of shipments as references (orders.MailReports), so none is bound. Such a
// report waits only where none of its shipments is stored, or none has left as far as is known.

// aboutMail returns the first mail that a report names, of those that may have left. Of a mail whose answer
// has not come, the only part is made here.
func (l *Ledger) aboutMail(r *orders.Report) (*orders.Shipment, int, error) {
	for _, ref := range r.Refs {
		id, err := uuid.Parse(ref)
		if err != nil {
			continue
		}
		s, ok, err := l.Store.Shipment(id)
		switch {
		case errors.Is(err, ErrCorrupt):
			l.Log.Error("shipment can't be read, a report about it waits in vain; see straks journal check", "shipment", id, "err", err)
			continue
		case err != nil:
			return nil, 0, err
		case !ok || !mayHaveLeft(&s):
			continue
		}
		if len(s.Parts) == 0 {
			s.Parts = []orders.Part{{}}
		}
		return &s, 0, nil
	}
	return nil, 0, nil
}

func mayHaveLeft(s *orders.Shipment) bool {
	return s.Channel == orders.Email && !s.Status.Free() &&
		s.Status != orders.EmailFailedRecipientReserved && s.Status != orders.EmailFailedSuppressedRecipient
}

// claimMailReport takes out the report that waits for a mail which has an answer now. A report from before
// the mail was accepted is about an earlier attempt, which was thought not to have left: it is dropped.
func (l *Ledger) claimMailReport(claimed []claimedReport, s *orders.Shipment) ([]claimedReport, error) {
	if n, _ := l.Store.ParkedReports(orders.MailReports); n == 0 || !mayHaveLeft(s) {
		return claimed, nil
	}
	have, err := l.Store.Ref(orders.MailReports, s.ID.String())
	if err != nil || have.Parked == "" {
		return claimed, err
	}
	r, err := l.Store.Parked(orders.MailReports, have.Parked)
	if errors.Is(err, ErrCorrupt) {
		return claimed, nil // it must cost no answer; retention drops it
	}
	if err == nil {
		err = l.unpark(have.Parked, &r)
	}
	if err != nil || r.At.Before(s.Accepted) {
		return claimed, err
	}
	if len(s.Parts) == 0 {
		s.Parts = []orders.Part{{}}
	}
	return append(claimed, claimedReport{r, 0}), nil
}

const (
	firstSuppression   = 24 * time.Hour
	longestSuppression = 14 * 24 * time.Hour

	// SuppressionMemory is how long after its end a suppression still counts: one that follows is twice
	// as long.
	SuppressionMemory = 14 * 24 * time.Hour

	// bounceAge is how old a mail may be at most whose bounce or complaint begins a suppression: as long
	// as most servers keep a mail (Postfix, Exim and sendmail: 4 or 5 days). So an old mail, which many
	// may have seen, can't be used against its recipient.
	bounceAge = 5 * 24 * time.Hour
)

// suppress puts the recipient of a mail on the block list for a while, or takes it off, after a report that
// has changed the shipment. So a report that is repeated, or that contradicts what is known, does neither.
func (l *Ledger) suppress(eff *orders.Effect, r *orders.Report, before, after known) error {
	s := &eff.Shipment
	failed := before.state != orders.PartFailed && after.state == orders.PartFailed
	switch {
	case s.Channel != orders.Email || s.Recipient == orders.Forgotten:
		return nil
	case r.Suppress == orders.BlockedByBounce && failed, after.complained && !before.complained:
		return l.beginSuppression(eff, r)
	case after.status.Delivered() && !before.status.Delivered():
		return l.endSuppression(eff, r)
	}
	return nil
}

// beginSuppression puts the recipient of a mail on the block list for a while, unless that is known to be wrong.
func (l *Ledger) beginSuppression(eff *orders.Effect, r *orders.Report) error {
	s := &eff.Shipment
	have, err := l.blockOf(s)
	switch {
	case err != nil:
		return err
	case have.Blocks(r.At) && !have.Suppression(): // by an operator, which is stronger
		return nil
	case r.At.Sub(s.Accepted) > bounceAge:
		return nil
	case have.At.After(s.Accepted): // lifted since, or begun: five mails in a minute bounce together, and count once
		return nil
	}
	if !have.Suppression() {
		if n, err := l.Store.Suppressions(); err != nil || n >= l.MaxSuppressions {
			return err
		}
	}
	next := orders.Block{Organisation: s.Organisation, Channel: s.Channel, Recipient: orders.BlockForm(s.Channel, s.Recipient),
		At: r.At, Source: r.Suppress, Word: r.Word, Reason: "shipment " + s.ID.String(), Times: 1}
	if have.Off || r.At.Before(have.Until.Add(SuppressionMemory)) {
		next.Times += have.Times
	}
	next.Until = r.At.Add(suppressionTime(next.Times))
	eff.Suppressed = next
	return l.Store.PutBlocked(next)
}

// suppressionTime returns how long the n-th suppression lasts.
func suppressionTime(n int) time.Duration {
	d := firstSuppression
	for ; n > 1 && d < longestSuppression; n-- {
		d *= 2
	}
	return min(d, longestSuppression)
}

// endSuppression ends the suppression of a recipient that a mail has reached: as of the mail's acceptance, since
// bounces of earlier mails count no more. If the mail was only relayed, and fails after all, the suppression
// that follows is longer.
func (l *Ledger) endSuppression(eff *orders.Effect, r *orders.Report) error {
	if n, err := l.Store.Suppressions(); n == 0 || err != nil {
		return err
	}
	b, err := l.blockOf(&eff.Shipment)
	if err != nil || b.Off || !b.Suppression() {
		return err
	}
	eff.Lifted = b.Blocks(r.At)
	b.Off, b.Until = true, time.Time{}
	if eff.Shipment.Accepted.After(b.At) {
		b.At = eff.Shipment.Accepted
	}
	if !r.Relayed {
		b.Times = 0
	}
	return l.Store.PutBlocked(b)
}

// blockOf returns the entry of a shipment's recipient. One that can't be read stays as it is: it blocks.
func (l *Ledger) blockOf(s *orders.Shipment) (orders.Block, error) {
	b, err := l.Store.Blocked(s.Organisation, s.Channel, orders.BlockForm(s.Channel, s.Recipient))
	if errors.Is(err, ErrCorrupt) {
		return orders.Block{At: s.Accepted}, nil
	}
	return b, err
}
