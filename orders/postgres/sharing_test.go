package postgres

import (
	"context"
	"maps"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// slotsOf reads the metric of one SMSC's slots, by state.
func slotsOf(t *testing.T, reg *prometheus.Registry, smsc string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if l := m.GetLabel(); f.GetName() == "straks_slots" && l[0].GetValue() == smsc {
				got[l[1].GetValue()] = m.GetGauge().GetValue()
			}
		}
	}
	return got
}

// TestSharing: the metric follows each slot from node to node, its states add up to the binds of the account, and a node that waits
// knows who has it.
func TestSharing(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	opt.Binds = func() map[string]int { return map[string]int{"telco": 3} }
	regs := []*prometheus.Registry{prometheus.NewRegistry(), prometheus.NewRegistry()}
	with := func(n int) Options {
		o := node(opt, n)
		o.Registerer = regs[n-1]
		return o
	}
	states := func(n int, held, draining, wanted, others float64) func() bool {
		want := map[string]float64{slotHeld: held, slotDraining: draining, slotWanted: wanted, slotOthers: others}
		return func() bool { return maps.Equal(slotsOf(t, regs[n-1], "telco"), want) }
	}
	a := open(t, with(1))
	if !states(1, 0, 0, 0, 3)() {
		t.Errorf("before anything: %v", slotsOf(t, regs[0], "telco"))
	}
	var ofA []Slot
	for n := range 3 {
		slot, err := a.AcquireSlot(t.Context(), "telco", n)
		if err != nil {
			t.Fatal(err)
		}
		ofA = append(ofA, slot)
	}
	if !states(1, 3, 0, 0, 0)() {
		t.Errorf("all are held: %v", slotsOf(t, regs[0], "telco"))
	}
	b := open(t, with(2))
	defer b.Close()
	got := make(chan Slot)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for n := range 3 {
		go func() {
			if slot, err := b.AcquireSlot(ctx, "telco", n); err == nil {
				got <- slot
			}
		}()
	}
	<-ofA[2].Ended
	eventually(t, "a drains one", states(1, 2, 1, 0, 0))
	eventually(t, "one is due to b", states(2, 0, 0, 1, 2))
	for n := range 3 {
		if why := b.WhoHas("telco", n); why != "node 1 has it" {
			t.Errorf("slot %d: %q", n, why)
		}
	}
	ofA[2].Release()
	slots := []Slot{<-got}
	eventually(t, "b has one", states(2, 1, 0, 0, 2))
	eventually(t, "a has two", states(1, 2, 0, 0, 1))
	a.kill()
	slots = append(slots, <-got, <-got)
	eventually(t, "b has all", states(2, 3, 0, 0, 0))
	for _, slot := range slots {
		slot.Release()
	}
}

// TestShare: slots beyond the binds of the account count for nothing, and a node that has its share says so.
func TestShare(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	acquire := func(j *Journal, n int) Slot {
		t.Helper()
		slot, err := j.AcquireSlot(t.Context(), "telco", n)
		if err != nil {
			t.Fatal(err)
		}
		return slot
	}
	before := open(t, opt)
	for n := range 4 { // the account had four binds
		acquire(before, n).Release()
	}
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	opt.Binds = func() map[string]int { return map[string]int{"telco": 2} }
	a, b := open(t, opt), open(t, node(opt, 2))
	defer a.Close()
	defer b.Close()
	first, last := acquire(a, 0), acquire(a, 1)
	got := make(chan Slot)
	go func() {
		if slot, err := b.AcquireSlot(t.Context(), "telco", 1); err == nil {
			got <- slot
		}
	}()
	<-last.Ended
	last.Release()
	ofB := <-got
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go b.AcquireSlot(ctx, "telco", 0) // so that b goes on to use the SMSC
	eventually(t, "b does not know who has the first bind", func() bool { return b.WhoHas("telco", 0) == "node 1 has it" })
	ofB.Release()
	go a.AcquireSlot(ctx, "telco", 1)
	eventually(t, "a does not know that it has its share", func() bool {
		return a.WhoHas("telco", 1) == "it is left to the other nodes: this one has its share, 1 of 2"
	})
	first.Release()
}
