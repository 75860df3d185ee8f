package codes

import (
	"cmp"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// DoubleClick is how long after a verification was approved the same code is approved again: a person has clicked twice,
// or a service has repeated its call.
const DoubleClick = 10 * time.Second

// Status is what a verification is. Only a pending one changes.
type Status string

const (
	Pending   Status = "pending"
	Approved  Status = "approved"
	Expired   Status = "expired"
	Exhausted Status = "exhausted" // all attempts were wrong
	Cancelled Status = "cancelled"
)

// Statuses are all of them.
func Statuses() []Status { return []Status{Pending, Approved, Expired, Exhausted, Cancelled} }

// Final reports whether the verification has ended.
func (s Status) Final() bool { return s != Pending }

// Address is where a code is sent.
type Address struct {
	Channel orders.Channel   `json:"c"`
	To      orders.Recipient `json:"t"`
	From    string           `json:"f,omitempty"` // sender of an SMS; empty: the default
}

// Verification is a code that a person must give back. It has neither the code, which is derived, nor the recipient in
// the clear. This is its stored form.
type Verification struct {
	ID               uuid.UUID `json:"-"` // its key in the store
	Organisation     string    `json:"o"`
	SendersReference string    `json:"r,omitempty"`
	Template         string    `json:"t"`
	Language         string    `json:"l"`
	Origin           string    `json:"g,omitempty"`
	Alphabet         Alphabet  `json:"a"`
	Length           int       `json:"n"`

	KeyID     string   `json:"k"` // of the key that derives the code
	Subject   []byte   `json:"s"` // stands for its addresses together
	Addresses [][]byte `json:"h"` // stand for each of them
	Sealed    []byte   `json:"e"` // the addresses, encrypted; empty once it has ended

	Status   Status    `json:"u"`
	Created  time.Time `json:"c"`
	Updated  time.Time `json:"d"`
	Expires  time.Time `json:"x"`
	Attempts int       `json:"m"`           // that may be made
	Tried    int       `json:"i"`           // that were made
	Closed   bool      `json:"z,omitempty"` // approved, and a wrong code was given after that

	ResendAfter time.Duration    `json:"w"`
	Channels    []orders.Channel `json:"v"`           // of each message, in order
	Sent        time.Time        `json:"b"`           // when the last message was made
	FallbackAt  time.Time        `json:"f,omitzero"`  // zero: there is no message on the other channel to come
	Fallback    int              `json:"fm,omitzero"` // the number of that message, once it is made and may not have left

	newer
}

// StatusAt returns the status at a time: of one that nobody has marked as expired yet too.
func (v *Verification) StatusAt(now time.Time) Status {
	if v.Status == Pending && !now.Before(v.Expires) {
		return Expired
	}
	return v.Status
}

// endedAt returns when a verification has ended that is not pending.
func (v *Verification) endedAt() time.Time {
	if v.Status == Pending { // nobody has marked it as expired yet
		return v.Expires
	}
	return v.Updated
}

// Left returns how many attempts are left.
func (v *Verification) Left() int { return max(v.Attempts-v.Tried, 0) }

// Due returns when a verification needs something without a call: the message on the other channel, the end
// of a pending one, or, a retention after its end, its removal.
func (v *Verification) Due(retention time.Duration) time.Time {
	switch {
	case v.Status.Final():
		return v.Updated.Add(retention)
	case !v.FallbackAt.IsZero() && v.FallbackAt.Before(v.Expires):
		return v.FallbackAt
	}
	return v.Expires
}

// Outcome is what came of an attempt.
type Outcome string

const (
	Right   Outcome = "approved"
	Wrong   Outcome = "wrong"   // and attempts are left
	Ended   Outcome = "ended"   // the verification has ended, now or before: its status says how
	Stopped Outcome = "stopped" // too many wrong codes for the recipient: the code was not looked at
	Unknown Outcome = "unknown" // there is no such verification
)

// Try counts an attempt, with the right code or not, and returns what came of it.
//
// After the approval, the right code is approved again for DoubleClick. The first wrong one ends that: else it would be
// a time in which guesses cost nothing.
func (v *Verification) Try(right bool, now time.Time) Outcome {
	switch v.StatusAt(now) {
	case Approved:
		if v.Closed || now.Sub(v.Updated).Abs() > DoubleClick { // Abs: the clock may have been set back, or be another node's
			return Ended
		}
		if !right {
			v.Closed = true
			return Ended
		}
		return Right
	case Pending:
	default:
		return Ended
	}
	v.Tried++
	switch {
	case right:
		v.end(Approved, now)
		return Right
	case v.Tried >= v.Attempts:
		v.end(Exhausted, now)
		return Ended
	}
	return Wrong
}

// end gives a pending verification its last status. It needs its addresses no more.
func (v *Verification) end(s Status, now time.Time) {
	v.Status, v.Updated, v.Sealed = s, now.UTC(), nil
	v.FallbackAt, v.Fallback = time.Time{}, 0
}

// mayResend reports whether another message may be made now.
func (v *Verification) mayResend(now time.Time) bool {
	return now.Sub(v.Sent).Abs() >= v.ResendAfter && len(v.Channels) < MaxMessages
}

// message makes another message, and returns its number, from 1.
func (v *Verification) message(c orders.Channel, now time.Time) int {
	v.Channels, v.Sent = append(v.Channels, c), now.UTC()
	return len(v.Channels)
}

// minutes returns how long the code is still valid, rounded for people.
func (v *Verification) minutes(now time.Time) int {
	return max(1, int(v.Expires.Sub(now).Round(time.Minute)/time.Minute))
}

// other returns the address of the other channel, if there are two.
func other(to []Address, c orders.Channel) (Address, bool) {
	for _, a := range to {
		if a.Channel != c {
			return a, true
		}
	}
	return Address{}, false
}

// on returns the address of a channel; of channel 0 the first.
func on(to []Address, c orders.Channel) (Address, bool) {
	for _, a := range to {
		if a.Channel == cmp.Or(c, to[0].Channel) {
			return a, true
		}
	}
	return Address{}, false
}
