package api

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"straks/codes"
	"straks/internal/audit"
	"straks/internal/forward"
	"straks/internal/numbers"
	"straks/internal/ratelog"
	"straks/orders"
)

const (
	DefaultBasePath = "/notifications/api/v1" // that of the contract
	DefaultMaxBody  = 1 << 20                 // octets of a request
	DefaultMaxSMS   = 256 << 10               // octets of a request for an SMS
)

// Config is what the API is made of. Zero values have the defaults named.
type Config struct {
	Service     *orders.Service       // required
	Codes       *codes.Service        // verifications; nil: there are none
	Auth        Authenticator         // required
	BasePath    string                // DefaultBasePath; "/" for none
	MaxBody     int64                 // of a request, in octets; DefaultMaxBody
	MaxBodySMS  int64                 // of a request for an SMS, where that is less; DefaultMaxSMS
	MaxRequests int                   // under way at a time, over all connections (else 503), shared between organisations; 4096
	MaxReads    int                   // answered at a time, so that they don't starve orders; a quarter of GOMAXPROCS, which is half of the processors
	Failures    FailureLimit          // of failed authentications of one address
	Settings                          // that may change while the API works
	Docs        bool                  // serve the page that renders the document, at /docs
	Peers       *forward.Client       // takes orders that this node can't send to another; nil: there is no other
	Audit       *audit.Log            // records what organisations do; may be nil
	Log         *slog.Logger          // slog.Default()
	Registerer  prometheus.Registerer // nil: metrics are not exported
}

type api struct {
	service    *orders.Service
	codes      *codes.Service // may be nil
	auth       Authenticator
	base       string // empty or /a/b
	asYAML     static // the OpenAPI document
	asJSON     static // likewise
	docs       docs   // nil: there is no such page
	maxBody    int64
	maxBodySMS int64
	requests   *shares // under way
	octets     *shares // of bodies that are read, and of orders that wait
	reads      *reads
	tails      *tails
	closing    chan struct{} // closed by Handler.Close
	settings   atomic.Pointer[settings]
	peers      *forward.Client // nil: there is no other node
	audit      *audit.Log
	log        *slog.Logger
	denials    *ratelog.Log // tokens that were refused
	shapes     *ratelog.Log // requests of wrong shape
	failures   *failures    // of authentication
	shortages  *ratelog.Log // requests for which an organisation's share was used up
	metrics    *metrics
}

// Handler is the whole API.
type Handler struct {
	http.Handler
	api  *api
	once sync.Once
}

// Close ends the requests that wait for the feed to grow, now and from then on: at a shutdown they
// would hold it up. Server calls it.
func (h *Handler) Close() { h.once.Do(func() { close(h.api.closing) }) }

// New returns the handler of the whole API.
func New(cfg Config) (*Handler, error) {
	a := &api{
		service: cfg.Service, codes: cfg.Codes, auth: cfg.Auth,
		base:    strings.TrimRight(cmp.Or(cfg.BasePath, DefaultBasePath), "/"),
		maxBody: cmp.Or(cfg.MaxBody, DefaultMaxBody), maxBodySMS: cmp.Or(cfg.MaxBodySMS, DefaultMaxSMS),
		peers: cfg.Peers, audit: cfg.Audit, log: cmp.Or(cfg.Log, slog.Default()),
	}
	a.settings.Store(newSettings(cfg.Settings, nil))
	if err := a.check(cfg); err != nil {
		return nil, err
	}
	a.requests, a.octets = newShares(cmp.Or(cfg.MaxRequests, 4096)), newShares(octetsOf(a.maxBody))
	a.reads = newReads(cmp.Or(cfg.MaxReads, max(1, runtime.GOMAXPROCS(0)/4)))
	a.tails = &tails{of: make(map[tailKey]*tail), sampled: ratelog.New(a.log, 1)}
	a.closing = make(chan struct{})
	a.denials, a.shapes, a.shortages = ratelog.New(a.log, maxDenials), ratelog.New(a.log, 2), ratelog.New(a.log, 1)
	a.failures = newFailures(cfg.Failures)
	var err error
	if a.asYAML, a.asJSON, err = describe(a.base); err != nil {
		return nil, err
	}
	if cfg.Docs {
		if a.docs, err = newDocs(a.base); err != nil {
			return nil, err
		}
	}
	if a.metrics, err = newMetrics(cfg.Registerer, a.tails, a.octets, a.settings.Load()); err != nil {
		return nil, err
	}
	if _, err := new(numbers.Rules).Parse("+4799999999"); err != nil { // also loads the metadata, before the first caller waits for it
		return nil, fmt.Errorf("phone number metadata: %w", err)
	}
	return &Handler{Handler: a.mux(), api: a}, nil
}

// ValidBasePath reports whether the routes can be below the path: "/", or names with a '/' before each.
func ValidBasePath(p string) bool {
	return p != "" && path.Clean(p) == p && p[0] == '/' && !strings.ContainsAny(p, " {}?#%")
}

func (a *api) check(cfg Config) error {
	var faults []error
	if a.service == nil {
		faults = append(faults, errors.New("api: no Service"))
	}
	if a.auth == nil {
		faults = append(faults, errors.New("api: no Authenticator"))
	}
	if a.base != "" && !ValidBasePath(a.base) {
		faults = append(faults, fmt.Errorf("api: base path %q: want the form /notifications/api/v1", a.base))
	}
	if min(int(cfg.MaxBody), int(cfg.MaxBodySMS), cfg.MaxRequests, cfg.MaxReads) < 0 {
		faults = append(faults, errors.New("api: a limit is negative"))
	}
	return errors.Join(faults...)
}

// routes are all calls of the API. The document describes these and no others.
func (a *api) routes() []route {
	return append([]route{
		{method: "POST", path: "/future/orders/instant", scopes: scopesToPlace, serve: a.place(readWrapped, min(a.maxBody, a.maxBodySMS))},
		{method: "POST", path: "/future/orders/instant/sms", scopes: scopesToPlace, serve: a.place(readSMS, min(a.maxBody, a.maxBodySMS))},
		{method: "POST", path: "/future/orders/instant/email", scopes: scopesToPlace, serve: a.place(readEmail, a.maxBody)},
		{method: "GET", path: "/future/shipment/feed", scopes: scopesToRead, serve: a.shipments().serve},
		{method: "GET", path: "/future/shipment/{id}", scopes: scopesToLookUp, serve: a.shipment},
		{method: "GET", path: "/future/shipment", scopes: scopesToLookUp, serve: a.shipmentByKey},
		{method: "GET", path: "/openapi.yaml", public: true, serve: a.asYAML.serve},
		{method: "GET", path: "/openapi.json", public: true, serve: a.asJSON.serve},
	}, a.verificationRoutes()...)
}

// mux has a pattern for each path and one for all others. Methods are left to
// the handlers, so that a wrong one gets its answer in problem+json too.
func (a *api) mux() http.Handler {
	mux := http.NewServeMux()
	for path, routes := range byPath(append(a.routes(), a.docs.routes()...)) {
		h := a.handlerOf(routes)
		mux.Handle(strings.ToLower(a.base+path), h)
		if routes[0].public && a.base != "" {
			mux.Handle(path, h)
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

// byPath groups routes that differ in their method only, each of which then allows all of their methods.
func byPath(routes []route) map[string][]route {
	groups := make(map[string][]route)
	for _, rt := range routes {
		groups[rt.path] = append(groups[rt.path], rt)
	}
	for _, group := range groups {
		for i := range group {
			for _, other := range group {
				if other.method != group[i].method {
					group[i].beside = append(group[i].beside, other.method)
				}
			}
		}
	}
	return groups
}

// canonical returns the request with its path in lower case and without a slash at the end: the
// Altinn service ignores both.
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
