package smsctest

import (
	"errors"
	"time"

	"straks/smpp/wire"
)

// Down closes the listener and all connections. The port stays reserved.
func (s *SMSC) Down() {
	s.n.count(&s.n.outages)
	s.shut()
}

// Up listens again, on the same port. It may be called at any time.
func (s *SMSC) Up() error { return s.listen() }

// Outage is Down now and Up after d.
func (s *SMSC) Outage(d time.Duration) {
	s.Down()
	s.clock.after(d, func() { _ = s.Up() }) // fails after Close only: the port is reserved
}

// Drop closes all connections at once; the listener stays.
func (s *SMSC) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.close()
	}
}

// Freeze stops reading and writing on every connection, those to come
// included, for d or until Thaw where d is 0. The kernel still accepts.
func (s *SMSC) Freeze(d time.Duration) {
	s.n.count(&s.n.frozen)
	s.cold.freeze(s.clock, d)
}

// Thaw ends Freeze.
func (s *SMSC) Thaw() { s.cold.thaw() }

// Unbind sends unbind on every bind; the ESME's answer ends the connection.
func (s *SMSC) Unbind() {
	for _, c := range s.bound() {
		c.request(wire.Unbind)
	}
}

// Enquire sends enquire_link on every bind.
func (s *SMSC) Enquire() {
	for _, c := range s.bound() {
		s.n.count(&s.n.enquiriesSent)
		c.request(wire.EnquireLink)
	}
}

// Misbehave writes something bogus on every bind.
func (s *SMSC) Misbehave(m Mischief) {
	for _, c := range s.bound() {
		c.misbehave(m)
	}
}

// Write writes octets, as they are, on every bind.
func (s *SMSC) Write(b []byte) {
	for _, c := range s.bound() {
		c.out.raw(b)
	}
}

// SendMO sends a mobile-originated message to whoever receives here. Numbers
// are international without "+"; a text beyond 140 octets goes as
// message_payload.
func (s *SMSC) SendMO(from, to, text string) error {
	coding, octets := encodeText(text)
	m := &wire.Message{SourceTON: 1, SourceNPI: 1, Source: from, DestTON: 1, DestNPI: 1, Dest: to, DataCoding: coding}
	if len(octets) <= 140 {
		m.ShortMessage = octets
	} else {
		m.TLVs = []wire.TLV{{Tag: wire.TagMessagePayload, Value: octets}}
	}
	return s.Deliver(m)
}

// Deliver sends a deliver_sm of the caller's making, such as a receipt in a
// vendor's dialect, and sees to its being acknowledged like any other. It goes
// to a system_id with a bind that receives, or else to any that was bound.
func (s *SMSC) Deliver(m *wire.Message) error {
	if err := m.Check(); err != nil {
		return err
	}
	a := s.addressee()
	if a == nil {
		return errors.New("smsctest: nobody has ever been bound")
	}
	s.n.add(&s.n.waitingNow, 1)
	a.deliver(&delivery{command: wire.DeliverSM, msg: m})
	return nil
}

func (s *SMSC) addressee() *account {
	for _, c := range s.bound() {
		if c.receives() {
			return c.bound()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.accounts {
		return a
	}
	return nil
}
