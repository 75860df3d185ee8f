package orders

import (
	"context"
	"time"
)

// Cursor is how far a subscription has read its organisation's feed.
type Cursor struct {
	Organisation string
	Name         string    // of the subscription, within its organisation
	Seq          uint64    // of the last entry that was dealt with; exclusive, as FeedQuery.Seq
	Begin        uint64    // Seq as it was when the subscription began
	FailingSince time.Time // of the first failed attempt since the last entry was dealt with; zero: the last attempt did not fail
	StoppedAt    time.Time // zero: the subscription is not stopped
	StopReason   string
	Seen         time.Time // when the subscription was last known to exist
}

// Cursors keeps cursors. It has no rules: one process writes each cursor, and the last one stored counts.
// Errors are those of Journal. Times are kept in µs.
type Cursors interface {
	// Cursor returns the cursor of a subscription. ok is false where there is none. One that can't be read is an
	// error: without its cursor, a subscription would begin again elsewhere.
	Cursor(ctx context.Context, organisation, name string) (c Cursor, ok bool, err error)

	// Cursors returns all cursors, by organisation and name. One that can't be read is logged and skipped.
	Cursors(ctx context.Context) ([]Cursor, error)

	// PutCursors stores cursors and removes others, all or none.
	PutCursors(ctx context.Context, put, remove []Cursor) error
}
