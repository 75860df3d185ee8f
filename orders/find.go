package orders

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// FindQuery asks for shipments, the newest first, that were accepted from Since on. One of the other
// fields says which; the rest are zero.
type FindQuery struct {
	Since     time.Time
	Shipment  uuid.UUID
	Recipient Recipient // letter case does not matter
	Word      string    // the sender's reference, or the carrier's message id; letter case does not matter
	Limit     int
}

// Matches reports whether the query is about the shipment, whenever that was accepted.
func (q *FindQuery) Matches(s *Shipment) bool {
	switch {
	case q.Shipment != uuid.Nil:
		return s.ID == q.Shipment
	case q.Recipient != "":
		return strings.EqualFold(string(s.Recipient), string(q.Recipient))
	case q.Word == "":
		return false
	case strings.EqualFold(s.SendersReference, q.Word):
		return true
	}
	return slices.ContainsFunc(s.MessageIDs(), func(id string) bool { return strings.EqualFold(id, q.Word) })
}
