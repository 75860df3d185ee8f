package postgres

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/cost"
	"straks/internal/handover"
	"straks/orders"
)

// told is what a node counts of orders.
type told struct {
	t      *testing.T
	others *Others
	of     map[uuid.UUID]orders.Shipment // by claim
	open   map[uuid.UUID]bool
}

// follow returns what a node counts from its start on.
func follow(t *testing.T, j *Journal) *told {
	t.Helper()
	others, err := j.Others(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f := &told{t, others, make(map[uuid.UUID]orders.Shipment), make(map[uuid.UUID]bool)}
	if err := others.Accepted(t.Context(), time.Now().Add(-time.Hour), f.visit); err != nil {
		t.Fatal(err)
	}
	f.read()
	return f
}

// visit wants each claim once under way, and once with its outcome.
func (f *told) visit(s orders.Shipment) {
	if _, twice := f.of[s.Claim]; twice && (!f.open[s.Claim] || s.Held) {
		f.t.Errorf("order %s was told twice", s.ID)
	}
	if f.of[s.Claim], f.open[s.Claim] = s, s.Held; !s.Held {
		delete(f.open, s.Claim)
	}
}

func (f *told) read() {
	f.t.Helper()
	if err := f.others.Read(f.t.Context(), f.visit); err != nil {
		f.t.Fatal(err)
	}
}

// sum returns how many orders may have left, and what they cost.
func (f *told) sum() (n int, spent cost.Amount) {
	for _, s := range f.of {
		if s.MayHaveLeft() {
			n++
			spent += s.Cost.Amount
		}
	}
	return n, spent
}

// wants compares with what the journal has of other nodes, and this one has had before its start.
func (f *told) wants(n int, spent cost.Amount) {
	f.t.Helper()
	if got, paid := f.sum(); got != n || paid != spent || len(f.open) > 0 {
		f.t.Errorf("%d orders for %v are counted, want %d for %v; %d are under way", got, paid, n, spent, len(f.open))
	}
}

func accept(t *testing.T, j *Journal, in orders.AcceptRequest) orders.Shipment {
	t.Helper()
	var s orders.Shipment
	insist(t, func() (err error) {
		var claimed bool
		if s, claimed, err = j.Accept(t.Context(), in); err == nil && !claimed {
			t.Fatalf("%s is not claimed", in.Key)
		}
		return err
	})
	return s
}

func answered(t *testing.T, j *Journal, s orders.Shipment, outcome handover.Outcome, amount cost.Amount) {
	t.Helper()
	a := orders.Answer{Shipment: s.ID, Claim: s.Claim, At: j.Now().UTC(), Outcome: outcome, Carrier: "telco", Total: 1, Cost: orders.Cost{Parts: 1, Amount: amount}}
	if outcome == handover.NotSent {
		a.Cost = orders.Cost{}
	}
	if outcome == handover.Accepted {
		a.Parts = []orders.PartAnswer{{Refs: []string{s.Claim.String()}, Taken: true}}
	}
	insist(t, func() error {
		_, err := j.Apply(t.Context(), []orders.Event{a})
		return err
	})
}

// at gives an order the id of a clock that differs.
func at(in orders.AcceptRequest, offset time.Duration) orders.AcceptRequest {
	id := firstID(time.Now().Add(offset))
	copy(in.Shipment[:6], id[:6])
	return in
}

// TestOthers: what another node accepts counts once, at the most that it can cost until its outcome is known; what did not
// leave counts no more, and again when its key is tried again, at whichever node.
func TestOthers(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	a, b := open(t, opt), open(t, node(opt, 2))
	defer a.Close()
	defer b.Close()
	own := order("own")
	answered(t, b, accept(t, b, own), handover.Accepted, 1)
	before := order("before")
	before.At = time.Now().Add(-time.Hour / 2).UTC()
	answered(t, a, accept(t, a, at(before, -time.Hour/2)), handover.Accepted, 7)
	f := follow(t, b)
	f.wants(2, 8)

	priced := func(key string) orders.AcceptRequest {
		in := order(key)
		in.Cost = orders.Cost{Parts: 1, Amount: 100}
		return in
	}
	one, two, three := accept(t, a, priced("one")), accept(t, a, at(priced("two"), 2*time.Second)), accept(t, a, at(priced("three"), -2*time.Second))
	f.read()
	if n, spent := f.sum(); n != 5 || spent != 308 || len(f.open) != 3 {
		t.Errorf("%d orders for %v, %d under way", n, spent, len(f.open))
	}
	answered(t, a, one, handover.Accepted, 10)
	answered(t, a, two, handover.NotSent, 0)
	answered(t, a, three, handover.Unknown, 20)
	accept(t, b, priced("mine"))
	f.read()
	f.wants(4, 38)
	f.read()
	f.wants(4, 38)

	again := accept(t, a, priced("two")) // with its old id
	if again.ID != two.ID {
		t.Fatal("the key has another id")
	}
	answered(t, a, again, handover.NotSent, 0)
	again = accept(t, a, priced("two")) // and again before a look
	f.read()
	answered(t, a, again, handover.NotSent, 0)
	own2 := accept(t, b, priced("two")) // this node's
	f.read()
	f.wants(4, 38)
	answered(t, b, own2, handover.NotSent, 0)
	answered(t, a, accept(t, a, priced("two")), handover.Accepted, 3)
	f.read()
	f.read()
	f.wants(5, 41)

	// Nobody answers for a node that has died.
	dead := priced("dead")
	dead.At, dead.ClaimFor = time.Now().Add(-90*time.Second).UTC(), time.Second
	accept(t, a, dead)
	f.read()
	f.read()
	f.wants(6, 141)

	// A process that begins as this node counts the same and its own orders, "mine" included.
	b.Close()
	b = open(t, node(opt, 2))
	defer b.Close()
	f = follow(t, b)
	f.read()
	f.wants(7, 241)
}

// TestOthersBlocked: an order that a block list stops counts for nobody.
func TestOthersBlocked(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	a, b := open(t, opt), open(t, node(opt, 2))
	defer a.Close()
	defer b.Close()
	f := follow(t, b)
	if _, err := a.Apply(t.Context(), []orders.Event{orders.Block{Organisation: "ttd", Channel: orders.SMS, Recipient: "+4799999999", At: time.Now().UTC(), Source: orders.BlockedByOperator}}); err != nil {
		t.Fatal(err)
	}
	accept(t, a, order("blocked"))
	f.read()
	f.wants(0, 0)
	follow(t, b).wants(0, 0)
}

// TestOthersLate: an order is counted that appears after a look at its time, as late as the time that storing it may
// take and the difference of clocks allow.
func TestOthersLate(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	a, b := open(t, opt), open(t, node(opt, 2))
	defer a.Close()
	defer b.Close()
	f := follow(t, b)
	for n := range 3 {
		accept(t, a, order(fmt.Sprint("sooner", n)))
		f.read()
		late := order(fmt.Sprint("late", n))
		id := firstID(f.others.at.Add(time.Millisecond - othersOverlap))
		copy(late.Shipment[:6], id[:6])
		accept(t, a, late)
		f.read()
		f.wantsOpen(2*n + 2)
	}
}

func (f *told) wantsOpen(n int) {
	f.t.Helper()
	if got, _ := f.sum(); got != n || len(f.open) != n {
		f.t.Errorf("%d orders are counted, %d of them under way, want %d", got, len(f.open), n)
	}
}

// TestOthersAlone: a node that was alone counts what a node accepts that joins it, and one that can't reach the database
// goes on where it was.
func TestOthersAlone(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	b := open(t, node(opt, 2))
	defer b.Close()
	f := follow(t, b)
	f.read()
	if f.read(); !f.others.last.alone {
		t.Error("it is not alone")
	}
	a := open(t, opt)
	defer a.Close()
	answered(t, a, accept(t, a, order("one")), handover.Accepted, 1)
	f.read()
	f.wants(1, 1)
	for round := range 3 {
		answered(t, a, accept(t, a, order(fmt.Sprint("before", round))), handover.Accepted, 1)
		if err := c.Servers[0].Kill(); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if err := f.others.Read(t.Context(), f.visit); err == nil {
				t.Error("it has read from a server that is dead")
			}
		}
		eventually(t, "the server does not start", func() bool { return c.Servers[0].Start(t.Context()) == nil }) // once its children have gone
		insist(t, func() error { return f.others.Read(t.Context(), f.visit) })
		f.wants(2*round+2, cost.Amount(2*round+2))
		answered(t, a, accept(t, a, order(fmt.Sprint("after", round))), handover.Unknown, 1)
		insist(t, func() error { return f.others.Read(t.Context(), f.visit) })
		f.wants(2*round+3, cost.Amount(2*round+3))
	}
}

// TestOthersRandom: three nodes do what they may in any order, and begin again; each counts what the journal has in the end.
func TestOthersRandom(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); others(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

func others(t *testing.T, random *rand.Rand) {
	const nodes, steps = 3, 400
	opt := realTime(t)
	opt.Lease = time.Hour // nobody is declared dead
	type claim struct {
		s orders.Shipment
		j int
	}
	var all [nodes]*Journal
	var told [nodes]*told
	for i := range all {
		all[i] = open(t, node(opt, i+1))
		told[i] = follow(t, all[i])
		defer func() { all[i].Close() }()
	}
	var under []claim
	var free []string // keys
	keys := make(map[uuid.UUID]string)
	settle := func(n int) {
		c := under[n]
		under = append(under[:n], under[n+1:]...)
		outcome := []handover.Outcome{handover.NotSent, handover.NotSent, handover.Accepted, handover.Unknown}[random.IntN(4)]
		answered(t, all[c.j], c.s, outcome, cost.Amount(random.IntN(50)))
		if outcome == handover.NotSent {
			free = append(free, keys[c.s.ID])
		}
	}
	for step := range steps {
		i := random.IntN(nodes)
		switch what := random.IntN(20); {
		case what < 7:
			in := order(fmt.Sprint(step))
			in.ClaimFor = time.Hour
			in.Cost = orders.Cost{Parts: 1, Amount: 50}
			s := accept(t, all[i], at(in, time.Duration(random.IntN(4000)-2000)*time.Millisecond))
			under = append(under, claim{s, i})
			keys[s.ID] = in.Key
		case what < 10 && len(free) > 0:
			n := random.IntN(len(free))
			in := order(free[n])
			in.ClaimFor = time.Hour
			in.Cost = orders.Cost{Parts: 1, Amount: 50}
			free = append(free[:n], free[n+1:]...)
			s := accept(t, all[i], in)
			under = append(under, claim{s, i})
			keys[s.ID] = in.Key
		case what < 16 && len(under) > 0:
			settle(random.IntN(len(under)))
		case what == 19 && step%4 == 0: // a new process, whose earlier claims get their answers from nobody else
			for n := len(under) - 1; n >= 0; n-- {
				if under[n].j == i {
					settle(n)
				}
			}
			all[i].Close()
			all[i] = open(t, node(opt, i+1))
			told[i] = follow(t, all[i])
		default:
			told[i].read()
		}
	}
	for len(under) > 0 {
		settle(0)
	}
	for i := range all {
		told[i].read()
		told[i].read()
		var n int
		var spent cost.Amount
		counted := func(s orders.Shipment) { n++; spent += s.Cost.Amount }
		var own []orders.Shipment // of this process, which counts them itself
		err := all[i].accepted(t.Context(), time.Now().Add(-time.Hour), func(node int, s orders.Shipment) {
			if _, before := told[i].of[s.Claim]; node != i+1 || before {
				counted(s)
			} else {
				own = append(own, s)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		told[i].wants(n, spent)
		t.Logf("node %d: %d orders of others and of before, %d of its own", i+1, n, len(own))
	}
}
