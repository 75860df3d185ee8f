package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/codes"
	"straks/internal/handover"
	"straks/orders"
	"straks/orders/orderstest"
)

// produce brings about an answer with the status, on a daemon of its own.
func (c *operation) produce(t *testing.T, status, kind, name string) answer {
	w := start(t, func(cfg *Config, oc *orders.Config) {
		switch {
		case name == "failures":
			cfg.Failures = FailureLimit{PerSecond: 0.001, Burst: 1}
		case status == "429" && strings.HasSuffix(c.path, "/check"): // which has another limit
		case status == "429":
			cfg.Rates = map[string]Rate{"ttd": {PerSecond: 0.001, Burst: 1}}
		case status == "500":
			oc.Journal = &failing{oc.Journal, errors.New("a page can't be read")}
		case name == "busy":
			cfg.MaxRequests = 1
		}
	})
	if c.aboutVerifications() {
		if a, ok := c.produceVerification(t, w, status, kind, name); ok {
			return a
		}
	}
	switch status {
	case "200":
		if c.method == http.MethodPost {
			c.ask(w) // the first time, which is 201
		}
		return c.found(t, w, kind, name)
	case "201":
		return c.ask(w)
	case "304":
		return c.ask(w, header("If-None-Match", c.ask(w).header.Get("ETag")))
	case "400":
		return c.faulty(w)
	case "401":
		if name == "refused" {
			return c.ask(w, as("unknown"))
		}
		return c.ask(w, header("Authorization", ""))
	case "403":
		return c.ask(w, as("scopeless-token"))
	case "404":
		return c.ask(w)
	case "405":
		return c.ask(w, func(r *http.Request) { r.Method = "PUT" })
	case "408":
		return c.slow(t, w)
	case "413":
		c := *c
		c.body = strings.Repeat(" ", DefaultMaxBody+1)
		return c.ask(w)
	case "415":
		return c.ask(w, header("Content-Type", "text/plain"))
	case "429":
		if name == "failures" {
			c.ask(w, as("unknown"))
			return c.ask(w, as("unknown"))
		}
		w.sendSMS("the burst")
		return c.ask(w)
	case "500":
		w.sms.Checks(func(orders.Message) []orders.Fault { panic("a fault") })
		w.email.Checks(func(orders.Message) []orders.Fault { panic("a fault") })
		return c.ask(w)
	case "503":
		return c.unavailable(t, w, name)
	}
	t.Fatalf("no test knows how to get %s", status)
	return answer{}
}

// found asks for something that is there.
func (c *operation) found(t *testing.T, w *world, kind, name string) answer {
	if name == "events" {
		id := w.delivered("k")
		if c.query == "" {
			return w.do(c.method, "/future/shipment/"+id+"?include=events", "")
		}
		return w.do(c.method, c.path+c.query+"&include=events", "")
	}
	if c.method == http.MethodGet {
		w.refuses()
		_, id := ids(t, w.sendSMS("k"))
		if strings.HasPrefix(c.path, "/future/shipment/0") {
			return w.do(c.method, "/future/shipment/"+id, "")
		}
	}
	if kind == "text/event-stream" {
		next, stop := w.events("?seq=0")
		defer stop()
		return answer{http.StatusOK, http.Header{"Content-Type": {kind}}, strings.ReplaceAll(next(), "|", "\n")}
	}
	return c.ask(w)
}

// faulty makes the request that the example is the answer to.
func (c *operation) faulty(w *world) answer {
	const sms = `"recipientSms":{"phoneNumber":"99999999","timeToLiveInSeconds":30,"smsSettings":{"body":"x"}}`
	switch c.path {
	case "/future/orders/instant/sms":
		return w.do(c.method, c.path, `{"idempotencyId":"k",`+sms+`}`)
	case "/future/orders/instant":
		return w.do(c.method, c.path, `{"idempotencyId":"k","recipient":{`+sms+`}}`)
	case "/future/orders/instant/email":
		return w.do(c.method, c.path, `{"idempotencyId":"k","recipientEmail":{"emailAddress":"ola","emailSettings":{"body":"x"}}}`)
	case "/future/shipment/feed", "/verifications/feed":
		return w.do(c.method, c.path+"?seq=x&orderBy=up", "")
	case "/verifications":
		return w.do(c.method, c.path, `{"idempotencyId":"k","codeLength":3}`)
	case "/verifications/check":
		return w.do(c.method, c.path, `{"recipient":"+4799999999"}`)
	case someVerification + "/check":
		return w.do(c.method, c.path, `{}`)
	case someVerification + "/resend":
		return w.do(c.method, c.path, `{"channel":"fax"}`)
	}
	if strings.HasPrefix(c.path, "/future/shipment/") {
		return w.do(c.method, c.path+"?include=x", "", lenient)
	}
	return w.do(c.method, c.path, "")
}

// slow sends a body that does not end.
func (c *operation) slow(t *testing.T, w *world) answer {
	conn := dial(t, serve(t, w.api, Limits{ReadHeader: time.Minute, Read: 1}, nil, slogDiscard()))
	fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
		c.method, DefaultBasePath+c.path, ttdToken)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// unavailable has the carrier down, or too many requests under way.
func (c *operation) unavailable(t *testing.T, w *world, name string) answer {
	if name != "busy" {
		w.sms.Does(orders.Handover{Outcome: handover.NotSent})
		w.email.Does(orders.Handover{Outcome: handover.NotSent})
		return c.ask(w)
	}
	entered, gate, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	w.sms.Sends(func(ctx context.Context, m orders.Message) orders.Handover {
		close(entered)
		<-gate
		return orderstest.Accepts(ctx, m)
	})
	go func() {
		defer close(ended)
		w.sendSMS("under way")
	}()
	<-entered
	defer func() {
		close(gate)
		<-ended
	}()
	return c.ask(w)
}

// failing is a journal of which nothing can be read.
type failing struct {
	orders.Journal
	err error
}

// Known panics: its errors are answered 503.
func (f *failing) Known(context.Context, string, string, time.Time) (orders.Shipment, bool, error) {
	panic(f.err)
}

func (f *failing) Shipment(context.Context, string, uuid.UUID) (orders.Shipment, error) {
	return orders.Shipment{}, f.err
}

func (f *failing) UpdateCodes(context.Context, func(codes.Tx) error) error { return f.err }

func (f *failing) ViewCodes(context.Context, func(codes.Reader) error) error { return f.err }

func (f *failing) Feed(context.Context, orders.FeedQuery) ([]orders.FeedEntry, error) {
	return nil, f.err
}
