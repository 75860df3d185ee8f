package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"straks/codes"
	"straks/internal/logtest"
	"straks/orders"
	"straks/orders/bolt/bolttest"
	"straks/orders/orderstest"
)

// world is an API on a loopback socket, over a service with the real journal and simulated carriers.
type world struct {
	t          testing.TB
	sms, email *orderstest.Carrier
	journal    orders.Journal
	service    *orders.Service
	api        *Handler
	server     *httptest.Server
	http       *http.Client
	registry   *prometheus.Registry
	log        *logtest.Log
}

const (
	ttdToken   = "ttd-token-0123456789"
	otherToken = "other-token-0123456789"
)

func sum(token string) string {
	s := sha256.Sum256([]byte(token))
	return hex.EncodeToString(s[:])
}

// start makes a world; with may change its configuration first.
func start(t testing.TB, with ...func(*Config, *orders.Config)) *world {
	t.Helper()
	w := &world{t: t, sms: &orderstest.Carrier{}, email: &orderstest.Carrier{}, registry: prometheus.NewRegistry(), log: &logtest.Log{}}
	log := slog.New(slog.NewJSONHandler(w.log, nil))
	auth, err := NewTokens([]Token{
		{Organisation: "ttd", Name: "backend", SHA256: sum(ttdToken)},
		{Organisation: "other", Name: "batch", SHA256: sum(otherToken)},
		{Organisation: "ttd", Name: "old", SHA256: sum("old-token"), Expires: time.Now().Add(-time.Second)},
		{Organisation: "ttd", Name: "reader", SHA256: sum("scopeless-token"), Scopes: []string{}},
	})
	if err != nil {
		t.Fatal(err)
	}
	oc := orders.Config{Journal: bolttest.New(t), SMS: w.sms, Email: w.email, Log: log, SendDeadline: 20 * time.Second, StallAfter: time.Minute}
	cfg := Config{Auth: auth, Log: log, Registerer: w.registry, Failures: FailureLimit{PerSecond: 1e6, Burst: 1e6},
		MaxReads: 2000} // no reader waits for another, which may be refused after 500 ms
	for _, f := range with {
		f(&cfg, &oc)
	}
	w.journal, w.service = oc.Journal, orders.NewService(oc)
	cfg.Service = w.service
	if store, ok := oc.Journal.(codes.Store); ok {
		cfg.Codes = newCodes(w.service, store, oc.Log)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.api = h
	w.server = httptest.NewServer(h)
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- w.service.Run(ctx) }()
	t.Cleanup(func() {
		w.server.Close()
		stop()
		if err := errors.Join(<-ran, w.service.Drain(context.Background())); err != nil {
			t.Error(err)
		}
	})
	w.http = &http.Client{Transport: &checked{t: t, next: w.server.Client().Transport}, Timeout: 10 * time.Minute}
	w.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return w
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem reads the answer as an error, which it must be.
func (a answer) problem(t testing.TB) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Status != a.status {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return p
}

// option changes a request before it is sent.
type option func(*http.Request)

func header(name, value string) option {
	return func(r *http.Request) {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

func as(token string) option { return header("Authorization", "Bearer "+token) }

// lenient marks a request that the document cannot describe but the contract
// takes: names in another case, say.
func lenient(r *http.Request) {
	*r = *r.WithContext(context.WithValue(r.Context(), lenientKey{}, true))
}

type lenientKey struct{}

// do makes a request to a path under the base path, as ttd unless told otherwise.
func (w *world) do(method, path, body string, options ...option) answer {
	w.t.Helper()
	return w.doAt(DefaultBasePath+path, method, body, options...)
}

func (w *world) doAt(path, method, body string, options ...option) answer {
	w.t.Helper()
	r, err := http.NewRequest(method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	as(ttdToken)(r)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	for _, o := range options {
		o(r)
	}
	resp, err := w.http.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(b)}
}

func (w *world) sendSMS(key string, options ...option) answer {
	w.t.Helper()
	return w.do("POST", "/future/orders/instant/sms", strings.Replace(smsBody, `"k"`, fmt.Sprintf("%q", key), 1), options...)
}

func (w *world) sendEmail(key string, options ...option) answer {
	w.t.Helper()
	body := strings.NewReplacer(`"k"`, fmt.Sprintf("%q", key), " post@example.org ", "post@example.org").Replace(emailBody)
	return w.do("POST", "/future/orders/instant/email", body, options...)
}

// checked holds every request and answer that passes against the document.
type checked struct {
	t    testing.TB
	next http.RoundTripper
}

func (c *checked) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(sent))
	}
	resp, err := c.next.RoundTrip(r)
	if err != nil || !described(r.URL.Path) {
		return resp, err
	}
	got, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(got))
	c.compare(r, sent, resp, got)
	return resp, nil
}

func (c *checked) compare(r *http.Request, sent []byte, resp *http.Response, got []byte) {
	c.t.Helper()
	v, err := contract()
	if err != nil {
		c.t.Fatal(err)
	}
	request := r.Clone(context.Background())
	request.Body = io.NopCloser(bytes.NewReader(sent))
	if resp.StatusCode < 300 && r.Context().Value(lenientKey{}) == nil && r.Method != http.MethodHead {
		if ok, errs := v.ValidateHttpRequestSync(request); !ok {
			c.t.Errorf("%s %s was taken, but is not in the document: %v\n%s", r.Method, r.URL, errs, sent)
		}
	}
	switch {
	case r.Method == http.MethodHead:
		return
	case resp.StatusCode == http.StatusMethodNotAllowed: // described under the right method
		request.Method, _, _ = strings.Cut(resp.Header.Get("Allow"), ",")
	}
	response := *resp
	response.Body = io.NopCloser(bytes.NewReader(got))
	for _, fault := range wrongAnswer(c.t, request, &response) {
		c.t.Errorf("%s %s: the answer is not in the document: %s\n%d %s", r.Method, r.URL, fault, resp.StatusCode, got)
	}
}

// wrongAnswer returns what the document does not say of the answer to the request.
func wrongAnswer(t testing.TB, r *http.Request, resp *http.Response) (faults []string) {
	t.Helper()
	v, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	if ok, errs := v.ValidateHttpResponse(r, resp); !ok {
		for _, e := range errs {
			faults = append(faults, fmt.Sprint(e.Message, " ", e.Reason, " ", e.SchemaValidationErrors))
		}
	}
	return faults
}

// described reports whether the document describes the path.
func described(path string) bool {
	path, ok := strings.CutPrefix(path, DefaultBasePath)
	if id, isShipment := strings.CutPrefix(path, "/future/shipment/"); isShipment {
		return ok && id != "" && !strings.Contains(id, "/")
	}
	if strings.HasPrefix(path, "/verifications") {
		return ok && !strings.HasSuffix(path, "/x")
	}
	return ok && slices.Contains([]string{"/future/orders/instant", "/future/orders/instant/sms", "/future/orders/instant/email", "/future/shipment", "/openapi.yaml", "/openapi.json"}, path)
}

// contract is the validator of the document; it is slow to make.
var contract = sync.OnceValues(func() (validator.Validator, error) {
	doc, err := libopenapi.NewDocument(document)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(doc)
	if errs != nil {
		return nil, errs[0]
	}
	return v, nil
})

// dial connects to addr for as long as the test runs, and a minute at most.
func dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Minute))
	return conn
}

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }

func paths(f faults) []string { return slices.Sorted(maps.Keys(f)) }

func slogDiscard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// series returns the metrics of the given name.
func series(t testing.TB, w *world, name string) []*dto.Metric {
	t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	t.Fatalf("no metric %s", name)
	return nil
}

// counter returns how many requests there were of a route, method and status.
func counter(t testing.TB, w *world, labels []string) float64 {
	t.Helper()
	for _, m := range series(t, w, "straks_http_requests_total") {
		have := map[string]string{}
		for _, l := range m.GetLabel() {
			have[l.GetName()] = l.GetValue()
		}
		if have["route"] == labels[0] && have["method"] == labels[1] && have["status"] == labels[2] {
			return m.GetCounter().GetValue()
		}
	}
	return 0
}

const smsPath = DefaultBasePath + "/future/orders/instant/sms"

// post is the request of an order on the wire; more are further header lines, each with its CRLF.
func post(more, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s",
		smsPath, ttdToken, more, len(body), body)
}

func smsOf(key string) string { return strings.Replace(smsBody, `"k"`, fmt.Sprintf("%q", key), 1) }

// pipeListener accepts connections in memory.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	if c, ok := <-l.conns; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.conns) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }
