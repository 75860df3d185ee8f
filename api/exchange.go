package api

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"straks/internal/forward"
)

// Log lines that any client can cause, with a token or without, have this level, and at most
// maxDenials of a kind are written in a minute. Each known token is a kind; unknown tokens
// are one; so are failures before there is a token.
const (
	levelDenied = slog.LevelInfo
	maxDenials  = 10
)

// exchange is one request and its answer.
type exchange struct {
	http.ResponseWriter
	r      *http.Request
	who    Principal
	from   int           // the node that forwards the request; 0: the client is here
	counts *string       // the organisation whose request this counts as; nil until it counts
	octets int           // held of api.octets
	logged bool          // as an order
	status int           // 0 until the answer has begun
	trace  string        // see traceID
	waited time.Duration // for the feed to grow; not counted as time that the request took
}

// traceID returns the trace-id of the request's traceparent, else a new one; the same at each call.
func (x *exchange) traceID() string {
	if x.trace == "" {
		x.trace = cmp.Or(traceOf(x.r.Header), newTrace())
	}
	return x.trace
}

// WriteHeader records the status and passes it on.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// reply sends a JSON answer. The whole answer is built before its first octet is sent, so
// that a slow client holds nothing else.
func (x *exchange) reply(status int, v any) error {
	body, err := json.Marshal(v)
	if err == nil {
		x.send(status, body)
	}
	return err
}

func (x *exchange) send(status int, body []byte) {
	h := x.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	x.WriteHeader(status)
	x.Write(body) // an error means that the client has gone
}

// read has look look something up when it is the organisation's turn.
func (a *api) read(x *exchange, look func() error) error {
	longest := longestRead
	if x.status != 0 {
		longest = longestRest
	}
	if err := a.reads.enter(x.r.Context(), x.who.Organisation, longest); err != nil {
		return err
	}
	if pause := a.reads.pause(); pause > 0 && a.service.Working() {
		time.Sleep(pause)
	}
	began := time.Now()
	defer func() { a.reads.leave(time.Since(began)) }()
	return look()
}

// endpoint answers an exchange, or returns the error that problemOf answers.
type endpoint func(x *exchange) error

// route is one call of the API.
type route struct {
	method string   // HEAD comes with GET; empty: all
	path   string   // under the base path; the metrics' label
	public bool     // needs no token
	scopes []string // of which the token must have one
	serve  endpoint
	beside []string // methods of other routes with the same path
}

func (rt route) allowed(method string) bool {
	return method == rt.method || rt.method == "" || method == http.MethodHead && rt.method == http.MethodGet
}

func (rt route) allow() string {
	methods := rt.method
	if rt.method == http.MethodGet {
		methods = "GET, HEAD"
	}
	return strings.Join(append([]string{methods}, rt.beside...), ", ")
}

// handlerOf answers every request to the path of the routes: the one of its method does, or else the first.
func (a *api) handlerOf(routes []route) http.HandlerFunc {
	handlers := make([]http.HandlerFunc, len(routes))
	for i, rt := range routes {
		handlers[i] = a.handler(rt)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		i := max(slices.IndexFunc(routes, func(rt route) bool { return rt.allowed(r.Method) }), 0)
		handlers[i](w, r)
	}
}

// handler answers every request to the route's path, whatever its method.
func (a *api) handler(rt route) http.HandlerFunc {
	m := a.metrics.route(rt)
	return func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{ResponseWriter: w, r: r}
		started := time.Now()
		a.metrics.inFlight.Inc()
		defer func() {
			v := recover()
			if v != nil && v != http.ErrAbortHandler {
				a.recovered(x, rt)
			}
			took := time.Since(started) - x.waited
			a.leave(x, v != http.ErrAbortHandler)
			a.metrics.inFlight.Dec()
			m.observe(r.Method, x.status, took)
			if v == http.ErrAbortHandler {
				panic(v)
			}
		}()
		if err := a.answer(x, rt); err != nil {
			a.refuse(x, rt, err)
		}
	}
}

// refuse answers an error. It logs the error if it is our fault, and now and then one of the client's. A client that has gone gets no
// answer: a client that closed only its half of the connection would read a status that HTTP does
// not know.
func (a *api) refuse(x *exchange, rt route, err error) {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError {
		a.log.LogAttrs(x.r.Context(), slog.LevelError, "request failed",
			slog.String("route", rt.path), slog.String("organisation", x.who.Organisation),
			slog.String("trace", x.traceID()), slog.Any("err", err))
	}
	if p.wrongShape() && !x.logged {
		a.shapes.Write(x.who.Organisation+rt.path+strconv.Itoa(p.Status), levelDenied, "request of wrong shape", slog.String("remote", peer(x.r)),
			slog.String("route", rt.path), slog.String("organisation", x.who.Organisation), slog.Int("status", p.Status), slog.Any("faults", slices.Sorted(maps.Keys(p.Errors))))
	}
	if p.Status == statusClientClosedRequest {
		x.status = p.Status
		panic(http.ErrAbortHandler) // net/http closes the connection
	}
	p.write(x, x.traceID())
}

// answer checks the method and the token, then the bound on requests, and calls the endpoint.
func (a *api) answer(x *exchange, rt route) error {
	denied := a.identify(x, rt)
	organisation := x.who.Organisation
	if denied != nil || rt.public {
		organisation = nobody
		x.spare()
	}
	if rt.method != http.MethodPost {
		x.dropBody()
	}
	if !a.requests.take(organisation, 1) { // HTTP/2 allows many requests on each connection
		x.hurry()
		return a.full("requests", organisation)
	}
	x.counts = &organisation
	if denied != nil {
		return a.slow(x, denied)
	}
	if !rt.public {
		if err := x.keep(); err != nil {
			return err
		}
	}
	return rt.serve(x)
}

// identify finds the caller, or returns why the request is not answered.
func (a *api) identify(x *exchange, rt route) (err error) {
	if !rt.allowed(x.r.Method) {
		p := newProblem(http.StatusMethodNotAllowed, "Use "+rt.allow()+" here.")
		p.header = [2]string{"Allow", rt.allow()}
		return p
	}
	switch caller, ok := forward.CallerOf(x.r.Context()); {
	case rt.public:
	case ok: // authorized there
		x.who, x.from = forwarded(&caller), caller.Node
	default:
		x.who, err = a.authorize(x.r, rt.scopes)
	}
	return err
}

// leave ends the time in which the request counts. A stream of HTTP/2 whose client lets no answer through (RFC 9113
// §5.2) holds its answer, its header and a goroutine. So such a request counts until its answer is
// on the way, which costs a frame of its own for the end of the stream.
func (a *api) leave(x *exchange, answered bool) {
	x.dropBody()
	if x.counts == nil {
		return
	}
	if x.r.ProtoMajor >= 2 && answered {
		_ = http.NewResponseController(x.ResponseWriter).Flush() // an error means that the client has gone
	}
	a.requests.give(*x.counts, 1)
}

// dropBody discards the body of a stream of HTTP/2, which net/http would keep until the stream is closed. That of HTTP/1 is
// not read from the connection.
func (x *exchange) dropBody() {
	if x.r.ProtoMajor >= 2 {
		x.r.Body.Close()
	}
}

// refusedWrite is how long a client may take to accept the answer to a request that does not count.
const refusedWrite = time.Second

// hurry bounds how long a stream of HTTP/2 may hold an answer that nothing else bounds. The answer of
// HTTP/1 is in the buffers of the kernel at once.
func (x *exchange) hurry() {
	if x.r.ProtoMajor >= 2 {
		_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Now().Add(refusedWrite)) // else the server's own applies
	}
}

// recovered answers a request whose endpoint panicked. The value of the panic
// is not logged: it may hold data of the client. The stack shows the place.
func (a *api) recovered(x *exchange, rt route) {
	a.log.LogAttrs(context.Background(), slog.LevelError, "panic",
		slog.String("route", rt.path), slog.String("organisation", x.who.Organisation),
		slog.String("trace", x.traceID()), slog.String("stack", string(debug.Stack())))
	if x.status == 0 {
		problemOf(errPanicked).write(x, x.traceID())
	}
}

// callerAttrs are the log attributes of a caller that was refused.
func callerAttrs(r *http.Request, who Principal, err error) []slog.Attr {
	attrs := append([]slog.Attr{slog.String("remote", peer(r))}, who.credentialAttrs()...)
	return append(attrs, slog.String("err", err.Error()))
}

// notFound answers requests to paths without a route.
func (a *api) notFound(x *exchange) error {
	return newProblem(http.StatusNotFound, "There is nothing at this path. The calls are described in "+a.base+"/openapi.yaml.")
}
