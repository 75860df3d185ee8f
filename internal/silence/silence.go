// Package silence decides whether a carrier has stopped answering what it is sent: an SMSC
// its submit_sm, a relay the final dot of its mails. The link may be up, and its keepalives
// answered.
//
//	silence.go   Tracker
package silence

import (
	"fmt"
	"time"
)

const (
	// Probe is how often one message may go to a silent carrier that nothing can replace.
	Probe = time.Second
	// Retry is for how long nothing is sent to a silent carrier before it is worth another
	// attempt. A carrier that another one replaces gets a message that often; and where no
	// message comes, the carrier counts as ready again after that time. Otherwise a node that
	// its load balancer took out would get no message to find out with.
	Retry = 30 * time.Second

	slowFactor  = 2  // a carrier is silent after that many times its slowest answer
	mostFactor  = 4  // but after that many times the least time, however slow it was
	decay       = 32 // each answer takes that part off the slowest, unless it is as slow
	missedTwice = 2
)

// Tracker decides about one carrier. The caller guards it, and tells it about each message.
//
// A carrier is silent when an answer is due and none came for longer than is usual: since the
// first of the messages that are unanswered, or since the last answer to any. So neither an
// idle carrier is silent, nor one that loses a single answer among others. It is
// well at its next answer.
//
// Messages whose answer is no longer awaited keep the carrier silent, if they are two or more
// in a row. A single one does not: that was a lost answer.
type Tracker struct {
	least time.Duration

	owed    int           // messages whose answer is awaited
	missed  int           // messages in a row whose answer is no longer awaited
	since   time.Time     // when the first of all these was sent, or the last answer came
	sent    time.Time     // when a message was last sent; zero after Restarted
	probed  time.Time     // when a silent carrier last got one; zero once it has answered
	slowest time.Duration // of the answers lately
}

// New returns the tracker of a carrier that is never silent before least has passed.
func New(least time.Duration) Tracker { return Tracker{least: least} }

// Sent records that a message was sent.
func (t *Tracker) Sent(now time.Time) {
	if t.owed == 0 && t.missed < missedTwice {
		t.since = now
	}
	t.owed++
	t.sent = now
}

// Answered records the answer to a message that was sent so long ago. awaited: no Missed was
// recorded for it.
func (t *Tracker) Answered(now time.Time, took time.Duration, awaited bool) {
	if awaited {
		t.owed--
	}
	t.since, t.missed, t.probed = now, 0, time.Time{}
	t.slowest = min(max(took, t.slowest-t.slowest/decay), t.least*mostFactor/slowFactor)
}

// Missed records that the answer to a message is no longer awaited.
func (t *Tracker) Missed() {
	t.owed--
	t.missed++
}

// Lost records that n messages were not sent after all, or that their connection is lost: it
// says nothing about other messages. A carrier that was silent before remains so.
func (t *Tracker) Lost(now time.Time, n int) {
	if t.Silent(now) {
		t.missed = max(t.missed, missedTwice)
	}
	t.owed -= n
}

// Restarted records that there is a new session with the carrier: it is worth an attempt.
func (t *Tracker) Restarted() { t.sent, t.probed = time.Time{}, time.Time{} }

// Silent reports whether the carrier has stopped answering: only a message for which it
// is Due should be sent to it.
func (t *Tracker) Silent(now time.Time) bool {
	return (t.owed > 0 || t.missed >= missedTwice) && now.Sub(t.since) > t.patience()
}

// patience returns for how long answers may be missing: least to mostFactor times least.
func (t *Tracker) patience() time.Duration {
	return max(t.least, slowFactor*t.slowest)
}

// Overdue returns for how long answers have been missing, if the carrier is silent and nothing
// suggests another attempt; else 0.
func (t *Tracker) Overdue(now time.Time) time.Duration {
	if !t.Silent(now) || now.Sub(t.sent) > Retry {
		return 0
	}
	return now.Sub(t.since)
}

// Since returns when the carrier's silence began. It is of use while it is silent.
func (t *Tracker) Since() time.Time { return t.since }

// Due reports whether the silent carrier may get a message to find out whether it answers. replaced:
// another carrier can take the message.
func (t *Tracker) Due(now time.Time, replaced bool) bool {
	if replaced {
		return now.Sub(t.sent) > Retry && now.Sub(t.probed) > Retry
	}
	return now.Sub(t.probed) >= Probe && now.Sub(t.sent) >= Probe
}

// Probed records that the carrier gets a message for which it was Due.
func (t *Tracker) Probed(now time.Time) { t.probed = now }

// LastProbe returns when it last got one, zero if it has answered since. Of several silent
// carriers the one that waits longest must get the next.
func (t *Tracker) LastProbe() time.Time { return t.probed }

// Error is why a message was not sent: its carrier is silent.
type Error struct {
	Carrier string // its name
	Overdue time.Duration
}

// NewError returns the error for a carrier that is silent now.
func (t *Tracker) NewError(carrier string, now time.Time) *Error {
	return &Error{Carrier: carrier, Overdue: now.Sub(t.since)}
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s does not answer (%d s overdue)", e.Carrier, int(e.Overdue.Seconds()))
}
