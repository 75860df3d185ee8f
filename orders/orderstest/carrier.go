package orderstest

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"straks/internal/handover"
	"straks/orders"
)

// SendFunc is how a carrier hands a message over: orders.Carrier's Send.
type SendFunc func(context.Context, orders.Message) orders.Handover

// Carrier is a channel that does what the test says, and records what it is given. The zero
// value accepts every message, with the shipment's id as its reference. It is safe for
// concurrent use.
type Carrier struct {
	Window int         // messages at a time; 0 means 100. To be set before use
	Most   orders.Cost // what Estimate returns. To be set before use

	mu    sync.Mutex
	check func(orders.Message) []orders.Fault
	down  bool
	send  SendFunc
	sent  []orders.Message
}

// Accepts is the SendFunc of a carrier that accepts the message, in one part.
func Accepts(_ context.Context, m orders.Message) orders.Handover {
	return orders.Handover{Outcome: handover.Accepted, Carrier: "telco", Total: 1,
		Parts: []orders.PartAnswer{{Refs: []string{m.Shipment.String()}, Taken: true}}}
}

// Ends returns the SendFunc of a carrier that ends every hand-over like this.
func Ends(h orders.Handover) SendFunc {
	return func(context.Context, orders.Message) orders.Handover { return h }
}

// Sends sets how messages are handed over from now on; nil means Accepts.
func (c *Carrier) Sends(send SendFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.send = send
}

// Does makes every hand-over end like this from now on.
func (c *Carrier) Does(h orders.Handover) { c.Sends(Ends(h)) }

// Checks sets the faults that Check finds from now on; nil means none.
func (c *Carrier) Checks(check func(orders.Message) []orders.Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.check = check
}

// Sent returns the messages that were to be handed over, in order.
func (c *Carrier) Sent() []orders.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sent)
}

// Check implements orders.Carrier.
func (c *Carrier) Check(m orders.Message) []orders.Fault {
	c.mu.Lock()
	check := c.check
	c.mu.Unlock()
	if check == nil {
		return nil
	}
	return check(m)
}

// Lane implements orders.Carrier.
func (c *Carrier) Lane(orders.Message) orders.Lane {
	return orders.Lane{Window: cmp.Or(c.Window, 100)}
}

// Down sets whether it can reach its SMSC, "telco".
func (c *Carrier) Down(down bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = down
}

// Reach implements orders.Carrier.
func (c *Carrier) Reach(orders.Message) (carriers []string, now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []string{"telco"}, !c.down
}

// Estimate implements orders.Carrier.
func (c *Carrier) Estimate(orders.Message) (parts int, most orders.Cost) { return 1, c.Most }

// Send implements orders.Carrier.
func (c *Carrier) Send(ctx context.Context, m orders.Message) orders.Handover {
	c.mu.Lock()
	c.sent = append(c.sent, m)
	send := c.send
	c.mu.Unlock()
	if send == nil {
		send = Accepts
	}
	return send(ctx, m)
}

// Ready implements orders.Carrier.
func (c *Carrier) Ready() error { return nil }
