package hooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"straks/internal/tlsfault"
)

const (
	// maxAnswerHeader bounds the headers of an answer, in octets.
	maxAnswerHeader = 32 << 10
	// maxAnswer is how much of an answer's body is read, in octets and in time, so that the connection can be used
	// again. A longer one costs a new connection.
	maxAnswer     = 16 << 10
	answerTimeout = 500 * time.Millisecond
	// idleTimeout is how long a connection is kept without a request.
	idleTimeout = 90 * time.Second
)

// result is what came of an attempt: a label of its metric.
type result string

const (
	delivered   result = "delivered"   // 2xx
	gone        result = "gone"        // 410
	refused     result = "refused"     // another status
	unreachable result = "unreachable" // no answer
)

var results = []result{delivered, gone, refused, unreachable}

// outcome is what came of an attempt.
type outcome struct {
	result     result
	status     int           // of the answer; 0: there was none
	retryAfter time.Duration // that the answer asks for; negative: it does not
	reason     string        // of a failure, in words of ours
	took       time.Duration
}

// newTransport returns the connections to one receiver. It goes through no proxy.
func newTransport(w *Webhook, dial func(ctx context.Context, network, addr string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: w.Authorities},
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		MaxConnsPerHost:        w.MaxInFlight + 1, // one for a test
		MaxIdleConnsPerHost:    w.MaxInFlight,
		MaxIdleConns:           w.MaxInFlight + 1,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxAnswerHeader,
		DisableCompression:     true,
		ReadBufferSize:         4 << 10,
		WriteBufferSize:        4 << 10,
	}
}

// attempt sends the event once. ctx ends it early.
func (s *Subscription) attempt(ctx context.Context, ev event) outcome {
	began := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, s.hook.Timeout, fmt.Errorf("no answer within %v", s.hook.Timeout))
	defer cancel()
	out := s.exchange(ctx, cancel, ev, began)
	if out.took = time.Since(began); out.status == 0 && context.Cause(ctx) != nil {
		out.reason = context.Cause(ctx).Error()
	}
	return out
}

// exchange is attempt without the time-out. cancel ends the exchange.
func (s *Subscription) exchange(ctx context.Context, cancel func(), ev event, now time.Time) outcome {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.hook.URL, bytes.NewReader(ev.body))
	if err != nil {
		return outcome{result: unreachable, retryAfter: -1, reason: "its url can't be used"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", s.d.cfg.UserAgent)
	// A request may be repeated, so net/http may send it again when a kept connection turns out to be closed. The
	// header itself is not sent (see http.Transport).
	req.Header["Idempotency-Key"] = []string{}
	ev.sign(req.Header, now, s.hook.Secret, s.hook.FormerSecret)
	resp, err := s.transport.RoundTrip(req) // which follows no redirect
	if err != nil {
		return outcome{result: unreachable, retryAfter: -1, reason: plain(err)}
	}
	defer resp.Body.Close()
	out := outcome{result: refused, status: resp.StatusCode, retryAfter: retryAfter(resp.Header.Get("Retry-After"), now)}
	switch status := resp.StatusCode; {
	case status/100 == 2:
		out.result = delivered
	case status == http.StatusGone:
		out.result, out.reason = gone, "the receiver answered 410 Gone"
	case status/100 == 3:
		out.reason = fmt.Sprintf("the receiver answered %d: redirects are not followed, its url must be the final one", status)
	default:
		out.reason = strings.TrimSpace(fmt.Sprintf("the receiver answered %d %s", status, http.StatusText(status)))
	}
	// An answer that has been read to its end leaves its connection for the next request.
	defer time.AfterFunc(answerTimeout, cancel).Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	return out
}

// plain returns why there was no answer, without anything that the receiver wrote and without the URL.
func plain(err error) string {
	var (
		at      *url.Error
		dial    *net.OpError
		refused *addressError
		dns     *net.DNSError
	)
	if errors.As(err, &at) {
		err = at.Err
	}
	switch {
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &dns):
		return "its name can't be resolved: " + dns.Err
	case errors.As(err, &dial) && dial.Op == "dial":
		return "it can't be reached: " + dial.Err.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the receiver closed the connection without an answer"
	case strings.Contains(err.Error(), "response headers exceeded"), strings.Contains(err.Error(), "header list"):
		return fmt.Sprintf("the answer's headers have more than %d octets", maxAnswerHeader)
	case strings.Contains(err.Error(), "malformed HTTP"), strings.HasPrefix(err.Error(), "readLoopPeekFailLocked"), strings.Contains(err.Error(), "unsupported protocol"), strings.HasPrefix(err.Error(), "net/http: HTTP/"):
		return "the answer is not HTTP"
	}
	return tlsfault.Plain(err).Error()
}

// The bounds of a pause that a receiver asks for.
const minRetryAfter, maxRetryAfter = time.Second, time.Hour

// retryAfter reads a Retry-After header (RFC 9110 §10.2.3): seconds or a date. It is negative where there is none.
func retryAfter(value string, now time.Time) time.Duration {
	d := time.Duration(-1)
	if n, err := strconv.ParseUint(value, 10, 64); err == nil {
		d = time.Duration(min(n, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	} else {
		return -1
	}
	return min(max(d, minRetryAfter), maxRetryAfter)
}
