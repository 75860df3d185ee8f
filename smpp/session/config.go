package session

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"straks/smpp/wire"
)

// Config says with whom a session is held and how patiently. Zero
// values mean the defaults named.
type Config struct {
	Addr string      // host:port of the SMSC
	TLS  *tls.Config // nil for plain TCP; an empty ServerName becomes the host of Addr
	Mode Mode        // default Transceiver
	Bind wire.Bind   // an InterfaceVersion of zero becomes 0x34

	// Window is how many submits may be unanswered at a time; default 10.
	Window int
	// Deliveries is how many deliver_sm and data_sm may wait for Respond; what
	// comes beyond is answered ESME_RX_T_APPN by the session; default 1000.
	// DeliveryOctets bounds their PDUs together, since one may have 64 KiB of
	// message_payload; default 1 MiB.
	Deliveries     int
	DeliveryOctets int
	// Tombstones is how many submits are remembered whose answer did not come in
	// time, and LateFor for how long; default 10,000 and 10 minutes.
	Tombstones int
	LateFor    time.Duration

	DialTimeout     time.Duration // connect and TLS handshake together; default 5 s
	BindTimeout     time.Duration // from bind to bind_resp; default 5 s
	ResponseTimeout time.Duration // from submit_sm to its answer; default 10 s
	// DeadAfter is the silence after which the peer is given up, and the longest
	// that one write may take; default 15 s.
	DeadAfter time.Duration
	// EnquireInterval is the silence after which enquire_link is sent; default a
	// third of DeadAfter, and always less than it.
	EnquireInterval time.Duration
	UnbindTimeout   time.Duration // from unbind to unbind_resp; default 5 s

	// Deliver is given every deliver_sm and data_sm, from the reading goroutine:
	// it must not block. Without one they are answered ESME_RX_T_APPN.
	Deliver func(*Delivery)
	// Late is given answers that came after Submit had returned without one,
	// from the reading goroutine.
	Late func(Late)
	// Observe is told what is worth counting.
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
	// Answered: a submit got its answer, so long after it was taken to be written.
	Answered func(took time.Duration, status wire.Status)
	// Unmatched: a response came that answers nothing of ours, or a second time.
	Unmatched func(wire.CommandID)
	// Undecodable: a PDU could not be read and was answered with the error's
	// status, or was read but for its TLVs.
	Undecodable func(*wire.DecodeError)
	// Overflow: a delivery was refused because too many waited for Respond.
	Overflow func()
}

// withDefaults fills what was left zero and replaces absent callbacks, so that
// nobody has to ask whether they are there.
func (c Config) withDefaults() Config {
	c.Window = cmp.Or(c.Window, 10)
	c.Deliveries = cmp.Or(c.Deliveries, 1000)
	c.DeliveryOctets = cmp.Or(c.DeliveryOctets, 1<<20)
	c.Tombstones = cmp.Or(c.Tombstones, 10_000)
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
	c.Observe = c.Observe.withDefaults()
	return c
}

func (o Observer) withDefaults() Observer {
	if o.Answered == nil {
		o.Answered = func(time.Duration, wire.Status) {}
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

// check tells what is wrong with a configuration that has its defaults.
func (c *Config) check() error {
	var errs []error
	for _, n := range []struct {
		name string
		v    int64
	}{
		{"Window", int64(c.Window)}, {"Deliveries", int64(c.Deliveries)}, {"DeliveryOctets", int64(c.DeliveryOctets)},
		{"Tombstones", int64(c.Tombstones)},
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
