package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

// sharing is what a node has found at its last look at the slots of an SMSC. The zero sharing is that before the first.
type sharing struct {
	of    map[int]int // slot -> node that has it; 0: none
	users int         // live nodes that use the SMSC
	all   int         // slots
	fair  int         // how many slots each of them may have
	keeps int         // the node whose dialect of the SMSC is another, so that this one takes no slot; 0: none
	err   error       // why nothing is known
}

// look makes the slots that are missing, notes that this node uses the SMSC, and looks which node has each.
func (s *slots) look(ctx context.Context, smsc string, mine []int, epoch int64) (seen sharing, err error) {
	slices.Sort(mine)
	err = s.j.pooled(ctx, func(ctx context.Context, conn *connection) error {
		seen.of = make(map[int]int)
		b := &pgx.Batch{}
		b.Queue(makeSlots, smsc, mine)
		b.Queue(useSlots, smsc, s.j.opt.Node, epoch)
		b.Queue(lookSlots, smsc).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var n, node int
				if err := rows.Scan(&n, &node, &seen.users); err != nil {
					return err
				}
				seen.of[n] = node
			}
			return rows.Err()
		})
		return conn.send(ctx, b)
	})
	if err != nil {
		return sharing{}, err
	}
	seen.all = len(seen.of)
	if s.j.opt.Binds != nil {
		if binds, ok := s.j.opt.Binds()[smsc]; ok { // there are rows of more, where the account had more
			seen.all = min(seen.all, binds)
		}
	}
	seen.fair = (seen.all + seen.users - 1) / max(seen.users, 1)
	s.mu.Lock()
	s.used[smsc] = true
	s.mu.Unlock()
	return seen, nil
}

func (s *slots) see(smsc string, seen sharing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[smsc] = seen
}

// WhoHas says why slot n of an SMSC is not this node's while AcquireSlot waits for it, as of the last look. Empty: there was
// no look yet.
func (j *Journal) WhoHas(smsc string, n int) string {
	j.slots.mu.Lock()
	seen := j.slots.seen[smsc]
	j.slots.mu.Unlock()
	switch node := seen.of[n]; {
	case j.lease.left() <= 0:
		return "this node has no lease, and no bind without one"
	case seen.keeps != 0:
		return fmt.Sprintf("node %d keeps the SMSC: it was started before this one, and its %s is another; make the configurations the same", seen.keeps, DialectOf(smsc))
	case seen.err != nil:
		return fmt.Sprintf("binds can't be shared with other nodes now: %v", seen.err)
	case node != 0 && node != j.opt.Node:
		return fmt.Sprintf("node %d has it", node)
	case seen.fair > 0 && seen.count(j.opt.Node) >= seen.fair:
		return fmt.Sprintf("it is left to the other nodes: this one has its share, %d of %d", seen.fair, seen.all)
	case seen.of != nil:
		return "no node has it"
	}
	return ""
}

// count returns how many slots a node has.
func (s *sharing) count(node int) (n int) {
	for _, has := range s.of {
		if has == node {
			n++
		}
	}
	return n
}

// States of a bind's slot, as labels of a metric. Each slot is in one of them, seen from one node.
const (
	slotHeld     = "held"     // this node has it
	slotDraining = "draining" // this node has it and must give it back: messages under way on it are awaited
	slotWanted   = "wanted"   // this node has less than its share, and no node has it, or one has it beyond its share
	slotOthers   = "others"   // it is the other nodes'
)

// states counts an SMSC's slots, of which there are all, by state.
func (s *slots) states(smsc string, all int) map[string]int {
	waiting, held := s.numbers(smsc)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := map[string]int{slotHeld: 0, slotDraining: 0}
	for _, number := range held {
		switch h := s.held[slotKey{smsc, number}]; {
		case h == nil:
		case h.over || h.freed:
			n[slotDraining]++
		default:
			n[slotHeld]++
		}
	}
	seen := s.seen[smsc]
	free := 0
	beyond := make(map[int]int) // node -> slots beyond its share
	for number, node := range seen.of {
		switch {
		case node == 0 && slices.Contains(waiting, number):
			free++
		case node != 0 && node != s.j.opt.Node && beyond[node] == 0:
			beyond[node] = max(seen.count(node)-seen.fair, 0)
		}
	}
	for _, more := range beyond {
		free += more
	}
	n[slotWanted] = max(min(free, len(waiting), seen.fair-len(held)), 0)
	n[slotOthers] = max(all-n[slotHeld]-n[slotDraining]-n[slotWanted], 0)
	return n
}

// slotCollector gives the states of slots.
type slotCollector struct{ j *Journal }

var slotStates = prometheus.NewDesc("straks_slots", "Binds of an SMSC's account, as this node shares them with others. They add up to the binds of the configuration. "+
	"held: this node has them. draining: it has them, and must give them back. wanted: they are due to it, and it has not got them. others: they are other nodes'.",
	[]string{"smsc", "state"}, nil)

func (c slotCollector) Describe(to chan<- *prometheus.Desc) { to <- slotStates }

func (c slotCollector) Collect(to chan<- prometheus.Metric) {
	if c.j.opt.Binds == nil {
		return
	}
	for smsc, all := range c.j.opt.Binds() {
		for state, n := range c.j.slots.states(smsc, all) {
			to <- prometheus.MustNewConstMetric(slotStates, prometheus.GaugeValue, float64(n), smsc, state)
		}
	}
}
