package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"straks/codes"
	"straks/orders"
)

// Error codes of the contract.
const (
	codeAbandoned   = "NOT-00002"
	codeNotFound    = "NOT-00003"
	codeUnavailable = "NOT-00004"
	codeRateLimit   = "NOT-00005"

	// Of verifications that have ended.
	codeExpired   = "NOT-00011"
	codeUsed      = "NOT-00012"
	codeExhausted = "NOT-00013"
	codeCancelled = "NOT-00014"
)

// errorType begins the type of a problem that has a code.
const errorType = "urn:altinn:error:"

// statusClientClosedRequest is never sent: it appears in logs and metrics only.
const statusClientClosedRequest = 499

// problem is an error answer (RFC 9457).
type problem struct {
	Type    string `json:"type"` // errorType and the code; "about:blank" where there is no code
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail,omitempty"`
	Code    string `json:"code,omitempty"`
	TraceID string `json:"traceId"` // set when it is written
	Errors  faults `json:"errors,omitempty"`

	header  [2]string // one more header, name and value
	outcome string    // for the log; defaults to "error"
}

func (p *problem) Error() string { return p.Title + ": " + p.Detail }

// write answers with the problem. trace is the request's trace-id.
func (p *problem) write(w http.ResponseWriter, trace string) {
	p.Type, p.TraceID = "about:blank", trace
	if p.Code != "" {
		p.Type = errorType + p.Code
	}
	body, err := json.Marshal(p)
	if err != nil { // impossible: strings and numbers
		body = nil
	}
	h := w.Header()
	if p.header[0] != "" {
		h.Set(p.header[0], p.header[1])
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	w.Write(body)
}

func newProblem(status int, detail string) *problem {
	return &problem{Title: http.StatusText(status), Status: status, Detail: detail}
}

// wrongShape reports whether the request is none that the document describes, with any credentials.
func (p *problem) wrongShape() bool {
	switch p.Status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return true
	case http.StatusNotFound:
		return p.Code == "" // no such path
	}
	return false
}

// invalid is the answer to a request with faults. consequence is a sentence about what
// they mean for the caller, or empty.
func invalid(f faults, consequence string) *problem {
	return &problem{
		Title: "The request is not valid", Status: http.StatusBadRequest,
		Detail: strings.TrimSpace(consequence + " Correct what errors says and try again."),
		Errors: f, outcome: "invalid",
	}
}

// unavailable is a 503 with the time after which a retry may succeed.
func unavailable(outcome, detail string, after time.Duration) *problem {
	p := newProblem(http.StatusServiceUnavailable, detail)
	p.Code, p.outcome = codeUnavailable, outcome
	p.header = retryAfter(after)
	return p
}

// limited is a 429 with the time after which a repeat may be let through.
func limited(reason string, after time.Duration) *problem {
	p := newProblem(http.StatusTooManyRequests, reason+" This call sent nothing: repeat it with the same idempotencyId.")
	p.Code, p.outcome, p.header = codeRateLimit, "limited", retryAfter(after)
	return p
}

// busy is the answer in an overload. It makes a statement about this call only: a request that
// exceeds a share is refused before its idempotencyId is looked up, and an earlier call with
// the same idempotencyId may be with the carrier.
func busy() *problem {
	return unavailable("busy", "Too much is in flight. This call sent nothing: repeat it with the same idempotencyId.", retryBusy)
}

// retryAfter is the header in whole seconds (RFC 9110 §10.2.3), at least one.
func retryAfter(d time.Duration) [2]string {
	seconds := max(1, int((d+time.Second-1)/time.Second))
	return [2]string{"Retry-After", strconv.Itoa(seconds)}
}

// Times after which a client should retry. A carrier that is down needs time to
// reconnect; a full queue is empty again within a second.
const (
	retryNotSent = 2 * time.Second
	retryStore   = 2 * time.Second
	retryBusy    = time.Second
)

var errPanicked = errors.New("panic")

// problemOf returns the answer to an error of an endpoint. An error that is not listed here is a
// 500, which shows the caller nothing of it.
func problemOf(err error) *problem {
	var p *problem
	var limit *orders.LimitError
	var ended *codes.EndedError
	var recipient *codes.LimitError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &ended):
		return gone(ended)
	case errors.As(err, &recipient):
		p := newProblem(http.StatusTooManyRequests, recipient.Limit+" This call sent nothing.")
		p.Code, p.outcome, p.header = codeRateLimit, "limited", retryAfter(recipient.After)
		return p
	case errors.Is(err, codes.ErrNotFound):
		p := newProblem(http.StatusNotFound, "There is no such verification.")
		p.Code, p.outcome = codeNotFound, "not_found"
		return p
	case errors.As(err, &limit):
		reason := limit.Error()
		return limited(strings.ToUpper(reason[:1])+reason[1:]+".", limit.After)
	case errors.Is(err, orders.ErrNotSent):
		return unavailable("not_sent", "No carrier could take the message in time. It surely was not sent: try again with the same idempotencyId.", retryNotSent)
	case errors.Is(err, orders.ErrBusy), errors.Is(err, errFull):
		return busy()
	case errors.Is(err, orders.ErrHeld):
		return unavailable("held", "An order with this idempotencyId is under way, and its outcome is not known yet. This call sent nothing: repeat it with the same idempotencyId.", retryBusy)
	case errors.Is(err, orders.ErrUnavailable):
		return unavailable("unavailable", "The service can't store orders now. This call sent nothing: repeat it with the same idempotencyId.", retryStore)
	case errors.Is(err, orders.ErrAbandoned), errors.Is(err, context.Canceled):
		return &problem{
			Title: "Client Closed Request", Status: statusClientClosedRequest,
			Detail: "The client went away before the answer.", Code: codeAbandoned, outcome: "abandoned",
		}
	case errors.Is(err, orders.ErrNotFound):
		p := newProblem(http.StatusNotFound, "There is no such shipment.")
		p.Code, p.outcome = codeNotFound, "not_found"
		return p
	}
	p = newProblem(http.StatusInternalServerError, "The service failed. Orders may be tried again with the same idempotencyId.")
	p.outcome = "failed"
	return p
}
