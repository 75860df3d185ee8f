package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/api/client"
	"straks/internal/clientcert/certtest"
	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/internal/pgcluster"
	"straks/orders"
	"straks/orders/postgres"
)

// limitedNodes configures nodes over one server, each with a bind of its own. edit changes what each has. They don't run yet.
func limitedNodes(t *testing.T, n int, edit func(*node)) (all []*node) {
	t.Helper()
	db := servers(t, pgcluster.Options{Servers: 1})
	ca := certtest.New("cluster")
	var first *node
	for i := range n {
		one := newNode(t, i+1, db.DSN(), ca, first)
		one.EditConfig("name = \"telco\"\n", fmt.Sprintf("name = \"telco\"\nbinds = %d\n", n))
		edit(one)
		if all = append(all, one); first == nil {
			first = one
			p := first.SMSC.Profile()
			p.MaxBinds = n
			first.SMSC.SetProfile(p)
		}
	}
	if err := daemon.CreateJournal(first.Config(), 0); err != nil {
		t.Fatal(err)
	}
	return all
}

// startAll starts nodes, and waits until each sends its orders itself.
func startAll(all []*node) {
	for _, n := range all {
		n.start()
	}
	for _, n := range all {
		eventually.True(n.T, "each node to have a bind", func() bool {
			return !strings.Contains(succeed(n.T, "status", "-config", n.ConfigFile()), "is handed to node") && all[0].SMSC.Stats().BindsNow == uint64(len(all))
		})
	}
}

// refused places an order, and returns the problem that it was answered with; nil: none.
func (n *node) refused(key, to string) *client.Problem {
	n.T.Helper()
	_, err := insist(n.T, n.client, daemontest.SMS(key, to))
	var problem *client.Problem
	if err != nil && !errors.As(err, &problem) {
		n.T.Fatalf("%s: %v\n%s", key, err, n.log.String())
	}
	return problem
}

// counted waits until a node has counted as many orders of others since its start.
func (n *node) counted(orders int) {
	n.T.Helper()
	eventually.True(n.T, fmt.Sprint(orders, " orders of other nodes to be counted"), func() bool {
		out := succeed(n.T, "limits", "list", "-config", n.ConfigFile())
		return strings.Contains(out, fmt.Sprintf("counted of other nodes: %d orders", orders))
	})
}

// TestNodesLimits: what one node accepts counts at the other too, for limits and budgets, and after a kill of either as
// before it. An order that did not leave counts nowhere.
func TestNodesLimits(t *testing.T) {
	all := limitedNodes(t, 2, func(n *node) {
		n.EditConfig("recipient = []", "recipient = [\"5 in 1h\"]")
		n.EditConfig("[[organisation]]\n", "[[price]]\nprice = \"1.00\"\n[[organisation]]\nbudget_per_month = \"9.00\"\n")
	})
	startAll(all)
	a, b := all[0], all[1]
	for i := range 5 {
		if p := a.refused(fmt.Sprint("a", i), "+4799999999"); p != nil {
			t.Fatal(p)
		}
	}
	if p := a.refused("a5", "+4799999999"); p == nil || p.Status != 429 {
		t.Errorf("node a: %v", p)
	}
	b.counted(5)
	if p := b.refused("b0", "+4799999999"); p == nil || p.Status != 429 || !strings.Contains(p.Detail, "5 orders in an hour to one recipient") {
		t.Errorf("node b: %v", p)
	}
	for i := range 4 {
		if p := b.refused(fmt.Sprint("b", i), fmt.Sprintf("+479999990%d", i)); p != nil {
			t.Fatal(p)
		}
	}
	a.counted(4)
	budget := func(n *node, key string) {
		t.Helper()
		eventually.True(t, "the budget to be spent", func() bool { // with what the carrier's answer made it
			return regexp.MustCompile(`9\.00 +9\.00 +100 %`).MatchString(succeed(t, "status", "-config", n.ConfigFile()))
		})
		if p := n.refused(key, "+4799999910"); p == nil || p.Status != 429 || !strings.Contains(p.Detail, "its budget") {
			t.Errorf("the budget is not used up: %v", p)
		}
	}
	budget(a, "c")
	budget(b, "c")
	if err := a.kill(); err != nil {
		t.Fatal(err)
	}
	a.start()
	budget(a, "d")
	budget(b, "d")
	if got := len(a.SMSC.Submits()); got != 9 {
		t.Errorf("%d messages", got)
	}
	for _, n := range all {
		n.stop(t)
	}
}

// TestNodesPumping: traffic that is split over two nodes, so that neither alone has enough of it, raises an alarm at both.
func TestNodesPumping(t *testing.T) {
	all := limitedNodes(t, 2, func(n *node) { n.EditConfig("recipient = []\n", "recipient = []\npumping = \"stop\"\n") })
	pastOf(t, all[0])
	startAll(all)
	a, b := all[0], all[1]
	const each = 70 // an alarm needs 100 in an hour
	for i := range each {
		for _, n := range all {
			if p := n.refused(fmt.Sprint(n.Name(), i), fmt.Sprintf("+3712100%d%03d", n.Config().Node.ID, i)); p != nil && !strings.Contains(p.Detail, "suspected of pumping") {
				t.Fatal(p)
			}
		}
	}
	for _, n := range all {
		eventually.True(t, "an alarm", func() bool {
			return strings.Contains(succeed(t, "limits", "list", "-config", n.ConfigFile()), "+371210")
		})
		if p := n.refused("more", "+37121009999"); p == nil || p.Status != 429 {
			t.Errorf("%v", p)
		}
	}
	a.stop(t)
	b.stop(t)
}

// Name names the node in keys.
func (n *node) Name() string { return fmt.Sprint("node", n.Config().Node.ID, "-") }

// pastOf stores ten orders an hour of the last two days.
func pastOf(t *testing.T, n *node) {
	t.Helper()
	options, err := daemon.PostgresOptions(n.Config())
	if err != nil {
		t.Fatal(err)
	}
	j, err := postgres.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	now := time.Now()
	for hour := 40; hour > 0; hour-- {
		for i := range 10 {
			at := now.Add(-time.Duration(hour)*time.Hour + time.Duration(i)*time.Minute)
			id := uuid.Must(uuid.NewV7())
			for n := range 6 {
				id[n] = byte(at.UnixMilli() >> (40 - 8*n))
			}
			s, _, err := j.Accept(t.Context(), orders.AcceptRequest{Shipment: id, OrderID: uuid.New(), Claim: uuid.New(), Key: fmt.Sprint("past ", hour, i), At: at.UTC(), ClaimFor: time.Minute,
				Organisation: "ttd", Channel: orders.SMS, Recipient: orders.Recipient(fmt.Sprintf("+4790%06d", 100*hour+i)), TTL: time.Hour, Total: 1})
			if err == nil {
				_, err = j.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: at.UTC(), Outcome: handover.Accepted,
					Carrier: "telco", Total: 1, Parts: []orders.PartAnswer{{Refs: []string{s.ID.String()}, Taken: true}}}})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestNodesRate: the live nodes divide the rate and the burst of an organisation, also after one has died, and after it is
// back.
func TestNodesRate(t *testing.T) {
	all := limitedNodes(t, 2, func(n *node) {
		n.EditConfig("[[organisation.token]]", "rate = 0.001\nburst = 12\n[[organisation.token]]")
	})
	startAll(all)
	a, b := all[0], all[1]
	key := 0
	// lets returns what a node lets through at once while it divides by as many nodes.
	lets := func(n *node, nodes int) (through int) {
		t.Helper()
		eventually.True(t, fmt.Sprint("a node to divide by ", nodes), func() bool { return dividedBy(n) == nodes })
		for {
			key++
			_, err := n.client.SendSMS(t.Context(), daemontest.SMS(fmt.Sprint("rate", key), fmt.Sprintf("+4790%06d", key)))
			var p *client.Problem
			if err == nil || errors.As(err, &p) && p.Status == 503 { // one that can't be stored or sent now has used its share
				through++
				continue
			}
			if p == nil {
				t.Fatal(err)
			}
			// The next one is let through after 1,000 s, or twice that.
			if least := time.Duration(nodes-1) * 1000 * time.Second; p.Status != 429 || p.RetryAfter <= least || p.RetryAfter > least+1000*time.Second {
				t.Errorf("with %d nodes: %d, again after %v", nodes, p.Status, p.RetryAfter)
			}
			return through
		}
	}
	if x, y := lets(a, 2), lets(b, 2); x != 6 || y != 6 {
		t.Errorf("of a burst of 12, node a lets %d through, b %d", x, y)
	}
	if err := a.kill(); err != nil {
		t.Fatal(err)
	}
	if more := lets(b, 1); more != 0 {
		t.Errorf("%d more at once, since a node has died", more)
	}
	a.start()
	if x, more := lets(a, 2), lets(b, 2); x != 6 || more != 0 {
		t.Errorf("a node that joins lets %d through, the other %d more", x, more)
	}
	for _, n := range all {
		n.stop(t)
	}
}

// dividedBy returns by how many nodes the log last said that rates are divided; 0 before that.
func dividedBy(n *node) (nodes int) {
	text := n.log.String()
	if i := strings.LastIndex(text, "divided by the live nodes"); i >= 0 {
		_, after, _ := strings.Cut(text[i:], "nodes\":")
		_, _ = fmt.Sscanf(after, "%d", &nodes)
	}
	return nodes
}
