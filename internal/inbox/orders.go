package inbox

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"straks/api/client"
)

const (
	maxOrders  = 16               // of buttons under way, at a time
	keepOrders = 20               // that the page shows
	followFor  = 30 * time.Second // how long the status of a shipment is asked for
	askEvery   = 300 * time.Millisecond
	maxText    = 20_000 // octets of a text from the form
)

// order is one call of the API by a button, and what became of it.
type order struct {
	At       time.Time
	To       string
	Answer   string        // "201 Created"; empty while there is none
	Took     time.Duration // until the answer
	Retry    time.Duration // Retry-After of the answer; 0: none
	Detail   string        // of a refusal
	Status   string        // of the shipment, the last that was seen
	Shipment string
}

// orders are the newest orders of buttons. Its goroutines end with close.
type orders struct {
	touch  func() // tells pages of a change
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	slots  chan struct{}

	mu   sync.Mutex
	list []*order // newest first
}

func newOrders(touch func()) *orders {
	o := &orders{touch: touch, slots: make(chan struct{}, maxOrders)}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	return o
}

func (o *orders) close() {
	o.cancel()
	o.wg.Wait()
}

// newest returns a copy of the list.
func (o *orders) newest() []order {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]order, len(o.list))
	for i, one := range o.list {
		list[i] = *one
	}
	return list
}

func (o *orders) change(edit func()) {
	o.mu.Lock()
	edit()
	o.mu.Unlock()
	o.touch()
}

// errBusy: further orders would make a load of the page.
var errBusy = errors.New("too many orders are under way: wait for their answers")

// place makes a call and follows its shipment, in the background.
func (o *orders) place(c *client.Client, to, text string) error {
	select {
	case o.slots <- struct{}{}:
	default:
		return errBusy
	}
	one := &order{At: time.Now(), To: to}
	o.change(func() { o.list = slices.Insert(o.list[:min(len(o.list), keepOrders-1)], 0, one) })
	o.wg.Go(func() {
		defer func() { <-o.slots }()
		placed, err := send(o.ctx, c, to, text)
		o.change(func() { one.answered(placed, err, time.Since(one.At)) })
		if err == nil {
			o.follow(c, one, placed.ShipmentID)
		}
	})
	return nil
}

// send places an order, of which a repeat would be another.
func send(ctx context.Context, c *client.Client, to, text string) (client.Placed, error) {
	key := "inbox-" + rand.Text()
	if strings.Contains(to, "@") {
		return c.SendEmail(ctx, client.Email{IdempotencyID: key, Recipient: client.EmailRecipient{EmailAddress: to,
			Settings: client.EmailSettings{Subject: "Try from the inbox", Body: text}}})
	}
	return c.SendSMS(ctx, client.SMS{IdempotencyID: key, Recipient: client.SMSRecipient{PhoneNumber: to, TTLSeconds: 300,
		Settings: client.SMSSettings{Body: text}}})
}

// answered notes the answer of the API. The caller holds the lock.
func (one *order) answered(p client.Placed, err error, took time.Duration) {
	one.Took = took
	if refused := (*client.Problem)(nil); errors.As(err, &refused) {
		one.Answer, one.Detail, one.Retry = statusLine(refused.Status), refused.Detail, refused.RetryAfter
		for _, list := range refused.Errors {
			one.Detail = strings.TrimSpace(one.Detail + " " + strings.Join(list, " "))
		}
		return
	}
	if err != nil {
		one.Answer, one.Detail = "no answer", err.Error()
		return
	}
	one.Answer, one.Shipment = statusLine(http.StatusOK), p.ShipmentID
	if p.Created {
		one.Answer = statusLine(http.StatusCreated)
	}
}

// follow asks for the shipment's status until it is final.
func (o *orders) follow(c *client.Client, one *order, id string) {
	ctx, cancel := context.WithTimeout(o.ctx, followFor)
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for seen := ""; ; {
		s, err := c.Shipment(ctx, id)
		if err == nil && len(s.Recipients) > 0 && s.Recipients[0].Status != seen {
			seen = s.Recipients[0].Status
			o.change(func() { one.Status = seen })
		}
		if err == nil && s.Final() {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// try: POST /try with to, text and perhaps limited.
func (s *Server) try(w http.ResponseWriter, r *http.Request) {
	to, text := r.PostFormValue("to"), r.PostFormValue("text")
	if rest, blank := strings.CutPrefix(to, " "); blank && strings.Trim(rest, "0123456789") == "" && rest != "" {
		to = "+" + rest // a form that nobody escaped, as curl sends it
	}
	to = strings.TrimSpace(to)
	if text == "" {
		text = "Your code is 123456"
	}
	if to == "" || len(to) > 500 || len(text) > maxText || !utf8.ValidString(to+text) {
		http.Error(w, "to must be a number or an address, and text at most 20,000 octets", http.StatusBadRequest)
		return
	}
	c, times := s.config.Client, 1
	if r.PostFormValue("limited") != "" {
		c, times = s.config.Limited, 2 // the first takes what the rate allows
	}
	for range times {
		if err := s.orders.place(c, to, text); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	back(w, r, "/try#orders")
}
