package ledger

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"straks/orders"
)

// Name is a carrier's reference.
type Name struct{ Carrier, Ref string }

// Names returns the shipments, references and numbers that events name. Applying the events needs these,
// the shipments and parked reports that the references lead to, and the shipments that the index of
// unanswered ones has of the numbers.
func Names(events []orders.Event) (shipments []uuid.UUID, refs []Name, numbers []string) {
	for _, e := range events {
		switch e := e.(type) {
		case orders.Answer:
			shipments = append(shipments, e.Shipment)
			for _, p := range e.Parts {
				for _, ref := range p.Refs {
					refs = append(refs, Name{e.Carrier, ref})
				}
			}
			if toMail(&e) {
				refs = append(refs, Name{orders.MailReports, e.Shipment.String()})
			}
		case orders.Report:
			for _, ref := range e.Refs {
				refs = append(refs, Name{e.Carrier, ref})
				if id, err := uuid.Parse(ref); err == nil && e.Carrier == orders.MailReports {
					shipments = append(shipments, id)
				}
			}
			for _, h := range e.Hints {
				refs = append(refs, Name{e.Carrier, h.Ref})
			}
			if n := e.Recipient.Number(); n != "" && e.Echoed {
				numbers = append(numbers, n)
			}
		case orders.Match:
			for _, ref := range e.Refs {
				refs = append(refs, Name{e.Carrier, ref})
			}
			if n := e.Recipient.Number(); n != "" {
				numbers = append(numbers, n)
			}
		case orders.Expiry:
			shipments = append(shipments, e.Shipment)
		case orders.Forget:
			shipments = append(shipments, e.Shipment)
			for _, ref := range e.Refs {
				refs = append(refs, Name{e.Carrier, ref})
			}
		case orders.Drop:
			for _, ref := range e.Refs {
				refs = append(refs, Name{e.Carrier, ref})
			}
		}
	}
	return shipments, refs, numbers
}

// toMail reports whether an answer may be to a mail: it has no references. A shipment may have become a mail since the
// answer to an SMS was on its way, where its key was free in between.
func toMail(a *orders.Answer) bool {
	return !slices.ContainsFunc(a.Parts, func(p orders.PartAnswer) bool { return len(p.Refs) > 0 })
}

// minNumber is how many digits in a row may be a phone number.
const minNumber = 7

// NamesRecipient reports whether a reference may have a phone number in it, as the user reference of an SMS has. An engine
// that seals recipients seals such a reference too.
func NamesRecipient(carrier, ref string) bool {
	if carrier == orders.MailReports || strings.HasPrefix(ref, orders.IDPrefix) { // ids of shipments, or messages
		return false
	}
	run := 0
	for i := range len(ref) {
		if c := ref[i]; c < '0' || c > '9' {
			run = 0
		} else if run++; run == minNumber {
			return true
		}
	}
	return false
}
