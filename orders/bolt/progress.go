package bolt

import "go.etcd.io/bbolt"

// more counts one record of a walk, and reports whether the walk goes on.
func (c *checker) more() bool {
	if c.done++; c.progress != nil && c.done%progressStep == 0 {
		c.progress(c.done, c.total)
	}
	return !c.enough()
}

// progressStep is how many records are done between two calls of Options.Progress.
const progressStep = 1000

// records returns about how many records the journal has; 0 where a page can't be read. It reads each page.
func (t tables) records() (n int64) {
	var err error
	defer caught(&err)()
	return int64(t.tx.Cursor().Bucket().Stats().KeyN)
}

// aboutRecords returns about how many records a migration moves.
func aboutRecords(db *bbolt.DB) (n int64) {
	_ = db.View(func(tx *bbolt.Tx) error {
		n = tables{tx: tx}.records()
		return nil
	})
	return n
}
