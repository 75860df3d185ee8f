package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"straks/api/client"
)

// sendExits tells scripts what they may rely on.
const sendExits = `Exit status:
  0  the carrier took it, or may have: a line with "perhaps sent" says that it has not
     answered; with -wait: delivered
  1  not known to be sent; the reason is on stderr. Trying again with the same -key is
     safe, whatever became of it: a key is never sent twice
  2  the command line is wrong
  3  the carrier refused it for good, or it has failed since, and the same key sends
     nothing any more; with -wait: not delivered
`

// endedError is of a message that has ended, and not with its recipient: exit code 3.
type endedError string

func (e endedError) Error() string {
	return fmt.Sprintf("it has ended as %s; the same key sends nothing any more", string(e))
}

// tell says what became of an order that was taken. The server knew before it answered,
// but says 201 also of what the carrier refused for good.
func (d *draft) tell(ctx context.Context, c *client.Client, placed client.Placed, e env) error {
	s, err := c.Shipment(ctx, placed.ShipmentID)
	fmt.Fprintf(e.stdout, "%s: shipment %s, order %s, key %s\n", outcome(placed, s), placed.ShipmentID, placed.OrderID, d.key)
	if err == nil && d.wait {
		s, err = await(ctx, c, s, e)
	}
	if err != nil {
		return fmt.Errorf("%w\nThe order was taken, and \"straks shipment %s\" tells what became of it", advise(err), placed.ShipmentID)
	}
	if s.Failed() {
		return endedError(statusOf(s))
	}
	return nil
}

// outcome is what became of an order so far; s may be unknown.
func outcome(placed client.Placed, s client.Shipment) string {
	now := statusOf(s)
	switch {
	case !placed.Created:
		return "ordered before with this key; nothing was sent now" + choose(now == "", "", "; "+now)
	case now == "":
		return "ordered"
	case s.Failed():
		return "failed, " + now
	case strings.HasSuffix(now, "_New"), strings.HasSuffix(now, "_Sending"):
		return "perhaps sent, the carrier has not answered"
	}
	return "sent"
}

// statusOf is that of the recipient, empty where the shipment is not known.
func statusOf(s client.Shipment) string {
	if len(s.Recipients) == 0 {
		return ""
	}
	return s.Recipients[0].Status
}

// await prints the shipment at each change until its status is final.
func await(ctx context.Context, c *client.Client, s client.Shipment, e env) (client.Shipment, error) {
	var last string
	for {
		if now := line(s); now != last {
			fmt.Fprintln(e.stdout, now)
			last = now
		}
		if s.Final() {
			return s, nil
		}
		if err := pause(ctx, pollEvery); err != nil {
			return s, err
		}
		next, err := c.Shipment(ctx, s.ShipmentID)
		if err != nil {
			return s, err
		}
		s = next
	}
}

// pause waits, or returns why not.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
