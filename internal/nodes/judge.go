package nodes

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"straks/api/client"
	"straks/smpp/smsctest"
)

// Verdict is what a run has shown.
type Verdict struct {
	Orders, Created, Known int    // orders, and those whose first answer was 201 or 200
	Submits                int    // messages that the SMSC got
	Entries                int    // of the feed
	Open                   []Open // orders without an outcome: none is known until their deadline
	Unsent                 []Open // orders that have failed: their node found too late that it had not sent them, and no client was told 201
	Faults                 []string

	lasting bool // one of the faults is there to stay
}

func (v *Verdict) fault(format string, args ...any) {
	if len(v.Faults) < 20 {
		v.Faults = append(v.Faults, fmt.Sprintf(format, args...))
	}
}

// lasts is fault of what no time mends.
func (v *Verdict) lasts(format string, args ...any) {
	v.lasting = true
	v.fault(format, args...)
}

// settleTime is how long Judge waits for what is still on its way. Receipts of messages whose answer never came are looked for
// when the claims of their time have ended, and half a minute later after an outage: a slow machine takes longer.
const settleTime = 5 * time.Minute

// Judge compares what clients were told, what the SMSC got, and what each node's feed says. All nodes must run. What is
// not as it must be may still be on its way: then it compares again.
func (w *World) Judge(ctx context.Context) (v Verdict) {
	for end := time.Now().Add(settleTime); ; {
		began := time.Now()
		if v = w.compare(ctx); len(v.Faults) == 0 || v.lasting || time.Now().After(end) || ctx.Err() != nil {
			return v
		}
		time.Sleep(max(10*pollEvery, time.Since(began)))
	}
}

func (w *World) compare(ctx context.Context) (v Verdict) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := w.SMSC.Wait(ctx, func(st smsctest.Stats) bool { return st.WaitingNow == 0 }); err != nil {
		v.fault("receipts are left at the SMSC: %v", err)
	}
	orders := w.Book.Orders()
	statuses := make([]string, len(orders)) // before the feed is read: what it says must be there
	for i, o := range orders {
		var err error
		if !o.Answered() {
			continue
		}
		if statuses[i], err = w.status(ctx, o.Shipment); err != nil {
			v.fault("%s was answered, and its shipment is not there: %v: %+v", o.Key, err, o)
		}
	}
	fed := w.judgeFeeds(ctx, &v)
	for i := range orders {
		orders[i].judge(&v, statuses[i], fed[orders[i].Shipment])
	}
	w.judgeOpen(ctx, &v, orders)
	w.Book.mu.Lock()
	defer w.Book.mu.Unlock()
	for _, stray := range w.Book.strays {
		v.lasts("the SMSC got what nobody ordered: %s", stray)
	}
	return v
}

// judgeFeeds compares the feeds of all nodes, and returns the statuses of each shipment in them.
func (w *World) judgeFeeds(ctx context.Context, v *Verdict) map[string][]string {
	fed := make(map[string][]string)
	var first []client.FeedEntry
	for i, n := range w.Nodes {
		feed, err := n.Feed(ctx)
		if err != nil {
			v.fault("the feed of node %s: %v", n.Name, err)
			continue
		}
		if i == 0 {
			first = feed
		}
		if len(feed) < len(first) || !reflect.DeepEqual(feed[:len(first)], first) { // it may have grown
			v.fault("the feeds of nodes %s and %s differ: %d and %d entries", w.Nodes[0].Name, n.Name, len(first), len(feed))
		}
	}
	v.Entries = len(first)
	for i, e := range first {
		if e.SequenceNumber != first[0].SequenceNumber+uint64(i) {
			v.fault("the feed has a hole before %d", e.SequenceNumber)
		}
		fed[e.ShipmentID] = append(fed[e.ShipmentID], e.Recipients[0].Status)
	}
	return fed
}

// judge judges an order by the status of its shipment, and those that the feed has of it.
func (o *Order) judge(v *Verdict, status string, fed []string) {
	v.Orders++
	v.Submits += o.Submits
	if o.Submits > 1 {
		v.lasts("%s was sent %d times: %+v", o.Key, o.Submits, *o)
	}
	if o.Contradict != "" {
		v.lasts("%s was told two shipments: %+v", o.Key, *o)
	}
	switch {
	case o.Created > 0:
		v.Created++
	case o.Known > 0:
		v.Known++
	}
	switch {
	case status == "": // not answered, or reported
	case status == "SMS_Sending":
		v.Open = append(v.Open, Open{Order: *o})
	case status == "SMS_Failed" && o.Created+o.Submits == 0 && slices.Contains(fed, status):
		v.Unsent = append(v.Unsent, Open{Order: *o})
	case o.Submits == 0:
		v.fault("%s is %s, and the SMSC never got it: %+v", o.Key, status, *o)
	case status != "SMS_Delivered":
		v.fault("%s ends as %s: %+v", o.Key, status, *o)
	case !slices.Contains(fed, status):
		v.fault("%s is %s, and the feed says %v", o.Key, status, fed)
	}
}

// status asks any node for the status of a shipment.
func (w *World) status(ctx context.Context, id string) (string, error) {
	var last error
	for range 100 {
		for _, n := range w.Nodes {
			c := n.Client()
			if c == nil {
				continue
			}
			s, err := c.Shipment(ctx, id)
			if err == nil {
				return s.Recipients[0].Status, nil
			}
			var problem *client.Problem
			if last = err; errors.As(err, &problem) && problem.Status == 404 {
				return "", err
			}
		}
		time.Sleep(pollEvery)
	}
	return "", last
}

// Feed reads the node's feed from its beginning.
func (n *Node) Feed(ctx context.Context) (all []client.FeedEntry, err error) {
	seq := uint64(0)
	for {
		c := n.Client()
		if c == nil {
			return nil, fmt.Errorf("node %s does not run", n.Name)
		}
		page, err := c.Feed(ctx, client.FeedQuery{Seq: seq, All: true})
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
		seq = page[len(page)-1].SequenceNumber
	}
}
