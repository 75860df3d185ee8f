package mail

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"straks/internal/eventually"
	"straks/internal/logtest"
	"straks/orders"
	"straks/orders/bolt"
	"straks/orders/orderstest"
	"straks/smtp"
	"straks/smtp/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a channel over a relay, with a service and a journal.
type world struct {
	*testing.T
	relay    *relaytest.Relay
	journal  *bolt.Journal
	service  *orders.Service
	channel  *Channel
	registry *prometheus.Registry
	log      *logtest.Log
}

const organisation = "ttd"

// newWorld returns a world that runs until the test ends.
func newWorld(t *testing.T, profile relaytest.Profile, cfg Config) *world {
	t.Helper()
	w := &world{T: t, registry: prometheus.NewRegistry(), log: &logtest.Log{}}
	log := slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if w.relay, err = relaytest.Listen("127.0.0.1:0", profile); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.relay.Close() })
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := bolt.Create(path, bolt.Options{}); err != nil {
		t.Fatal(err)
	}
	if w.journal, err = bolt.Open(path, bolt.Options{StallAfter: time.Hour, Log: log}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.journal.Close() })
	pool, err := smtp.New(smtp.Config{Relays: []smtp.Relay{{Name: "mx", Addr: w.relay.Addr(), TLS: smtp.TLSOff}}}, log, w.registry)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Organisations = map[string]Organisation{organisation: {Sender: "noreply@bank.example"}}
	w.channel = New(cfg, pool, log, w.registry)
	w.service = orders.NewService(orders.Config{Journal: w.journal, Email: w.channel, Organisations: []string{organisation}, Relays: []string{"mx"},
		SendDeadline: 5 * time.Second, StallAfter: time.Minute, ReceiptWait: orderstest.Patient, Log: log, Registerer: w.registry})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	for _, run := range []func(context.Context) error{w.service.Run, func(ctx context.Context) error { return w.channel.Run(ctx, w.service) }} {
		go func() { ended <- run(ctx) }()
	}
	t.Cleanup(func() {
		cancel()
		<-ended
		<-ended
	})
	eventually.True(t, "the channel to be ready", func() bool { return w.channel.service.Load() != nil && w.channel.Ready() == nil })
	return w
}

// send places a mail, and returns its shipment.
func (w *world) send(key, to string) orders.Shipment {
	w.Helper()
	s, _, err := w.service.Place(w.Context(), orders.Order{Organisation: organisation, Key: key, TTL: LongestWait,
		Message: orders.Message{Channel: orders.Email, To: orders.Recipient(to), Subject: "Your code", Body: "Your code is 483920"}})
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// report gives the channel a mail that came back, to the address of the token, or of none.
func (w *world) report(token uuid.UUID, mail string) {
	w.Helper()
	if err := w.channel.Report(w.Context(), Report{Shipment: token, Mail: []byte(mail)}); err != nil {
		w.Fatal(err)
	}
}

func (w *world) status(id uuid.UUID) orders.Status {
	w.Helper()
	s, err := w.service.Shipment(w.Context(), organisation, id)
	if err != nil {
		w.Fatal(err)
	}
	return s.Status
}

func (w *world) wantStatus(id uuid.UUID, want orders.Status) {
	w.Helper()
	if got := w.status(id); got != want {
		w.Errorf("status %v, want %v", got, want)
	}
}

// feed returns the statuses of a shipment in the feed.
func (w *world) feed(id uuid.UUID) (all []orders.Status) {
	w.Helper()
	entries, err := w.service.Feed(w.Context(), orders.FeedQuery{Organisation: organisation, Limit: 500})
	if err != nil {
		w.Fatal(err)
	}
	for _, e := range entries {
		if e.Shipment.ID == id {
			all = append(all, e.Shipment.Status)
		}
	}
	return all
}
