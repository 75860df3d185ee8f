package api

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/numbers"
	"straks/internal/ratelog"
	"straks/orders"
)

// DefaultBasePath is that of the contract.
const DefaultBasePath = "/notifications/api/v1"

// Config is what the API is made of. Zero values have the defaults named.
type Config struct {
	Service      *orders.Service         // required
	Auth         Authenticator           // required
	BasePath     string                  // DefaultBasePath; "/" for none
	MaxBody      int64                   // of a request, in octets; 1 MiB
	Rooms        map[orders.Channel]Room // for calls that place orders of a channel, at key 0 for all others; beyond them 503
	Rates        map[string]Rate         // orders, by organisation; one that is absent has no limit
	Numbers      *numbers.Rules          // which numbers SMS may go to; nil: those that are valid
	FeedsWithAll map[string]bool         // organisations whose feed shows every change where a request does not say
	Log          *slog.Logger            // slog.Default()
	Registerer   prometheus.Registerer   // nil: metrics are kept, but nobody sees them
}

//go:embed openapi.yaml
var document []byte

type api struct {
	service    *orders.Service
	auth       Authenticator
	base       string // empty or /a/b
	document   []byte
	maxBody    int64
	rooms      [orders.Email + 1]*room // by channel; at 0 for calls that place no order
	limits     limits
	numbers    *numbers.Rules
	allChanges map[string]bool // by organisation
	log        *slog.Logger
	denials    *ratelog.Log // who was not let in
	metrics    *metrics
}

// New returns the handler of the whole API.
func New(cfg Config) (http.Handler, error) {
	a := &api{
		service: cfg.Service, auth: cfg.Auth, log: cfg.Log, limits: newLimits(cfg.Rates), numbers: cfg.Numbers, allChanges: cfg.FeedsWithAll,
		base: strings.TrimRight(cfg.BasePath, "/"), maxBody: cfg.MaxBody,
	}
	if cfg.BasePath == "" {
		a.base = DefaultBasePath
	}
	if a.maxBody == 0 {
		a.maxBody = 1 << 20
	}
	for i := range a.rooms {
		c := orders.Channel(i)
		a.rooms[i] = newRoom(cfg.Rooms[c], func() int64 { return a.service.WithCarrier(c) }, func() bool { return a.service.Full(c) })
	}
	if a.log == nil {
		a.log = slog.Default()
	}
	a.denials = ratelog.New(a.log, maxDenials)
	if err := a.check(cfg.Rooms); err != nil {
		return nil, err
	}
	// The one line of the document that depends on the configuration.
	a.document = bytes.Replace(document, []byte("- url: "+DefaultBasePath+"\n"), []byte("- url: "+cmp.Or(a.base, "/")+"\n"), 1)
	var err error
	if a.metrics, err = newMetrics(cfg.Registerer); err != nil {
		return nil, err
	}
	if _, err := new(numbers.Rules).Parse("+4799999999"); err != nil { // also loads the metadata, before the first caller waits for it
		return nil, fmt.Errorf("phone number metadata: %w", err)
	}
	return a.mux(), nil
}

func (a *api) check(rooms map[orders.Channel]Room) error {
	var faults []error
	if a.service == nil {
		faults = append(faults, errors.New("api: no Service"))
	}
	if a.auth == nil {
		faults = append(faults, errors.New("api: no Authenticator"))
	}
	if a.base != "" && (path.Clean(a.base) != a.base || a.base[0] != '/' || strings.ContainsAny(a.base, " {}?#%")) {
		faults = append(faults, fmt.Errorf("api: base path %q: want the form /notifications/api/v1", a.base))
	}
	limits := []int{int(a.maxBody)}
	for _, r := range rooms {
		limits = append(limits, r.Most, r.Standing)
	}
	if slices.Min(limits) < 0 {
		faults = append(faults, errors.New("api: a limit is negative"))
	}
	return errors.Join(faults...)
}

// routes are all calls of the API. The document describes these and no others.
func (a *api) routes() []route {
	return []route{
		{method: "POST", path: "/future/orders/instant", channel: orders.SMS, serve: a.place(readWrapped)},
		{method: "POST", path: "/future/orders/instant/sms", channel: orders.SMS, serve: a.place(readSMS)},
		{method: "POST", path: "/future/orders/instant/email", channel: orders.Email, serve: a.place(readEmail)},
		{method: "GET", path: "/future/shipment/feed", serve: a.feed},
		{method: "GET", path: "/future/shipment/{id}", serve: a.shipment},
		{method: "GET", path: "/future/shipment", serve: a.shipmentByKey},
		{method: "GET", path: "/openapi.yaml", public: true, serve: a.describe},
	}
}

// mux has a pattern for each path and one for all others. Methods are left to
// the handlers, so that a wrong one gets its answer in problem+json too.
func (a *api) mux() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range a.routes() {
		h := a.handler(rt)
		mux.Handle(strings.ToLower(a.base+rt.path), h)
		if rt.public && a.base != "" {
			mux.Handle(rt.path, h)
		}
	}
	unknown := a.handler(route{path: "unknown", public: true, serve: a.notFound})
	mux.Handle("/", unknown)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = canonical(r)
		if escaped := r.URL.EscapedPath(); path.Clean(escaped) != escaped || escaped == "*" {
			unknown(w, r) // ServeMux would redirect, or say nothing but 400
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// canonical returns the request with its path in small letters and without one slash at the end: the
// routing of existing clients' server ignores both.
func canonical(r *http.Request) *http.Request {
	p := strings.ToLower(r.URL.Path)
	if len(p) > 1 {
		p = strings.TrimSuffix(p, "/")
	}
	if p == r.URL.Path {
		return r
	}
	u, c := *r.URL, *r
	u.Path, u.RawPath = p, ""
	if r.URL.RawPath != "" {
		u.RawPath = strings.TrimSuffix(strings.ToLower(r.URL.RawPath), "/")
	}
	c.URL = &u
	return &c
}

// describe serves the OpenAPI document.
func (a *api) describe(x *exchange) error {
	x.Header().Set("Content-Type", "application/yaml") // RFC 9512
	x.Header().Set("Cache-Control", "max-age=300")
	x.WriteHeader(http.StatusOK)
	x.Write(a.document)
	return nil
}
