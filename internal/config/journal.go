package config

import "time"

// Journal is where orders, receipts and the feed are kept.
type Journal struct {
	Path          string        // of the file; "straks init" creates it. Required
	Retention     time.Duration // of orders, idempotency keys and feed entries: 90d
	FeedFinalOnly bool          // true: the feed shows final statuses only, not also acceptance by the carrier; all are stored: false
	MaxSize       Size          // in use in the file, from which on orders get 503; receipts are still taken. 0: as large as the disk: 0
	MaxQueue      int           // orders that wait for the disk, and four times as many receipts; beyond, orders get 503 at once: 1024
}

func (j *Journal) setDefaults() {
	*j = Journal{Retention: 90 * day, MaxQueue: 1024}
}

func (j *Journal) check(c *checker) {
	c.required("path", j.Path)
	c.between("retention", j.Retention, 3*day, 3650*day) // the 48 hours that an e-mail may stay unsettled, and the day for which a retry keeps its ids
	if j.MaxSize != 0 && j.MaxSize < 16<<20 {
		c.fault("max_size", "is %v; at least 16MiB, or 0 for no bound", j.MaxSize)
	}
	c.count("max_queue", j.MaxQueue, 1, 1_000_000)
}
