package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/orders"
)

// realTime makes a journal whose times are the database's.
func realTime(t *testing.T) Options {
	t.Helper()
	opt := made(t)
	opt.callersTime, opt.Log, opt.Lease = false, quiet(), 5*time.Second
	return opt
}

// kill ends a journal's goroutines as the end of its process would: its lease is not given back.
func (j *Journal) kill() {
	j.lease.kept.Store(true)
	_ = j.Close()
}

func node(opt Options, n int) Options {
	opt.Node = n
	return opt
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// TestSameNode: a second process with the id of one that runs is refused; after that has closed, it may begin at once.
func TestSameNode(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	first := open(t, opt)
	if _, err := Open(t.Context(), opt); !errors.Is(err, ErrHeld) {
		t.Fatalf("a second process as node 1: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	opt.Lease = time.Hour
	again := open(t, opt)
	if running, err := Probe(t.Context(), opt); err != nil || !running {
		t.Errorf("running %v, %v", running, err)
	}
	again.Close()
	if running, err := Probe(t.Context(), opt); err != nil || running {
		t.Errorf("running %v, %v", running, err)
	}
}

// TestDeadNode: a node that dies is declared dead. The other one becomes the keeper, finds its unanswered claim, and keeps
// its deadline; what the dead node says of its claim after that frees nothing.
func TestDeadNode(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	dies := open(t, opt)
	lives := open(t, node(opt, 2))
	defer lives.Close()
	if left, err := lives.Abandoned(t.Context()); err != nil || len(left) > 0 || lives.lease.keeper() {
		t.Fatalf("node 2 is the keeper, or finds %v, %v", left, err)
	}
	in := order("k")
	in.TTL = 100 * time.Millisecond
	in.ClaimFor = time.Hour
	s, _, err := dies.Accept(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	dies.kill()
	var left []orders.Shipment
	eventually(t, "the claim of the dead node is not found", func() bool {
		left, err = lives.Abandoned(t.Context())
		return err != nil || len(left) > 0
	})
	if err != nil || len(left) != 1 || left[0].ID != s.ID {
		t.Fatalf("%v, %v", left, err)
	}
	if _, err := lives.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: time.Now().UTC(), Outcome: handover.Unknown, Total: 1}}); err != nil {
		t.Fatal(err)
	}
	effects, err := lives.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: s.Accepted, Outcome: handover.NotSent}})
	if err != nil || effects[0].Shipment.Status != orders.SMSSending {
		t.Fatalf("not sent, after the claim was ended: %+v, %v", effects, err)
	}
	eventually(t, "the deadline is not kept", func() bool {
		due, _, err := lives.Due(t.Context(), time.Now().UTC(), 10)
		return err == nil && len(due) == 1 && due[0] == s.ID
	})
	if left, err := lives.Abandoned(t.Context()); err != nil || len(left) > 0 {
		t.Fatalf("left %v, %v", left, err)
	}
}

// TestClaimEnds: whether a claim has ended is decided by the database's clock, whatever times callers bring. A node
// that was frozen with its answer in hand frees nothing, and one whose clock is ahead says nothing too early.
func TestClaimEnds(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	j, other := open(t, opt), open(t, node(opt, 2))
	defer j.Close()
	defer other.Close()
	in := order("k")
	in.ClaimFor = time.Hour
	s, _, err := j.Accept(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	ahead := order("k")
	ahead.At = in.At.Add(2 * time.Hour)
	if have, claimed, err := other.Accept(t.Context(), ahead); err != nil || claimed || !have.Held {
		t.Errorf("a clock that is ahead: claimed %v, held %v, %v", claimed, have.Held, err)
	}
	if have, ok, err := other.Known(t.Context(), "ttd", "k", ahead.At); err != nil || !ok || !have.Held {
		t.Errorf("a clock that is ahead: known %v, held %v, %v", ok, have.Held, err)
	}
	late := order("late")
	late.At = time.Now().UTC().Add(-2 * time.Hour)
	late.ClaimFor = time.Hour
	l, _, err := j.Accept(t.Context(), late)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(s orders.Shipment) orders.Answer {
		return orders.Answer{Shipment: s.ID, Claim: s.Claim, At: s.Accepted.Add(time.Second), Outcome: handover.NotSent}
	}
	effects, err := j.Apply(t.Context(), []orders.Event{answer(s), answer(l)})
	if err != nil || effects[0].Shipment.Status != orders.SMSNew || effects[1].Shipment.Status != orders.SMSSending {
		t.Fatalf("%+v, %v", effects, err)
	}
}

// TestFenced: a node that was declared dead must not submit with what it had; it takes a new epoch, and its slots
// have ended.
func TestFenced(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	j := open(t, opt)
	defer j.Close()
	slot, err := j.AcquireSlot(t.Context(), "telco", 0)
	if err != nil {
		t.Fatal(err)
	}
	before := j.lease.epochNow()
	if err := j.write(t, "update nodes set epoch = epoch + 1, expires = '-infinity'"); err != nil {
		t.Fatal(err)
	}
	<-slot.Ended
	slot.Release()
	eventually(t, "the node has no new epoch", func() bool { return j.lease.epochNow() == before+2 })
	if again, err := j.AcquireSlot(t.Context(), "telco", 0); err != nil {
		t.Fatal(err)
	} else {
		again.Release()
	}
}

// TestLeaseEnds: a node that can't renew its lease says so before another one counts it as dead.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	opt.Lease = 4 * time.Second
	j := open(t, opt)
	defer j.Close()
	eventually(t, "a node with a lease may not submit", func() bool { return j.Allow() == nil })
	c.Servers[0].Freeze()
	eventually(t, "a node without a lease may submit", func() bool { return j.Allow() != nil })
	if err := j.Ready(); err == nil {
		t.Error("a node without a lease is ready")
	}
	c.Servers[0].Thaw()
	eventually(t, "the lease is not renewed", func() bool { return j.Ready() == nil })
}

func (j *Journal) write(t *testing.T, sql string) error {
	_, err := j.pool.Exec(t.Context(), sql)
	return err
}

// TestSlots: two nodes share three binds; what a node gives back or leaves behind the other one takes.
func TestSlots(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	a := open(t, opt)
	var ofA []Slot
	for n := range 3 {
		slot, err := a.AcquireSlot(t.Context(), "telco", n)
		if err != nil || slot.Inherited {
			t.Fatalf("slot %d: inherited %v, %v", n, slot.Inherited, err)
		}
		ofA = append(ofA, slot)
	}
	b := open(t, node(opt, 2))
	defer b.Close()
	type got struct {
		n    int
		slot Slot
	}
	ofB := make(chan got)
	ctx, cancel := context.WithCancel(t.Context())
	for n := range 3 {
		go func() {
			if slot, err := b.AcquireSlot(ctx, "telco", n); err == nil {
				ofB <- got{n, slot}
			}
		}()
	}
	<-ofA[2].Ended // the fair share of two nodes is two of three
	select {
	case g := <-ofB:
		t.Fatalf("slot %d was given twice", g.n)
	default:
	}
	ofA[2].Release()
	first := <-ofB
	if first.n != 2 || !first.slot.Inherited {
		t.Fatalf("slot %d, inherited %v", first.n, first.slot.Inherited)
	}
	a.kill()
	second, third := <-ofB, <-ofB
	if !second.slot.Inherited || !third.slot.Inherited {
		t.Error("the slots of a dead node are not inherited")
	}
	cancel()
	for _, g := range []got{first, second, third} {
		g.slot.Release()
	}
	own, err := b.AcquireSlot(t.Context(), "telco", 0)
	if err != nil || own.Inherited {
		t.Fatalf("its own slot again: inherited %v, %v", own.Inherited, err)
	}
	own.Release()
	if _, err := b.AcquireSlot(ctx, "telco", 1); err == nil {
		t.Error("a slot was given to a caller who has left")
	}
}

// TestAnyText: clients send U+0000, and SMSCs octets that are no UTF-8.
func TestAnyText(t *testing.T) {
	t.Parallel()
	opt := made(t)
	j := open(t, opt)
	in := order("key\x00\xff")
	in.SendersReference = "ref\x00\xfe\xff"
	s, _, err := j.Accept(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	ref := "\x00id\xf0"
	for _, e := range []orders.Event{
		orders.Report{Carrier: "telco", Refs: []string{ref, strings.Repeat("\xff", 300)}, At: in.At, Status: orders.SMSDelivered, Detail: "\x00\xffDELIVRD", Recipient: "\x00\xff"},
		orders.Answer{Shipment: s.ID, Claim: s.Claim, At: in.At, Outcome: handover.Accepted, Carrier: "telco", Total: 1, Detail: "\x00",
			Parts: []orders.PartAnswer{{Refs: []string{ref}, Taken: true}}},
		orders.Block{Organisation: "ttd", Channel: orders.Email, Recipient: "\x00\xff@example.org", At: in.At, Source: orders.BlockedByOperator, Reason: "\x00\xff", By: "\xff"},
	} {
		if _, err := j.Apply(t.Context(), []orders.Event{e}); err != nil {
			t.Fatalf("%T: %v", e, err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, opt)
	defer j.Close()
	got, err := j.Shipment(t.Context(), "ttd", s.ID)
	if err != nil || got.Status != orders.SMSDelivered || got.SendersReference != in.SendersReference || got.Detail != "\x00\xffDELIVRD" {
		t.Fatalf("%+v, %v", got, err)
	}
	page, err := j.Blocks(t.Context(), orders.BlockQuery{Limit: 10})
	if err != nil || len(page.Blocks) != 1 || page.Blocks[0].Reason != "\x00\xff" {
		t.Fatalf("%+v, %v", page, err)
	}
	// What the database can't store at all fails alone.
	bad := order("k2")
	bad.Organisation = "a\x00b"
	if _, _, err := j.Accept(t.Context(), bad); err == nil || errors.Is(err, orders.ErrUnavailable) {
		t.Errorf("an organisation that text does not take: %v", err)
	}
}

// TestVersions: Open refuses a database without a journal, and one of another time; Create refuses one that is there.
func TestVersions(t *testing.T) {
	t.Parallel()
	opt := Options{DSN: database(t), Log: quiet()}
	if _, err := Open(t.Context(), opt); !errors.Is(err, ErrMissing) {
		t.Errorf("no journal: %v", err)
	}
	if err := Create(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	if err := Create(t.Context(), opt); !errors.Is(err, ErrExists) {
		t.Errorf("a second journal: %v", err)
	}
	j := open(t, opt)
	defer j.Close()
	for version, want := range map[int]error{schemaVersion - 1: ErrOutdated, schemaVersion + 2: ErrNewer, schemaVersion + 1: nil, schemaVersion: nil} {
		if err := j.write(t, fmt.Sprint("update meta set schema = ", version)); err != nil {
			t.Fatal(err)
		}
		if _, err := Probe(t.Context(), opt); !errors.Is(err, want) {
			t.Errorf("schema %d: %v, want %v", version, err, want)
		}
	}
}
