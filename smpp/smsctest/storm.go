package smsctest

import (
	"context"
	"math/rand/v2"
	"time"

	"straks/smpp/wire"
)

// Storm plays every quirk and incident at random until ctx ends, drawn from the
// profile's seed. Then it is fair weather again: the profile of before, nothing
// frozen, the listener up. Outages and frozen connections last 300 ms at most;
// message ids keep their form and never come twice, so that every submit can
// still be told from every other.
func (s *SMSC) Storm(ctx context.Context) {
	fair := s.Profile()
	rng := rand.New(rand.NewPCG(fair.Seed, 0x5708))
	defer func() {
		s.SetProfile(fair)
		s.Thaw()
		_ = s.Up() // fails after Close only
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

// incident brings at most one trouble upon all connections.
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

// stormy returns the profile with quirks of which each is in force half the time.
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
