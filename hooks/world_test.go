package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"straks/internal/eventually"
	"straks/internal/logtest"
	"straks/orders"
	"straks/orders/bolt"
	"straks/orders/bolt/bolttest"
	"straks/orders/orderstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const org = "ttd"

// world is a service with a journal, and a dispatcher that reads its feed.
type world struct {
	testing.TB
	journal  *bolt.Journal
	service  *orders.Service
	log      *logtest.Log
	registry *prometheus.Registry
	d        *Dispatcher
	end      func() // of the dispatcher
	keys     int
	settings func(*Config)
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, journal: bolttest.New(t), log: &logtest.Log{}, end: func() {}}
	w.service = orders.NewService(orders.Config{Journal: w.journal, SMS: &orderstest.Carrier{}, StallAfter: time.Minute, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.service.Run(ctx) })
	t.Cleanup(func() {
		w.end()
		cancel()
		running.Wait()
		if err := w.journal.Check(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return w
}

// start runs a dispatcher for the webhooks, after the one before has ended.
func (w *world) start(hooks ...Webhook) {
	w.Helper()
	w.end()
	w.registry = prometheus.NewRegistry()
	cfg := Config{Webhooks: hooks, Feed: w.service, Cursors: w.journal, Encode: encode, UserAgent: "straks/test",
		Log: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Registerer: w.registry, firstPause: 2 * time.Millisecond}
	if w.settings != nil {
		w.settings(&cfg)
	}
	w.d = New(cfg)
	w.d.Begin(w.Context())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.d.Run(ctx) })
	w.end = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
}

// encode stands for the API's form of an entry.
func encode(e orders.FeedEntry) []byte {
	b, _ := json.Marshal(map[string]any{"sequenceNumber": e.Seq, "shipmentId": e.Shipment.ID, "status": e.Shipment.Status.String()})
	return b
}

// deliver places n orders, each of which is accepted and then delivered: two entries of the feed.
func (w *world) deliver(n int) (ids []uuid.UUID) {
	w.Helper()
	for range n {
		w.keys++
		var placed orders.Shipment
		w.insist(func() (err error) {
			placed, _, err = w.service.Place(w.Context(), orders.Order{Organisation: org, Key: strconv.Itoa(w.keys), TTL: time.Hour,
				Message: orders.Message{Channel: orders.SMS, To: "+4799999999"}})
			return err
		})
		r := orders.Report{Carrier: "telco", Refs: []string{placed.ID.String()}, At: time.Now(), Status: orders.SMSDelivered}
		w.insist(func() error {
			stored := make(chan error, 1)
			if err := w.service.Receive(r, func(err error) { stored <- err }); err != nil {
				return err
			}
			return <-stored
		})
		ids = append(ids, placed.ID)
	}
	return ids
}

// insist repeats a call while the journal takes longer than it waits for, as clients and carriers do.
func (w *world) insist(call func() error) {
	w.Helper()
	for {
		err := call()
		if err == nil {
			return
		}
		if !errors.Is(err, orders.ErrUnavailable) {
			w.Fatal(err)
		}
	}
}

func (w *world) state(name string) State {
	w.Helper()
	for _, s := range w.d.States() {
		if s.Name == name {
			return s
		}
	}
	w.Fatalf("no state of %q", name)
	return State{}
}

func (w *world) await(what string, condition func() bool) {
	w.Helper()
	eventually.True(w.TB, what, condition)
}

// call is a request as a receiver got it.
type call struct {
	id, previous, kind string
	seq                uint64
	shipment           uuid.UUID
	status             string
	header             http.Header
}

// receiver is a server that verifies what it gets, as the specification has it.
type receiver struct {
	*httptest.Server
	secret Secret

	mu     sync.Mutex
	calls  []call
	answer http.HandlerFunc // nil: 204
	faults []string
}

const secretText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	secret, err := ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{secret: secret}
	r.Server = httptest.NewServer(r)
	t.Cleanup(func() {
		r.Close()
		for _, f := range r.faults {
			t.Error(f)
		}
	})
	return r
}

// hook returns a webhook that leads to the receiver.
func (r *receiver) hook(name string) Webhook {
	return Webhook{Organisation: org, Name: name, URL: r.URL + "/hooks?key=s3cret", Secret: r.secret}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	var event struct {
		Type string
		Data struct {
			SequenceNumber uint64
			ShipmentID     uuid.UUID
			Status         string
		}
	}
	err := json.Unmarshal(body, &event)
	c := call{id: req.Header.Get("webhook-id"), previous: req.Header.Get("straks-previous-id"), kind: event.Type, seq: event.Data.SequenceNumber,
		shipment: event.Data.ShipmentID, status: event.Data.Status, header: req.Header.Clone()}
	r.mu.Lock()
	r.calls = append(r.calls, c)
	answer := r.answer
	signature, stamp := req.Header.Get("webhook-signature"), req.Header.Get("webhook-timestamp")
	if want := r.secret.Sign(c.id, stamp, body); err != nil || !strings.Contains(" "+signature+" ", " "+want+" ") {
		r.faults = append(r.faults, fmt.Sprintf("%s: signature %q of %q, %v", c.id, signature, body, err))
	}
	r.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer(w, req)
}

// answers sets what the receiver answers from now on.
func (r *receiver) answers(h http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = h
}

// status is an answer without a body.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func (r *receiver) got() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]call(nil), r.calls...)
}

// seqs returns the numbers that the receiver got, without repeats of the one before.
func (r *receiver) seqs() (seqs []uint64) {
	for _, c := range r.got() {
		if len(seqs) == 0 || seqs[len(seqs)-1] != c.seq {
			seqs = append(seqs, c.seq)
		}
	}
	return seqs
}

// span returns the numbers from..to.
func span(from, to uint64) (seqs []uint64) {
	for seq := from; seq <= to; seq++ {
		seqs = append(seqs, seq)
	}
	return seqs
}
