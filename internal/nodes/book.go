package nodes

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"straks/api/client"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// Order is what all sides know about one order.
type Order struct {
	Key, Number string

	Created    int // answers 201
	Known      int // answers 200
	Refused    int // answers 503
	Unanswered int // requests without an answer
	Shipment   string
	Contradict string // an answer that differs from the first
	Submits    int    // that the SMSC accepted

	Asks  []Ask
	Taken time.Time // when the SMSC accepted the first of Submits
	Acked time.Time // when the SMSC was told last that a receipt is stored
}

// Ask is one request for an order.
type Ask struct {
	Node     string // empty: a proxy chose it
	From, To time.Time
	Answer   string // "201", "200", "503" or what kept the answer away
}

// Answered reports whether a client was told that the order is stored.
func (o *Order) Answered() bool { return o.Created+o.Known > 0 }

// Book keeps what was ordered, answered and sent. It is safe for concurrent use.
type Book struct {
	mu     sync.Mutex
	orders map[string]*Order
	to     map[string]*Order // by Number
	list   []*Order          // in their order
	strays []string          // that the SMSC got and nobody ordered
}

func newBook() *Book { return &Book{orders: make(map[string]*Order), to: make(map[string]*Order)} }

// New notes an order with a key and a number of its own.
func (b *Book) New() *Order {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.list)
	o := &Order{Key: fmt.Sprintf("n%d", n), Number: fmt.Sprintf("+4791%06d", n%1_000_000)}
	b.orders[o.Key], b.to[o.Number], b.list = o, o, append(b.list, o)
	return o
}

// Orders returns copies of all orders.
func (b *Book) Orders() []Order {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Order, len(b.list))
	for i, o := range b.list {
		all[i] = *o
	}
	return all
}

// submitted is called by the SMSC for each submit.
func (b *Book) submitted(s smsctest.Submit) {
	if !s.Taken() {
		return
	}
	key, _, _ := strings.Cut(s.Text(), ":")
	b.mu.Lock()
	defer b.mu.Unlock()
	if o := b.orders[key]; o != nil && o.Number == "+"+s.Dest {
		if o.Submits++; o.Submits == 1 {
			o.Taken = s.At
		}
	} else {
		b.strays = append(b.strays, fmt.Sprintf("%q to %s", key, s.Dest))
	}
}

// acknowledged is called by the SMSC for each receipt that was acknowledged.
func (b *Book) acknowledged(m *wire.Message, _ time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o := b.to["+"+m.Source]; o != nil {
		o.Acked = time.Now()
	}
}

// asked notes a request that has ended.
func (b *Book) asked(o *Order, node string, from time.Time, answer string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o.Asks = append(o.Asks, Ask{Node: node, From: from, To: time.Now(), Answer: answer})
}

// told notes an answer.
func (b *Book) told(o *Order, p client.Placed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.Created {
		o.Created++
	} else {
		o.Known++
	}
	if o.Shipment == "" {
		o.Shipment = p.ShipmentID
	}
	if o.Shipment != p.ShipmentID {
		o.Contradict = p.ShipmentID
	}
}

// count notes a request that did not bring an answer.
func (b *Book) count(n *int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*n++
}
