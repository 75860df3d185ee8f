package session

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"straks/smpp/wire"
)

// Config is the peer of a session, its time-outs and its handlers. Zero values stand for
// the defaults.
type Config struct {
	Addr string      // host:port of the SMSC
	TLS  *tls.Config // nil for plain TCP; an empty ServerName becomes the host of Addr
	// Dial connects to Addr in place of a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	Mode Mode      // default Transceiver
	Bind wire.Bind // an InterfaceVersion of zero becomes 0x34

	// Deliveries bounds the deliver_sm and data_sm that wait for Respond. The session
	// answers those beyond it with ESME_RX_T_APPN. Default 1000.
	// DeliveryOctets bounds their PDUs together, since one may have 64 KiB of
	// message_payload. Default 1 MiB.
	Deliveries     int
	DeliveryOctets int
	// MaxExpired bounds the submits without a response in time that are remembered, and
	// LateFor the time for which they are. Default 10,000 and 10 minutes.
	MaxExpired int
	LateFor    time.Duration

	DialTimeout     time.Duration // connect and TLS handshake together; default 5 s
	BindTimeout     time.Duration // from bind to bind_resp; default 5 s
	ResponseTimeout time.Duration // from submit_sm to its response; default 10 s
	// DeadAfter is the silence after which the peer is given up, and the longest
	// time that one write may take. Default 15 s.
	DeadAfter time.Duration
	// EnquireInterval is the silence after which enquire_link is sent. Default a
	// third of DeadAfter, and always less than it.
	EnquireInterval time.Duration
	UnbindTimeout   time.Duration // from unbind to unbind_resp; default 5 s

	// Deliver receives every deliver_sm and data_sm, on the reading goroutine:
	// it must not block. Without one they are answered with ESME_RX_T_APPN.
	Deliver func(*Delivery)
	// Late receives responses that arrived after Submit had returned without one, on
	// the reading goroutine.
	Late func(Late)
	// Expired receives the Ref of each submit that passes ResponseTimeout after
	// Submit has returned.
	Expired func(ref any)
	// Observe gets the events that are worth counting.
	Observe Observer
}

// Mode is the kind of bind (SMPP 3.4 §2.2).
type Mode uint8

const (
	Transceiver Mode = iota // submits and receives
	Transmitter             // submits only
	Receiver                // receives only
)

// String returns "transceiver", "transmitter" or "receiver".
func (m Mode) String() string {
	switch m {
	case Transmitter:
		return "transmitter"
	case Receiver:
		return "receiver"
	}
	return "transceiver"
}

func (m Mode) command() wire.CommandID {
	switch m {
	case Transmitter:
		return wire.BindTransmitter
	case Receiver:
		return wire.BindReceiver
	}
	return wire.BindTransceiver
}

// Observer is a set of callbacks, each optional. They run on the session's own
// goroutines and must not block.
type Observer struct {
	// Response: a submit got its response, took after the writer had taken it.
	Response func(took time.Duration, status wire.Status)
	// Unmatched: a response to none of our requests, or a second one.
	Unmatched func(wire.CommandID)
	// Undecodable: a PDU could not be read and was answered with the error's
	// status, or was read except its TLVs.
	Undecodable func(*wire.DecodeError)
	// Overflow: a delivery was refused because too many waited for Respond.
	Overflow func()
}

// withDefaults fills in the defaults and replaces absent callbacks, so that no caller of
// a callback has to check for nil.
func (c Config) withDefaults() Config {
	c.Deliveries = cmp.Or(c.Deliveries, 1000)
	c.DeliveryOctets = cmp.Or(c.DeliveryOctets, 1<<20)
	c.MaxExpired = cmp.Or(c.MaxExpired, 10_000)
	c.LateFor = cmp.Or(c.LateFor, 10*time.Minute)
	c.DialTimeout = cmp.Or(c.DialTimeout, 5*time.Second)
	c.BindTimeout = cmp.Or(c.BindTimeout, 5*time.Second)
	c.ResponseTimeout = cmp.Or(c.ResponseTimeout, 10*time.Second)
	c.DeadAfter = cmp.Or(c.DeadAfter, 15*time.Second)
	c.EnquireInterval = cmp.Or(c.EnquireInterval, c.DeadAfter/3)
	c.UnbindTimeout = cmp.Or(c.UnbindTimeout, 5*time.Second)
	c.Bind.InterfaceVersion = cmp.Or(c.Bind.InterfaceVersion, 0x34)
	if c.Deliver == nil {
		c.Deliver = func(d *Delivery) { d.Respond(wire.ESMERxTAppn) }
	}
	if c.Late == nil {
		c.Late = func(Late) {}
	}
	if c.Expired == nil {
		c.Expired = func(any) {}
	}
	c.Observe = c.Observe.withDefaults()
	return c
}

func (o Observer) withDefaults() Observer {
	if o.Response == nil {
		o.Response = func(time.Duration, wire.Status) {}
	}
	if o.Unmatched == nil {
		o.Unmatched = func(wire.CommandID) {}
	}
	if o.Undecodable == nil {
		o.Undecodable = func(*wire.DecodeError) {}
	}
	if o.Overflow == nil {
		o.Overflow = func() {}
	}
	return o
}

// check returns the faults of a configuration that has its defaults.
func (c *Config) check() error {
	var errs []error
	for _, n := range []struct {
		name string
		v    int64
	}{
		{"Deliveries", int64(c.Deliveries)}, {"DeliveryOctets", int64(c.DeliveryOctets)}, {"MaxExpired", int64(c.MaxExpired)},
		{"LateFor", int64(c.LateFor)}, {"DialTimeout", int64(c.DialTimeout)}, {"BindTimeout", int64(c.BindTimeout)},
		{"ResponseTimeout", int64(c.ResponseTimeout)}, {"DeadAfter", int64(c.DeadAfter)},
		{"EnquireInterval", int64(c.EnquireInterval)}, {"UnbindTimeout", int64(c.UnbindTimeout)},
	} {
		if n.v < 0 {
			errs = append(errs, fmt.Errorf("smpp: %s must not be negative", n.name))
		}
	}
	if c.EnquireInterval >= c.DeadAfter {
		errs = append(errs, errors.New("smpp: EnquireInterval must be less than DeadAfter"))
	}
	return errors.Join(append(errs, c.Bind.Check())...)
}
