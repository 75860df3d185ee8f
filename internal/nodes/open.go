package nodes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Open is an order that was answered and has no outcome, or was not sent, with all that is known of it.
type Open struct {
	Order
	Node    string   // that has claimed it
	Claimed bool     // the claim is unanswered
	Outages []Outage // of its node, while clients asked for it
}

func (o *Open) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, claimed by node %s, sent %d times", o.Key, o.Node, o.Submits)
	if o.Submits > 0 {
		fmt.Fprintf(&b, ", at %s", clock(o.Taken))
	}
	if !o.Acked.IsZero() {
		fmt.Fprintf(&b, ", receipt acknowledged at %s", clock(o.Acked))
	}
	for _, a := range o.Asks {
		node := a.Node
		if node == "" {
			node = "proxy"
		}
		fmt.Fprintf(&b, "\n\t%s to %s, %s: %s", clock(a.From), clock(a.To), node, a.Answer)
	}
	for _, out := range o.Outages {
		fmt.Fprintf(&b, "\n\t%s", out)
	}
	return b.String()
}

// Why returns why the order has no outcome: what its node met with. allowed reports whether that is a reason. It is one
// only if the SMSC has nothing of the order, and its node may not know that: it was killed after it had stored the order,
// or what it wrote came no further. A message that the SMSC has is settled by its receipt, whichever node that comes to. A
// node that lives finds out that it has not sent an order, whatever became of the database meanwhile.
func (o *Open) Why() (why string, allowed bool) {
	switch {
	case o.Submits > 0 && o.Acked.IsZero():
		return "the SMSC has it, and its receipt was not acknowledged", false
	case o.Submits > 0:
		return "its receipt was acknowledged, and has not settled it", false
	case o.Claimed:
		return "nobody has ended its claim", false
	}
	for _, what := range []string{Killed, Frozen, Cut} {
		if slices.ContainsFunc(o.Outages, func(out Outage) bool { return out.What == what }) {
			return "not sent, its node was " + what, true
		}
	}
	return "not sent, though its node lived", false
}

// judgeOpen asks the journal about orders without an outcome, and which receipts wait there: each is for one of the
// orders, whose number no other has.
func (w *World) judgeOpen(ctx context.Context, v *Verdict, orders []Order) {
	if err := errors.Join(w.opened(ctx, v.Open), w.opened(ctx, v.Unsent)); err != nil {
		v.fault("orders without an outcome: %v", err)
		return
	}
	for i := range v.Open {
		if why, allowed := v.Open[i].Why(); !allowed {
			v.fault("an order has no outcome: %s: %s", why, &v.Open[i])
		}
	}
	waiting, err := w.sql(ctx, "select encode(number, 'escape') from straks.parked")
	if err != nil {
		v.fault("receipts that wait: %v", err)
	}
	for number := range strings.Lines(waiting) {
		for _, o := range orders {
			if strings.HasSuffix(o.Number, strings.TrimSpace(number)) {
				v.fault("a receipt waits for %s", &Open{Order: o})
			}
		}
	}
}

// opened asks the journal which nodes have claimed orders.
func (w *World) opened(ctx context.Context, orders []Open) error {
	if len(orders) == 0 {
		return nil
	}
	ids := make([]string, len(orders))
	for i := range orders {
		ids[i] = "'" + orders[i].Shipment + "'"
	}
	out, err := w.sql(ctx, "select id, node, claim_until is not null from straks.shipments where id in ("+strings.Join(ids, ",")+")")
	if err != nil {
		return err
	}
	rows := make(map[string][]string)
	for line := range strings.Lines(out) {
		fields := strings.Split(strings.TrimSpace(line), "|")
		rows[fields[0]] = fields
	}
	for i := range orders {
		o := &orders[i]
		row := rows[o.Shipment]
		if len(row) != 3 {
			return fmt.Errorf("the journal says %q of %s", row, o.Key)
		}
		o.Node, o.Claimed = w.name(row[1]), row[2] == "t"
		o.Outages = w.during(o.Node, o.Asks[0].From, o.Asks[len(o.Asks)-1].To)
	}
	return nil
}

// name returns the name of the node with an id.
func (w *World) name(id string) string {
	for _, n := range w.Nodes {
		if strconv.Itoa(n.ID) == id {
			return n.Name
		}
	}
	return id
}
