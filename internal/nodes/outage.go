package nodes

import (
	"fmt"
	"sync"
	"time"
)

// What may happen to a node.
const (
	Killed = "killed"
	Frozen = "frozen"
	Cut    = "cut off from the SMSC"
)

// Outage is a time in which a node was kept from working.
type Outage struct {
	Node     string
	What     string
	From, To time.Time // To is zero while it lasts
}

func (o Outage) String() string {
	end := "now"
	if !o.To.IsZero() {
		end = clock(o.To)
	}
	return fmt.Sprintf("node %s was %s from %s to %s", o.Node, o.What, clock(o.From), end)
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// outages are all that there were in a world. They are safe for concurrent use.
type outages struct {
	mu   sync.Mutex
	list []Outage
}

// Outage notes what happens to a node from now on, until end is called. Kill, and Signal with SIGSTOP, note it by
// themselves.
func (w *World) Outage(node, what string) (end func()) {
	w.outages.mu.Lock()
	defer w.outages.mu.Unlock()
	i := len(w.outages.list)
	w.outages.list = append(w.outages.list, Outage{Node: node, What: what, From: time.Now()})
	return func() {
		w.outages.mu.Lock()
		defer w.outages.mu.Unlock()
		w.outages.list[i].To = time.Now()
	}
}

// during returns the outages of a node that were in a time.
func (w *World) during(node string, from, to time.Time) (found []Outage) {
	w.outages.mu.Lock()
	defer w.outages.mu.Unlock()
	for _, o := range w.outages.list {
		if o.Node == node && !o.From.After(to) && (o.To.IsZero() || !o.To.Before(from)) {
			found = append(found, o)
		}
	}
	return found
}
