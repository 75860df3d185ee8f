package dsn

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Verdict is what one mail says about another.
type Verdict uint8

const (
	Nothing Verdict = iota // not a report, reply or complaint of a known form

	Delivered // in the mailbox, or taken by a server that Exim handed it to
	Relayed   // taken by a server that sends no reports; a failure from beyond may come later
	Expanded  // delivered to an alias or list; its members are not reported
	Delayed   // not delivered yet; a later report tells the outcome

	NoSuchMailbox // failed: the recipient does not exist
	BadAddress    // failed: an address is malformed, or no server can carry it
	Filtered      // failed: policy or content
	Bounced       // failed: any other lasting reason, like a full mailbox
	Transient     // failed: the server gave up after temporary errors

	AutoReply // out of office, vacation, read receipt: says nothing about delivery
	Complaint // the recipient, or their provider, calls the mail spam (RFC 5965)
)

var verdicts = [...]string{"nothing", "delivered", "relayed", "expanded", "delayed",
	"no_such_mailbox", "bad_address", "filtered", "bounced", "transient", "auto_reply", "complaint"}

// String returns the verdict as logs and metrics spell it.
func (v Verdict) String() string {
	if int(v) >= len(verdicts) {
		return "invalid"
	}
	return verdicts[v]
}

// Report reports whether v is of a delivery report.
func (v Verdict) Report() bool { return v >= Delivered && v <= Transient }

// Failed reports whether v is that of a failed mail.
func (v Verdict) Failed() bool { return v >= NoSuchMailbox && v <= Transient }

// Final reports whether the mail's outcome is known. Relayed is final: it is the last report of every
// server without DSN. A failure that comes after it corrects it.
func (v Verdict) Final() bool { return v.Failed() || v == Delivered || v == Relayed }

// Code is an enhanced status code: class, subject, detail (RFC 3463 §2). Its zero value stands for none.
type Code [3]int

// String returns the code with dots; empty for none.
func (c Code) String() string {
	if c == (Code{}) {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", c[0], c[1], c[2])
}

// said reports whether the code has more than a class. Servers write x.0.0 when they don't know.
func (c Code) said() bool { return c[1] != 0 || c[2] != 0 }

// Source is where a Key was found. A smaller one is more reliable.
type Source uint8

const (
	ReturnPath Source = iota // Envelope.Shipment: the token of the address that the mail came to
	EnvelopeID               // Original-Envelope-Id, which repeats the ENVID of RFC 3461 §4.4
	MessageID                // Message-Id of an attached mail or header
)

var sources = [...]string{"return_path", "envelope_id", "message_id"}

// String returns the source as logs spell it.
func (s Source) String() string {
	if int(s) >= len(sources) {
		return "invalid"
	}
	return sources[s]
}

// Key names the mail that a report is about. Only ReturnPath is verified. Anybody can write the others.
type Key struct {
	Source   Source
	Shipment uuid.UUID
}

// Result is what Parse found. Nothing in it quotes the mail: it has numbers, words of our own tables,
// and shipment ids.
type Result struct {
	Verdict Verdict
	Action  string // the report's Action, a word of RFC 3464 §2.3.3; empty where it has none
	Code    Code   // none where the report does not say; never x.0.0
	MadeUp  bool   // Code is the reporting server's own word: the reply that it got has none, or another one
	Reply   int    // the reply code (RFC 5321 §4.2.3) that the code came from; 0 for none
	Phrase  string // of our tables, in lower case; empty where the text has none
	Keys    []Key  // most reliable first, each shipment once; at most maxKeys
}

// String returns the result in one line for operators, without keys: "no_such_mailbox: failed 550 5.1.1
// (user unknown)".
func (r Result) String() string {
	var words []string
	add := func(s string) {
		if s != "" {
			words = append(words, s)
		}
	}
	add(r.Action)
	if r.Reply != 0 {
		add(strconv.Itoa(r.Reply))
	}
	add(r.Code.String())
	if r.Phrase != "" {
		add("(" + r.Phrase + ")")
	}
	if len(words) == 0 {
		return r.Verdict.String()
	}
	return r.Verdict.String() + ": " + strings.Join(words, " ")
}
