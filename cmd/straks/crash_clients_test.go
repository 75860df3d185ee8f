package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
)

// clientCell is a client of the running daemon; nil while none runs.
type clientCell = atomic.Pointer[client.Client]

// work places one order after the other until ctx ends, and repeats each until it is
// answered.
func (c *crash) work(ctx context.Context) {
	for ctx.Err() == nil {
		o := c.book.newOrder()
		for c.place(o) != nil {
			time.Sleep(2 * time.Millisecond)
		}
		time.Sleep(rand.N(4 * time.Millisecond))
	}
}

// place makes one request, and records its result. It returns an error where the client
// must repeat it.
func (c *crash) place(o *crashOrder) error {
	api := c.api.Load()
	if api == nil {
		return errors.New("no daemon")
	}
	placed, err := o.send(api)
	var problem *client.Problem
	switch {
	case err == nil:
		c.book.told(o, placed)
	case !errors.As(err, &problem):
		c.book.unanswered(o)
	case problem.Status != http.StatusServiceUnavailable || problem.RetryAfter == 0:
		c.T.Errorf("%s: %v", o.key, err)
		return nil
	default:
		c.book.turnedAway(o)
	}
	return err
}

// send makes one request of the order.
func (o *crashOrder) send(api *client.Client) (client.Placed, error) {
	if o.address != "" {
		m := daemontest.Mail(o.key, o.address)
		m.SendersReference = "ref-" + o.key
		m.Recipient.Settings.Subject = o.key
		return api.SendEmail(context.Background(), m)
	}
	m := daemontest.SMS(o.key, o.number)
	m.Recipient.TTLSeconds = 172800 // longer than any run
	m.Recipient.Settings.Body = o.key + ":"
	if o.parts == 2 {
		m.Recipient.Settings.Body += strings.Repeat("x", 153-len(o.key)-1) + o.key + ":" + strings.Repeat("y", 20)
	}
	return api.SendSMS(context.Background(), m)
}

// repeatAll places each order once more: nothing may be sent.
func (c *crash) repeatAll() {
	work := make(chan *crashOrder)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for o := range work {
				c.repeat(o)
			}
		})
	}
	for _, o := range c.book.orders {
		work <- o
	}
	close(work)
	wg.Wait()
}

// repeat repeats an order until the daemon's disk is fast enough for its answer.
func (c *crash) repeat(o *crashOrder) {
	again, err := o.send(c.Client)
	for range 1000 {
		var problem *client.Problem
		if !errors.As(err, &problem) || !problem.Temporary() {
			break
		}
		time.Sleep(20 * time.Millisecond)
		again, err = o.send(c.Client)
	}
	if err != nil || again.Created || !o.is(again) {
		c.T.Errorf("%s was told %s, and is now %+v, %v", o.key, o.shipment, again, err)
	}
}

// follow reads the feed as a client does that never goes back: entries that it has read
// must not change, and none may appear before them.
func (c *crash) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if api := c.api.Load(); api != nil {
			page, err := api.Feed(context.Background(), client.FeedQuery{Seq: uint64(len(c.book.followed)), All: true})
			if err == nil {
				c.book.followed = append(c.book.followed, page...)
			}
		}
		time.Sleep(3 * time.Millisecond)
	}
}

// newOrder returns the next order. Its number decides its kind.
func (b *crashBook) newOrder() *crashOrder {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := len(b.orders)
	o := &crashOrder{key: fmt.Sprintf("n%d", n), parts: 1, taken: map[int]int{}, final: map[string]string{}}
	switch {
	case n%40 == 3:
		o.address = "nosuch@example.org"
	case n%40 == 23:
		o.address = fmt.Sprintf("lost.%d@example.org", n%100)
	case n%40 == 7:
		o.address = fmt.Sprintf("full.%d@example.org", n%400)
	case n%40 == 27:
		o.address = fmt.Sprintf("silent.%d@example.org", n%400)
	case n%4 == 3:
		o.address = fmt.Sprintf("kari%d@example.org", n%400)
	default:
		o.number = fmt.Sprintf("+4790%06d", 100000+n)
		o.parts += (n / 10 % 3) / 2
	}
	b.orders[o.key] = o
	return o
}
