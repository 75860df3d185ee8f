package smsctest

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"straks/smpp/wire"
)

// Down closes the listener and all connections. The port stays reserved.
func (s *SMSC) Down() {
	s.n.count(&s.n.Outages)
	s.shut()
}

// Up listens again, on the same port. It may be called at any time.
func (s *SMSC) Up() error { return s.listen() }

// Outage is Down now and Up after d.
func (s *SMSC) Outage(d time.Duration) {
	s.Down()
	s.clock.after(d, func() { _ = s.Up() }) // fails only after Close: the port is reserved
}

// Drop closes all connections at once; the listener stays.
func (s *SMSC) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.close()
	}
}

// Freeze stops reading and writing on every connection, present and future, for d; until
// Thaw if d is 0. The kernel still accepts connections.
func (s *SMSC) Freeze(d time.Duration) {
	s.n.count(&s.n.Frozen)
	s.cold.freeze(s.clock, d)
}

// Thaw ends Freeze.
func (s *SMSC) Thaw() { s.cold.thaw() }

// Unbind sends unbind on every bind; unbind_resp ends the connection.
func (s *SMSC) Unbind() {
	for _, c := range s.bound() {
		c.request(wire.Unbind)
	}
}

// Enquire sends enquire_link on every bind.
func (s *SMSC) Enquire() {
	for _, c := range s.bound() {
		s.n.count(&s.n.EnquiriesSent)
		c.request(wire.EnquireLink)
	}
}

// Misbehave writes a mischief on every bind.
func (s *SMSC) Misbehave(m Mischief) {
	for _, c := range s.bound() {
		c.misbehave(m)
	}
}

// Write writes octets as they are on every bind.
func (s *SMSC) Write(b []byte) {
	for _, c := range s.bound() {
		c.out.put(b)
	}
}

// SendMO sends a mobile-originated message, to the same bind as Deliver. Numbers are
// international, without "+". A text of more than 140 octets is sent as message_payload.
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

// Deliver sends the caller's deliver_sm, such as a receipt in a vendor's dialect, and sends
// it again until it is acknowledged, like any other. It goes to a system_id with a bind
// that receives, or else to any that was ever bound.
func (s *SMSC) Deliver(m *wire.Message) error {
	if err := m.Check(); err != nil {
		return err
	}
	a := s.addressee()
	if a == nil {
		return errors.New("smsctest: no system_id was ever bound")
	}
	s.n.add(&s.n.WaitingNow, 1)
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

// Storm plays every quirk and incident at random, from the profile's seed, until ctx ends.
// Then it restores the profile, thaws all connections and opens the listener. Outages and
// freezes last at most 300 ms. Message ids keep their form and are never reused, so every
// submit stays distinguishable.
func (s *SMSC) Storm(ctx context.Context) {
	fair := s.Profile()
	rng := rand.New(rand.NewPCG(fair.Seed, 0x5708))
	defer func() {
		s.SetProfile(fair)
		s.Thaw()
		_ = s.Up() // fails only after Close
	}()
	for {
		s.SetProfile(stormy(fair, rng))
		s.incident(rng)
		select {
		case <-time.After(upTo(rng, 150*time.Millisecond)):
		case <-ctx.Done():
			return
		case <-s.done:
			return
		}
	}
}

// incident plays at most one incident on all connections.
func (s *SMSC) incident(rng *rand.Rand) {
	switch rng.IntN(20) {
	case 0:
		s.Outage(upTo(rng, 300*time.Millisecond))
	case 1:
		s.Drop()
	case 2:
		s.Freeze(upTo(rng, 300*time.Millisecond))
	case 3:
		s.Unbind()
	case 4, 5:
		s.Enquire()
	case 6, 7, 8:
		s.Misbehave(Mischief(rng.IntN(int(mischiefEnd))))
	}
}

// stormy returns the profile with random quirks; most of them are off half the time.
func stormy(p Profile, rng *rand.Rand) Profile {
	perhaps := func(n int) int { return n * rng.IntN(2) }
	p.Retry = 20 * time.Millisecond
	p.AckTimeout = 500 * time.Millisecond
	p.Window = 1 + rng.IntN(50)
	p.Enquire = upTo(rng, time.Second)
	p.ChattyBind = rng.IntN(2) == 0
	p.BindDelay = upTo(rng, 20*time.Millisecond)

	b := &p.Behaviour
	b.Delay, b.Jitter = upTo(rng, 5*time.Millisecond), upTo(rng, 20*time.Millisecond)
	b.Throttle, b.QueueFull, b.Nack = perhaps(15), perhaps(30), perhaps(50)
	if rng.IntN(10) == 0 {
		b.Status = []wire.Status{wire.ESMESysErr, wire.ESMEThrottled, wire.ESMEInvDstAdr, 0x4FF}[rng.IntN(4)]
	}
	b.Congestion = byte(perhaps(80))
	b.Lose, b.Close, b.Twice = perhaps(60), perhaps(150), perhaps(10)
	b.Freeze, b.FreezeFor = perhaps(200), 1+upTo(rng, 300*time.Millisecond)
	b.Reorder = perhaps(4)
	b.Mischief, b.MischiefOneIn = Mischief(rng.IntN(int(mischiefEnd))), perhaps(100)

	r := &b.Receipt
	r.Delay, r.Jitter = upTo(rng, 5*time.Millisecond), upTo(rng, 20*time.Millisecond)
	r.Early, r.DataSM, r.EchoReference = rng.IntN(3) == 0, rng.IntN(2) == 0, rng.IntN(2) == 0
	r.Missing, r.Duplicate = perhaps(20), perhaps(5)
	r.Form = Form(rng.IntN(int(TLVOnly) + 1))
	r.Intermediate = []string{"", "ENROUTE", "ACCEPTD"}[rng.IntN(3)]
	r.State = []string{"DELIVRD", "DELIVRD", "UNDELIV", "EXPIRED", "REJECTD"}[rng.IntN(5)]
	return p
}

func upTo(rng *rand.Rand, d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
