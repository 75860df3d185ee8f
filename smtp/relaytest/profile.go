package relaytest

import (
	"crypto/tls"
	"net"
	"time"
)

// Profile is the behaviour of a relay. The zero value takes every mail and offers neither TLS, login,
// SMTPUTF8 nor DSN.
type Profile struct {
	SMTPUTF8 bool // offer SMTPUTF8 (RFC 6531)
	DSN      bool // offer DSN (RFC 3461)

	TLS      *tls.Config // certificate; STARTTLS is offered when set
	Implicit bool        // speak TLS from the first octet instead (needs TLS)

	Username, Password string   // when set, MAIL is refused with 530 before a login
	Mechanisms         []string // of AUTH, XOAUTH2 among them, where Password is the token; nil means PLAIN and LOGIN

	MaxConns        int // further connections get 421 and are closed; 0 means no limit
	MaxMailsPerConn int // then MAIL gets 421 and the connection is closed; 0 means no limit

	Rules    []Rule        // the first that matches the recipient decides; see StandardRules
	Greylist int           // the first N attempts for each recipient get 451 4.7.1
	Delay    time.Duration // before the replies to MAIL, RCPT and the final dot

	Reports *Reports // what comes back of the mails that were taken; nil: nothing

	Freeze Stage // send nothing from there on
	Drop   Stage // close the connection there, without a reply
	Faults int   // number of mails with which Freeze or Drop happens, from the first; 0 means all

	// Script replaces all of the above: it owns the connection, and returns to close it.
	// Close closes the connection while it runs.
	Script func(net.Conn)

	// OnMessage is called with every mail, before its sender gets the reply.
	OnMessage func(Message)

	Listen      func(addr string) (net.Listener, error) // in place of TCP, for a network in memory
	Keep        int                                     // number of mails remembered, the last ones; 0 means 1000
	AllowRemote bool                                    // listen on other than loopback addresses too
}

// Stage is a point in a transaction.
type Stage uint8

const (
	Never  Stage = iota
	AtMail       // at MAIL, before its reply
	AtRcpt       // at RCPT, before its reply
	AtBody       // after the reply to DATA, before the mail is read
	AtDot        // after the final dot; the mail was taken
)

// Message is a mail that the relay took.
type Message struct {
	From, To   string // from MAIL and RCPT, without brackets
	UTF8       bool   // MAIL had SMTPUTF8
	EnvelopeID string // ENVID of MAIL (RFC 3461)
	Notify     []string
	Data       []byte // header and body as sent, dots unstuffed
	Helo       string // name of the sender in EHLO
	Encrypted  bool
	User       string // name of the login
	Connection int    // its number, from 1: mails of one connection share it
	At         time.Time
}
