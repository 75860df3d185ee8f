package smtp

import (
	"errors"
	"math/rand/v2"
	"slices"
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
	Enhanced [3]int  // its enhanced code (RFC 3463); zeros when it gave none
	QueueID  string  // the relay's identifier of the mail, where its reply has one of a known form
	Reports  bool    // the relay was asked for reports, of delivery too (RFC 3461)
	Err      error   // nil when Outcome is Accepted; safe to log
	Times    Times

	again     bool          // NotSent for want of a connection: it may work in a moment
	fresh     bool          // NotSent, but a new connection may do
	deferral  time.Duration // NotSent for a 4yz to RCPT: the pause before a second attempt; 0 for any other reason
	declined  bool          // NotSent by a relay that will not take this mail later either
	otherwise Refusal       // of a mail that is declined: its refusal when every relay declines it; NotRefused for a fault of ours
	took      time.Duration // duration of the transaction; 0 when none was begun
}

// Times says when a hand-over got how far, at the last relay that was tried. A stage that was not reached is
// zero.
type Times struct {
	Connection time.Time // it had a connection
	Written    time.Time // all of DATA was sent, the final dot too
	Answered   time.Time // the relay replied to the dot, or refused the mail before
}

// decline is that a relay will not take a letter, which another relay may take.
type decline struct {
	by        *relay
	otherwise Refusal // see Result
}

func (l *letter) declinedBy(r *relay) bool {
	return slices.ContainsFunc(l.declines, func(d decline) bool { return d.by == r })
}

func (l *letter) deferredBy(r *relay) bool { return slices.Contains(l.deferrals, r) }

// refusal returns why every relay declined the letter: as the first of them did; NotRefused where one did so for
// a fault of ours, which can be corrected.
func (l *letter) refusal() Refusal {
	if len(l.declines) == 0 || slices.ContainsFunc(l.declines, func(d decline) bool { return d.otherwise == NotRefused }) {
		return NotRefused
	}
	return l.declines[0].otherwise
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

// String returns the refusal as logs spell it; empty for NotRefused.
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
	// ErrRate: the rate of the relay left no room for the mail until its deadline.
	ErrRate = errors.New("smtp: the rate is used up")
)

// errNoUTF8 means that the relay is well but lacks SMTPUTF8 (RFC 6531).
var errNoUTF8 = errors.New("relay lacks SMTPUTF8, which the address needs")

// errTooLarge means that the mail exceeds the SIZE that the relay announced (RFC 1870).
var errTooLarge = errors.New("mail is larger than the relay takes")

// Failure is a connection that could not be made, or broke.
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

// Reason is why a connection failed. It is a label of metrics.
type Reason string

const (
	ReasonDial     Reason = "dial"     // no TCP connection
	ReasonTLS      Reason = "tls"      // STARTTLS missing or handshake failed
	ReasonGreeting Reason = "greeting" // greeting or EHLO refused, or not SMTP
	ReasonAuth     Reason = "auth"     // login refused
	ReasonTimeout  Reason = "timeout"  // no reply in time
	ReasonLost     Reason = "lost"     // closed by the relay, in order (421) or not
	ReasonProtocol Reason = "protocol" // not an SMTP reply, too long, or not asked for
	ReasonUnfit    Reason = "unfit"    // a reply about the relay or about us, not about the mail
)

var reasons = []Reason{ReasonDial, ReasonTLS, ReasonGreeting, ReasonAuth, ReasonTimeout, ReasonLost, ReasonProtocol, ReasonUnfit}

// hasReason reports whether err is a Failure for that reason.
func hasReason(err error, reason Reason) bool {
	var f *Failure
	return errors.As(err, &f) && f.Reason == reason
}

// stage is how far a transaction went.
type stage uint8

const (
	stageMail stage = iota // MAIL FROM
	stageRcpt              // RCPT TO
	stageData              // DATA and the body, short of the final dot
	stageDot               // the final dot was written
)

// disposition is the meaning of a reply for the mail.
type disposition struct {
	outcome handover.Outcome
	refusal Refusal // of a mail that is Refused; NotSent: its refusal if every relay declines it
	ours    bool    // the relay has trouble with itself or with us, not with the mail
}

// classify returns what a reply at a stage allows. See the package comment.
func classify(r *reply, at stage) disposition {
	switch r.code / 100 {
	case 2:
		if at == stageDot {
			return disposition{outcome: handover.Accepted}
		}
	case 4:
		return disposition{outcome: handover.NotSent, ours: relayTrouble(r)}
	case 5:
		if at == stageDot {
			return disposition{outcome: handover.Refused, refusal: refusalOf(r, at)}
		}
		return beforeDot(r, at)
	}
	// The reply belongs to no command.
	if at == stageDot {
		return disposition{outcome: handover.Unknown, ours: true}
	}
	return disposition{outcome: handover.NotSent, ours: true}
}

// beforeDot returns what a 5yz before the dot allows. It is final only where it is about the
// recipient, and a reply is about the recipient only if it says so: any other may be about us or the sender,
// which the next relay accepts.
func beforeDot(r *reply, at stage) disposition {
	switch s := subjectOf(r, at); s {
	case aboutUs:
		return disposition{outcome: handover.NotSent, ours: true}
	case aboutRecipient:
		return disposition{outcome: handover.Refused, refusal: refusalOf(r, at)}
	case aboutSender:
		refusal := OtherRefusal
		if r.enhanced[1] == 1 && r.enhanced[2] == 7 {
			refusal = BadAddress
		}
		return disposition{outcome: handover.NotSent, refusal: refusal}
	default:
		return disposition{outcome: handover.NotSent, refusal: refusalOf(r, at)}
	}
}

// postscreened is Postfix's enhanced code for a host that postscreen meets for the first time. The reply is the
// same as long as the connection lasts; the next connection is let in.
var postscreened = [3]int{4, 3, 2}

// deferralPause is the longest pause before the second attempt at a recipient. Postfix replies 450 4.1.1
// until it has verified an address, which it has by then as a rule.
const deferralPause = 500 * time.Millisecond

// deferral returns the pause before a second attempt at a recipient, on a new connection; 0 where the reply
// is no 4yz about the recipient.
func deferral(r *reply) time.Duration {
	switch {
	case !r.is(4) || r.code == 421:
		return 0
	case r.enhanced == postscreened:
		return time.Millisecond
	}
	return deferralPause/2 + rand.N(deferralPause/2)
}

// relayTrouble reports whether a 4yz is about the relay and not the recipient:
// closing (421) or short of something (4.3.x, RFC 3463 §3.4).
func relayTrouble(r *reply) bool {
	return r.code == 421 || r.code == 452 && r.enhanced[1] != 2 || r.enhanced[1] == 3
}

// byEnhancedCode maps the subject and detail of class 5 (RFC 3463 §3 and IANA's additions).
// A code that is not listed goes by its subject.
var byEnhancedCode = map[[2]int]Refusal{
	{1, 0}:  OtherRefusal,  // other address status
	{1, 1}:  NoSuchMailbox, // bad destination mailbox address
	{1, 2}:  NoSuchMailbox, // bad destination system address: no such domain
	{1, 3}:  BadAddress,    // bad destination mailbox address syntax
	{1, 4}:  OtherRefusal,  // destination mailbox address ambiguous
	{1, 6}:  NoSuchMailbox, // destination mailbox has moved
	{1, 7}:  BadAddress,    // bad sender's mailbox address syntax
	{1, 8}:  OtherRefusal,  // bad sender's system address
	{1, 9}:  OtherRefusal,  // message relayed to non-compliant mailer
	{1, 10}: NoSuchMailbox, // recipient address has null MX (RFC 7505)
	{2, 1}:  NoSuchMailbox, // mailbox disabled, not accepting messages
	{6, 7}:  BadAddress,    // non-ASCII addresses not permitted (RFC 6531)
	{6, 10}: BadAddress,    // the same, for the other party
}

// refusalOf returns why a mail was refused: by the enhanced code where there is one, else by
// the reply code and common texts.
func refusalOf(r *reply, at stage) Refusal {
	code := r.enhanced
	if code[0] == 5 && code != ([3]int{5, 0, 0}) {
		if r, ok := byEnhancedCode[[2]int{code[1], code[2]}]; ok {
			return r
		}
		if code[1] == 7 {
			return Filtered
		}
		return OtherRefusal
	}
	switch {
	case says(r.text, fullPhrases...):
		return OtherRefusal
	case r.code == 551, says(r.text, mailboxPhrases...): // 551: user not local (RFC 5321 §4.2.3)
		return NoSuchMailbox
	case says(r.text, contentPhrases...):
		return Filtered
	case at != stageDot && (r.code == 501 || r.code == 553): // syntax in the parameter, mailbox name not allowed
		return BadAddress
	}
	return OtherRefusal
}
