package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// crashOrder is what all sides know about one order.
type crashOrder struct {
	key             string // in each part's text, or the mail's subject
	number, address string // one of them
	parts           int

	shipment   string // of the first answer
	orderID    string
	created    int    // answers 201
	repeated   int    // answers 200
	unanswered int    // requests without an answer
	contradict string // an answer that differs from the first

	taken map[int]int       // by part: how often the SMSC or the relay accepted it
	final map[string]string // final receipts, by message id

	fed    []string // statuses in the feed
	status string   // of the shipment
}

// crashBook keeps the four records.
type crashBook struct {
	mu       sync.Mutex
	orders   map[string]*crashOrder
	followed []client.FeedEntry // owned by follow until it ends
	strays   []string           // accepted by SMSC or relay, but not ordered

	submits, receipts, mails chan struct{} // ticks; dropped where no receiver waits
}

func newCrashBook() *crashBook {
	return &crashBook{orders: map[string]*crashOrder{}, submits: make(chan struct{}), receipts: make(chan struct{}), mails: make(chan struct{})}
}

func tick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (b *crashBook) told(o *crashOrder, p client.Placed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Created {
		o.created++
	} else {
		o.repeated++
	}
	if o.shipment == "" {
		o.shipment, o.orderID = p.ShipmentID, p.OrderID
	}
	if !o.is(p) {
		o.contradict = fmt.Sprintf("%+v", p)
	}
}

// is reports whether an answer has the ids of the first answer.
func (o *crashOrder) is(p client.Placed) bool {
	return p.ShipmentID == o.shipment && p.OrderID == o.orderID && p.SendersReference == "ref-"+o.key
}

// took records that the SMSC or the relay accepted a part of the order with the key, and its recipient.
func (b *crashBook) took(key, recipient string, part int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.orders[key]
	if o == nil || recipient != strings.TrimPrefix(o.number, "+")+o.address || part > o.parts {
		b.strays = append(b.strays, fmt.Sprintf("%q to %s, part %d", key, recipient, part))
		return
	}
	o.taken[part]++
}

// turnedAway records a 503, which promises that nothing was sent.
func (b *crashBook) turnedAway(o *crashOrder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(o.taken) > 0 && o.unanswered == 0 {
		o.contradict = "503, when it had left"
	}
}

func (b *crashBook) unanswered(o *crashOrder) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o.unanswered++
}

func (b *crashBook) submitted(s smsctest.Submit) {
	if s.Taken() {
		seg, _ := s.Segment()
		b.took(daemontest.KeyOf(s), s.Dest, max(seg.Index, 1))
	}
	tick(b.submits)
}

func (b *crashBook) receipt(s smsctest.Submit, state string) {
	b.mu.Lock()
	if o := b.orders[daemontest.KeyOf(s)]; o != nil {
		o.final[s.MessageID] = state
	}
	b.mu.Unlock()
	tick(b.receipts)
}

func (b *crashBook) mailed(m relaytest.Message) {
	_, rest, _ := bytes.Cut(m.Data, []byte("\nSubject: "))
	key, _, _ := bytes.Cut(rest, []byte("\r"))
	b.took(string(key), m.To, 1)
	tick(b.mails)
}
