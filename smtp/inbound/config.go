package inbound

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"straks/smtp/returnpath"
)

// Config is the configuration of a Server.
type Config struct {
	Hostname string // in the greeting
	// Domain and Keys are those of the return paths. Both or none.
	Domain string
	Keys   *returnpath.Keys
	// Address is the return path where there is no domain: LMTP takes mails for it. May be empty.
	Address string
	// Postmaster: mails to postmaster@ and abuse@ of Domain go to Handler.Forward. Otherwise they are refused.
	Postmaster bool
	// CertFile and KeyFile are the certificate chain and its key, in PEM. Without them there is no STARTTLS.
	CertFile, KeyFile string
	Limits            Limits
}

// Limits bound what peers can use. A zero stands for the default.
type Limits struct {
	Connections    int     // at a time, on each of the two listeners: 256
	PerAddress     int     // of those on TCP, from one IPv4 address or /64 of IPv6: 32
	RatePerAddress float64 // mails a second from one address: 5000, and as many at once
	MailOctets     int     // of one mail: 1 MiB
	TotalOctets    int     // of all mails that are being received or stored: 64 MiB

	Command  time.Duration // for one command: 1 minute
	Body     time.Duration // for one mail: 3 minutes
	Lifetime time.Duration // of a connection: 10 minutes
	Drain    time.Duration // at the end, for mails that have begun: 5 seconds
}

// WithDefaults returns l with the default of each field that is zero.
func (l Limits) WithDefaults() Limits {
	l.Connections = cmp.Or(l.Connections, 256)
	l.PerAddress = cmp.Or(l.PerAddress, 32)
	l.RatePerAddress = cmp.Or(l.RatePerAddress, 5000)
	l.MailOctets = cmp.Or(l.MailOctets, 1<<20)
	l.TotalOctets = cmp.Or(l.TotalOctets, 64<<20)
	l.Command = cmp.Or(l.Command, time.Minute)
	l.Body = cmp.Or(l.Body, 3*time.Minute)
	l.Lifetime = cmp.Or(l.Lifetime, 10*time.Minute)
	l.Drain = cmp.Or(l.Drain, 5*time.Second)
	return l
}

// Mail is a mail that was received whole.
type Mail struct {
	Shipment uuid.UUID // of the token; uuid.Nil where the recipient has none
	From     string    // the envelope sender; empty for the null sender
	To       string    // "postmaster" or "abuse" of a mail to be forwarded
	Data     []byte    // header and body. It is used again after the handler has returned
}

// Handler takes mails. Both functions are called concurrently. nil means that the mail was stored or handed over; the peer
// then forgets it. ErrRefused means that it never will be. Any other error asks the peer to come again.
type Handler struct {
	Report  func(context.Context, Mail) error
	Forward func(context.Context, Mail) error // not called without Config.Postmaster
}

// ErrRefused is an error of a Handler: the mail will never be taken.
var ErrRefused = errors.New("mail refused")
