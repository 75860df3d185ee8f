package limits

import (
	"fmt"
	"time"
)

// calendar counts the orders of a day or a month, or what they cost. An order that is late by the clock counts in the
// newest period.
type calendar struct {
	limit int // of orders; 0: none
	start func(time.Time) time.Time

	known    time.Time // all orders count that came since then
	followed time.Time // see Count
	began    time.Time
	n        int64
}

func startOfDay(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

func startOfMonth(t time.Time) time.Time {
	y, m, _ := t.UTC().Date()
	return time.Date(y, m, 1, 0, 0, 0, 0, time.UTC)
}

// end returns the first moment after the period that began then.
func (c *calendar) end(began time.Time) time.Time {
	next := began.AddDate(0, 0, 1)
	for c.start(next).Equal(began) {
		next = next.AddDate(0, 0, 1)
	}
	return next
}

// count returns what is counted in the period of a time.
func (c *calendar) count(at time.Time) int64 {
	if c.start(at).After(c.began) {
		return 0
	}
	return c.n
}

func (c *calendar) refuse(at time.Time, of string) *refusal {
	if c.limit == 0 || c.count(at) < int64(c.limit) {
		return nil
	}
	return &refusal{words: fmt.Sprintf("%d orders in %s", c.limit, of), until: c.end(c.began)}
}

func (c *calendar) add(at time.Time, n int64) (undo func()) {
	if began := c.start(at); began.After(c.began) {
		c.began, c.n = began, 0
	} else if began.Before(c.began) {
		return func() {} // of a period that is over
	}
	c.n += n
	began := c.began
	return func() {
		if c.began.Equal(began) {
			c.n -= n
		}
	}
}
