package codes_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"straks/codes"
	"straks/internal/handover"
	"straks/orders"
	"straks/orders/bolt"
	"straks/orders/orderstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const phone = orders.Recipient("+4799999999")

// world is a service over a real journal, whose clock the test sets.
type world struct {
	*codes.Service
	t       testing.TB
	path    string
	journal *bolt.Journal
	orders  *orders.Service
	sms     *orderstest.Carrier
	email   *orderstest.Carrier
	keys    codes.Keys
	used    []bool
	log     *bytes.Buffer
	reg     *prometheus.Registry

	mu  sync.Mutex
	now time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, path: filepath.Join(t.TempDir(), "journal.db"), sms: &orderstest.Carrier{}, email: &orderstest.Carrier{},
		keys: codes.Keys{Active: codes.NewKey()}, log: new(bytes.Buffer), now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	if err := bolt.Create(w.path, bolt.Options{}); err != nil {
		t.Fatal(err)
	}
	w.open()
	t.Cleanup(func() {
		if err := errors.Join(w.journal.Check(context.Background()), w.journal.Close()); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *world) open() {
	w.t.Helper()
	log := slog.New(slog.NewJSONHandler(&lockedWriter{w: w.log, mu: &w.mu}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if w.journal, err = bolt.Open(w.path, bolt.Options{StallAfter: time.Hour, Log: log}); err != nil {
		w.t.Fatal(err)
	}
	w.orders = orders.NewService(orders.Config{Journal: w.journal, SMS: w.sms, Email: w.email, Now: w.clock, SendDeadline: time.Minute, StallAfter: time.Minute, Log: log})
	w.reg = prometheus.NewRegistry()
	w.Service = w.handle()
}

// handle returns a service over the same store, as another node would have one.
func (w *world) handle() *codes.Service {
	return codes.New(codes.Config{Keys: w.keys, Store: w.journal, Orders: w.orders, Language: "nb", Organisations: []string{"ttd"}, Now: w.clock,
		Retention: 90 * 24 * time.Hour, Log: slog.New(slog.NewJSONHandler(&lockedWriter{w: w.log, mu: &w.mu}, nil)),
		Used: func(_ string, _ codes.Address, used bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.used = append(w.used, used)
		}})
}

type lockedWriter struct {
	w  *bytes.Buffer
	mu *sync.Mutex
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// restart closes the journal and opens it again.
func (w *world) restart() {
	w.t.Helper()
	if err := w.journal.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// request asks for a code by SMS.
func request(key string) *codes.Request {
	return &codes.Request{Organisation: "ttd", Key: key, SendersReference: "reference", To: []codes.Address{{Channel: orders.SMS, To: phone}},
		Template: codes.DefaultTemplate, Language: "nb", Alphabet: codes.Digits, Length: 6, TTL: 5 * time.Minute, Attempts: 5, ResendAfter: 30 * time.Second}
}

func withMail(r *codes.Request) *codes.Request {
	r.To = append(r.To, codes.Address{Channel: orders.Email, To: "ola@example.org"})
	r.FallbackAfter = time.Minute
	return r
}

func (w *world) start(r *codes.Request) codes.State {
	w.t.Helper()
	st, err := w.Start(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

var digits = regexp.MustCompile(`^\d+`)

// code returns the code in the last message of a carrier.
func code(t testing.TB, c *orderstest.Carrier) string {
	t.Helper()
	sent := c.Sent()
	if len(sent) == 0 {
		t.Fatal("nothing was sent")
	}
	return digits.FindString(sent[len(sent)-1].Body)
}

// wrong returns a code that is not this one.
func wrong(code string) string {
	b := []byte(code)
	b[0] = '0' + (b[0]-'0'+1)%10
	return string(b)
}

// check checks a code, and compares what came of it.
func (w *world) check(id uuid.UUID, typed string, want codes.Status, left int) {
	w.t.Helper()
	got, err := w.CheckCode(w.t.Context(), "ttd", id, typed)
	if err != nil || got != (codes.Checked{ID: id, Status: want, AttemptsLeft: left}) {
		w.t.Errorf("%+v %v, want %s, %d left", got, err, want, left)
	}
}

// ended checks a code of a verification that has ended so.
func (w *world) ended(id uuid.UUID, typed string, want codes.Status) {
	w.t.Helper()
	_, err := w.CheckCode(w.t.Context(), "ttd", id, typed)
	wantEnded(w.t, err, want)
}

func wantEnded(t testing.TB, err error, want codes.Status) {
	t.Helper()
	var ended *codes.EndedError
	if !errors.As(err, &ended) || ended.Status != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// statuses returns the statuses in the feed, in order.
func (w *world) statuses() (all []codes.Status) {
	w.t.Helper()
	page, err := w.Feed(w.t.Context(), codes.FeedQuery{Organisation: "ttd", Limit: 1000})
	if err != nil {
		w.t.Fatal(err)
	}
	for i, e := range page {
		if e.Seq != uint64(i+1) || e.SendersReference != "reference" {
			w.t.Errorf("entry %+v", e)
		}
		all = append(all, e.Status)
	}
	return all
}

// run runs the keeper until the test ends or stop is called.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { w.Run(ctx) })
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); group.Wait() }) }
	w.t.Cleanup(stop)
	return stop
}

// notSent is how a carrier ends that no message left by.
var notSent = orders.Handover{Outcome: handover.NotSent}
