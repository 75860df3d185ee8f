package config

import (
	"time"

	"straks/internal/faults"
)

// Node is this process among those that share a journal.
type Node struct {
	ID    int           // 1 to 999, unlike any other node's. Required with journal.engine = "postgres"
	Lease time.Duration // after how long without a sign of life a node counts as dead; the same on all nodes: 8s
}

func (n *Node) setDefaults() { n.Lease = 8 * time.Second }

func (n *Node) check(c *checker, shared bool) {
	if !shared {
		c.Unless(n.ID == 0, "id", `is given, but journal.engine is "bolt": such a journal has one node`)
		return
	}
	if n.ID == 0 {
		c.Add("id", "is missing: with journal.engine = \"postgres\" each node needs a number of its own, from 1 to 999")
	} else {
		faults.Range(c.List, "id", n.ID, 1, 999)
	}
	c.Duration("lease", n.Lease, 2*time.Second, time.Minute)
}
