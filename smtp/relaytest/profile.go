package relaytest

import (
	"crypto/tls"
	"net"
	"time"
)

// Profile is what the relay is like. The zero value is a plain relay that takes
// every mail and offers neither TLS, login, SMTPUTF8 nor DSN.
type Profile struct {
	SMTPUTF8 bool // offer SMTPUTF8 (RFC 6531)
	DSN      bool // offer DSN (RFC 3461); no report is ever sent

	TLS      *tls.Config // certificate; STARTTLS is offered when set
	Implicit bool        // speak TLS from the first octet instead (needs TLS)

	Username, Password string   // when set, MAIL is refused with 530 before a login
	Mechanisms         []string // what AUTH offers; nil means PLAIN and LOGIN

	MaxConns        int // further connections get 421 and are closed; 0 means no limit
	MaxMailsPerConn int // then MAIL gets 421 and the connection is closed; 0 means no limit

	Rules    []Rule        // the first that fits the recipient decides; see StandardRules
	Greylist int           // the first N tries of each recipient get 451 4.7.1
	Delay    time.Duration // before the answers to MAIL, RCPT and the final dot

	Freeze Stage // say nothing more from there on
	Drop   Stage // close the connection there, without an answer
	Faults int   // how many mails Freeze and Drop befall, counted from the first; 0 means all

	// Script plays the relay instead: it has the connection to itself and returns
	// to close it. Close closes the connection under it.
	Script func(net.Conn)

	// OnMessage is called with every mail, before its sender gets the answer.
	OnMessage func(Message)

	Keep        int  // mails remembered, the oldest leave first; 0 means 1000
	AllowRemote bool // listen on other than loopback addresses too
}

// Stage is a point in a transaction.
type Stage uint8

const (
	Never  Stage = iota
	AtMail       // at MAIL, before its answer
	AtRcpt       // at RCPT, before its answer
	AtBody       // after the answer to DATA, before the mail is read
	AtDot        // after the final dot; the mail was taken
)

// Message is a mail that the relay took.
type Message struct {
	From, To   string // from MAIL and RCPT, without brackets
	UTF8       bool   // MAIL had SMTPUTF8
	EnvelopeID string // ENVID of MAIL (RFC 3461)
	Notify     []string
	Data       []byte // header and body, lines as they came, dots unstuffed
	Helo       string // the name that the sender greeted with
	Encrypted  bool
	User       string // who logged in
	Connection int    // its number, from 1: mails of one connection share it
	At         time.Time
}
