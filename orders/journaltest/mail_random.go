package journaltest

import (
	"time"

	"straks/internal/handover"
	"straks/orders"
)

// The part of mails in a random run.

var (
	addresses = []orders.Recipient{"kari@example.org", "Kari@example.org", "ola@example.org"}
	waits     = []time.Duration{0, time.Minute, time.Hour}
	said      = []orders.Status{orders.EmailSucceeded, orders.EmailDelivered, orders.EmailDelivered,
		orders.EmailFailedBounced, orders.EmailFailedRecipientNotIdentified, orders.SMSDelivered}
	suppresses = []orders.BlockSource{"", orders.BlockedByBounce, orders.BlockedByBounce, orders.BlockedByComplaint}
)

// mailAnswer makes a the answer to a mail.
func (r *run) mailAnswer(a *orders.Answer) {
	a.Total, a.Parts = 1, nil
	if a.Outcome == handover.Accepted || a.Outcome == handover.Unknown {
		a.Parts = []orders.PartAnswer{{Taken: a.Outcome == handover.Accepted}}
	}
	if a.Outcome == handover.Refused {
		a.Status = orders.EmailFailedRecipientNotIdentified
	}
	a.Wait, a.Unreported = waits[r.IntN(len(waits))], r.IntN(2) == 0
}

// mailReport returns a report about a mail, and at times about another one, or about nothing.
func (r *run) mailReport(s orders.Shipment) orders.Report {
	about := s.ID
	if r.IntN(12) == 0 {
		about = r.id()
	}
	report := r.fixture.mailReport(said[r.IntN(len(said))], about)
	if other := r.claims[r.IntN(len(r.claims))]; r.IntN(4) == 0 {
		report.Refs = append(report.Refs, other.ID.String())
	}
	report.Relayed = report.Status.Delivered() && r.IntN(2) == 0
	report.Expanded = !report.Status.Final() && r.IntN(2) == 0
	report.Suppress, report.Word = suppresses[r.IntN(len(suppresses))], "5.1.1"
	return report
}

// compareBlocks compares the entries of the addresses.
func (r *run) compareBlocks() {
	r.Helper()
	for _, to := range addresses {
		page, err := r.j.Blocks(ctx(), orders.BlockQuery{Organisation: org, Channel: orders.Email, Recipient: to, Limit: 1})
		if err != nil {
			r.Fatal(err)
		}
		want, _ := r.model.Blocked(org, orders.Email, orders.BlockForm(orders.Email, to))
		if len(page.Blocks) == 0 {
			page.Blocks = []orders.Block{{}}
		}
		r.same("block", page.Blocks[0], want)
	}
}
