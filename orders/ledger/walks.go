package ledger

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// Walk goes over all shipments once, in the order of their ids, and removes those of the organisations that share a
// retention of their own. It stops at one of theirs that may not leave yet, and at what is too young.
type Walk struct {
	Retention     time.Duration
	Organisations []string
	Next          uuid.UUID // where it goes on
}

// Walks is how far an engine has come. It is not stored: a process begins at the oldest shipment.
type Walks struct {
	mu   sync.Mutex
	last []Walk
}

// Plan returns the walks of a retention, the shortest first. One that has other organisations than before begins again,
// and so does one that went too far, by a clock that was ahead.
func (w *Walks) Plan(r orders.Retention, now time.Time) (plan []Walk) {
	w.mu.Lock()
	defer w.mu.Unlock()
	shorter := r.Shorter()
	for _, retention := range slices.Sorted(maps.Keys(shorter)) {
		walk := Walk{Retention: retention, Organisations: shorter[retention]}
		for _, before := range w.last {
			young := idTime(before.Next).After(now.Add(-retention))
			if before.Retention == retention && !young && slices.Equal(before.Organisations, walk.Organisations) {
				walk.Next = before.Next
			}
		}
		plan = append(plan, walk)
	}
	return plan
}

// Done notes how far walks have come, when what they removed is gone for good.
func (w *Walks) Done(plan []Walk) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = plan
}

// idTime returns the time in a UUIDv7, in ms (RFC 9562 §5.7).
func idTime(id uuid.UUID) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(id[:8]) >> 16))
}

// After returns the id that follows another one.
func After(id uuid.UUID) uuid.UUID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}
