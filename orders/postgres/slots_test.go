package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"straks/internal/faultproxy"
)

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

// TestSlotAfterTheLease: a node that takes a slot when its lease has expired must give it back at once. It may reach the
// database no more, so that nothing else would have it do so.
func TestSlotAfterTheLease(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	opt.Lease = time.Second
	j := open(t, opt)
	defer j.Close()
	conn := locking(t, opt, "select from nodes for update") // so that the lease can't be renewed
	defer closeConn(conn)
	eventually(t, "the lease does not end", func() bool { return j.lease.left() < -2*opt.Lease })
	slot, err := j.AcquireSlot(t.Context(), "telco", 0)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-slot.Ended:
	case <-time.After(time.Minute):
		t.Error("the slot does not end")
	}
	slot.Release()
}

// TestSlotOfNodeThatIsCutOff: a node that reaches no database gives its binds back when its lease expires, so that the
// carrier does not refuse the node that has them then.
func TestSlotOfNodeThatIsCutOff(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	opt.Lease = 8 * time.Second
	way, err := faultproxy.Listen("unix", c.Primary.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer way.Close()
	_, port, _ := strings.Cut(way.Addr(), ":")
	other := node(opt, 2)
	opt.DSN = c.DSNAt("straks", "127.0.0.1", port)
	j, b := open(t, opt), open(t, other)
	defer j.Close()
	defer b.Close()
	slot, err := j.AcquireSlot(t.Context(), "telco", 0)
	if err != nil {
		t.Fatal(err)
	}
	way.ToClient(faultproxy.Fault{Drop: true})
	select {
	case <-slot.Ended:
	case <-time.After(5 * time.Minute):
		t.Fatal("the slot does not end")
	}
	if err := j.Allow(); err == nil {
		t.Error("a node whose slot has ended may submit")
	}
	taken, err := b.AcquireSlot(t.Context(), "telco", 0)
	if err != nil || !taken.Inherited {
		t.Fatalf("inherited %v, %v", taken.Inherited, err)
	}
	slot.Release()
	way.Heal()
	taken.Release()
	again, err := j.AcquireSlot(t.Context(), "telco", 0)
	if err != nil || !again.Inherited {
		t.Fatalf("after it reaches the database again: inherited %v, %v", again.Inherited, err)
	}
	again.Release()
}
