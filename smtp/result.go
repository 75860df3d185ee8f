package smtp

import (
	"errors"
	"strings"
	"time"

	"straks/internal/handover"
)

// Result is how Send ended.
type Result struct {
	Outcome  handover.Outcome
	Refusal  Refusal // why, when Outcome is Refused
	Relay    string  // name of the last relay that was tried; empty when none was
	Code     int     // its reply code (RFC 5321 §4.2); 0 when it gave none
	Enhanced [3]int  // its enhanced code (RFC 3463), zeros when it gave none
	QueueID  string  // the relay's own name for the mail, where its answer tells one
	Text     string  // its words, for operators: addresses and what it quotes of the mail are masked
	Err      error   // nil when Outcome is Accepted; safe to log

	again bool          // NotSent for want of a connection: it may work in a moment
	took  time.Duration // what the transaction took; 0 when none was begun
}

// Refusal is why a relay will never take a mail.
type Refusal uint8

const (
	NotRefused    Refusal = iota
	NoSuchMailbox         // the recipient does not exist: 5.1.1, 5.1.10, …
	BadAddress            // an address is malformed, or no relay can carry it: 5.1.3, 5.1.7, 5.6.7
	Filtered              // policy or content: 5.7.x
	OtherRefusal          // anything else, like a full mailbox or a mail too large
)

var refusals = [...]string{"", "no_such_mailbox", "bad_address", "filtered", "other"}

// String returns the refusal as it is spelled in logs; empty for NotRefused.
func (r Refusal) String() string {
	if int(r) >= len(refusals) {
		return "invalid"
	}
	return refusals[r]
}

// Errors that Result.Err may wrap when Outcome is NotSent.
var (
	// ErrClosed: Run has ended.
	ErrClosed = errors.New("smtp: closed")
	// ErrBusy: all connections of the relay stayed in use until the deadline.
	ErrBusy = errors.New("smtp: all connections are in use")
)

// errNoUTF8 means that the relay is well but lacks SMTPUTF8 (RFC 6531).
var errNoUTF8 = errors.New("relay lacks SMTPUTF8, which the address needs")

// Failure is a connection that could not be made or did not hold.
type Failure struct {
	Reason Reason
	Err    error
}

func (f *Failure) Error() string {
	text := f.Err.Error()
	if strings.HasPrefix(text, string(f.Reason)+" ") { // "dial tcp 10.0.0.6:25: …"
		return text
	}
	return string(f.Reason) + ": " + text
}

func (f *Failure) Unwrap() error { return f.Err }

// Reason says at what a connection failed. It is a metric's label.
type Reason string

const (
	ReasonDial     Reason = "dial"     // no TCP connection
	ReasonTLS      Reason = "tls"      // STARTTLS missing or handshake failed
	ReasonGreeting Reason = "greeting" // greeting or EHLO refused, or not SMTP
	ReasonAuth     Reason = "auth"     // login refused
	ReasonTimeout  Reason = "timeout"  // no answer in time
	ReasonLost     Reason = "lost"     // closed by the relay, in order (421) or not
	ReasonProtocol Reason = "protocol" // what came is no SMTP reply, or too long
	ReasonUnfit    Reason = "unfit"    // a reply about the relay or about us, not about the mail
)

var reasons = []Reason{ReasonDial, ReasonTLS, ReasonGreeting, ReasonAuth, ReasonTimeout, ReasonLost, ReasonProtocol, ReasonUnfit}

// hasReason tells whether err is a Failure for that reason.
func hasReason(err error, reason Reason) bool {
	var f *Failure
	return errors.As(err, &f) && f.Reason == reason
}
