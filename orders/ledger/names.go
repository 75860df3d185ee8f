package ledger

import (
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
			before := len(refs)
			for _, p := range e.Parts {
				for _, ref := range p.Refs {
					refs = append(refs, Name{e.Carrier, ref})
				}
			}
			if len(refs) == before { // as in the answer to a mail
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
