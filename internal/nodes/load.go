package nodes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"straks/api/client"
)

// Load are clients that place orders until Stop.
type Load struct {
	world   *World
	stop    context.CancelFunc
	clients sync.WaitGroup

	mu     sync.Mutex
	faults []string
}

// Load starts clients, each with one order at a time, which it repeats at the next node until it is answered. Every other
// client begins its next order at the next node, the rest where they had their last answer. pause is between two orders of
// a client.
func (w *World) Load(clients int, pause time.Duration) *Load {
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{world: w, stop: stop}
	for i := range clients {
		l.clients.Go(func() { l.work(ctx, i, pause) })
	}
	return l
}

// Stop ends the clients when their orders are answered, for as long as ctx lasts, and returns answers that no straks should give.
func (l *Load) Stop(ctx context.Context) []string {
	l.stop()
	ended := make(chan struct{})
	go func() {
		l.clients.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		l.fault("clients still wait for an answer")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.faults
}

func (l *Load) fault(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, text)
}

func (l *Load) work(ctx context.Context, first int, pause time.Duration) {
	for at := first; ctx.Err() == nil; {
		o := l.world.Book.New()
		for !l.place(o, at) {
			at++
			time.Sleep(10 * time.Millisecond)
		}
		at += first / len(l.world.Nodes) % 2
		time.Sleep(pause)
	}
}

// requestTime is how long a client waits for an answer, longer than a node that works may take: send_deadline, and as much
// again to store.
const requestTime = 7 * time.Second

// place makes one request, and reports whether the order needs no other.
func (l *Load) place(o *Order, node int) bool {
	w := l.world
	n := w.Nodes[node%len(w.Nodes)]
	c := n.Client()
	if w.Front != "" {
		c = w.client(w.Front)
	}
	if c == nil {
		return false
	}
	name, began := n.Name, time.Now()
	if w.Front != "" {
		name = ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTime)
	defer cancel()
	placed, err := c.SendSMS(ctx, client.SMS{IdempotencyID: o.Key, SendersReference: "ref-" + o.Key, Recipient: client.SMSRecipient{
		PhoneNumber: o.Number, TTLSeconds: 172800, Settings: client.SMSSettings{Body: o.Key + ":"}}})
	var problem *client.Problem
	w.Book.asked(o, name, began, answer(placed, err))
	switch {
	case err == nil:
		w.Book.told(o, placed)
		return true
	case !errors.As(err, &problem), w.Front != "" && (problem.Status == http.StatusBadGateway || problem.Status == http.StatusGatewayTimeout):
		w.Book.count(&o.Unanswered)
	case problem.Status == http.StatusServiceUnavailable || problem.Status == http.StatusTooManyRequests:
		w.Book.count(&o.Refused)
	default:
		l.fault(o.Key + ": " + err.Error())
		return true
	}
	return false
}

// answer returns what a client got, in a few words.
func answer(placed client.Placed, err error) string {
	var problem *client.Problem
	switch {
	case errors.As(err, &problem):
		return fmt.Sprintf("%d %s", problem.Status, problem.Detail)
	case err != nil:
		return err.Error()
	case placed.Created:
		return "201"
	}
	return "200"
}

// Place places one order at a node, once.
func (w *World) Place(o *Order, n *Node) bool {
	l := &Load{world: w}
	for i, node := range w.Nodes {
		if node == n {
			return l.place(o, i)
		}
	}
	return false
}
