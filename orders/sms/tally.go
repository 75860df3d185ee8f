package sms

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"straks/orders"
)

// ReceiptCount is how many receipts of an SMSC said the same, since the start.
type ReceiptCount struct {
	Said   string        // the state and the error code, like "UNDELIV err:013"
	Status orders.Status // what we read it as
	Count  uint64
}

// maxTallied bounds what is counted apart of one SMSC; the rest is counted as "other".
const maxTallied = 100

// tally counts receipts by what they say, in memory.
type tally struct {
	mu   sync.Mutex
	of   map[string]map[said]uint64 // by SMSC
	last map[string]time.Time       // likewise: of the last receipt
}

type said struct {
	detail string
	status orders.Status
}

func newTally() *tally {
	return &tally{of: make(map[string]map[said]uint64), last: make(map[string]time.Time)}
}

func (t *tally) count(smsc string, r *orders.Report) {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := t.of[smsc]
	if counts == nil {
		counts = make(map[said]uint64)
		t.of[smsc] = counts
	}
	what := said{r.Detail, r.Status}
	if _, known := counts[what]; !known && len(counts) >= maxTallied {
		what = said{detail: "other"}
	}
	counts[what]++
	t.last[smsc] = r.At
}

// Receipts returns what the SMSC's receipts said since the start, the most frequent first, and when the last one
// came.
func (c *Channel) Receipts(smsc string) (counts []ReceiptCount, last time.Time) {
	t := c.tally
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, n := range t.of[smsc] {
		counts = append(counts, ReceiptCount{what.detail, what.status, n})
	}
	slices.SortFunc(counts, func(a, b ReceiptCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Said, b.Said))
	})
	return counts, t.last[smsc]
}
