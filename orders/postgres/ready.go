package postgres

import (
	"fmt"
	"time"

	"straks/orders"
)

// Allow returns why this node must not submit now, or nil. It asks the database nothing: it is for the last moment
// before the wire.
func (j *Journal) Allow() error {
	return j.lease.ended()
}

// maxOffset is by how much the clocks of node and database may differ.
const maxOffset = 2 * time.Second

// Ready returns why orders can't be stored now, or nil.
func (j *Journal) Ready() error {
	if err := j.Allow(); err != nil {
		return err
	}
	for _, w := range []*writer{j.orders, j.facts} {
		if err := w.state(); err != nil {
			return err
		}
	}
	if off := j.lease.clockOffset(); off.Abs() > maxOffset {
		return fmt.Errorf("%w: this machine's clock is off from the database's by %v", orders.ErrUnavailable, off.Round(time.Millisecond))
	}
	return nil
}
