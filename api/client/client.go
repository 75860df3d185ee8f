// Package client speaks the HTTP contract of straks, for the operator's
// commands and for tests. It knows the wire and nothing of the server.
//
// A Client is safe for concurrent use. Every call ends with its context; none
// repeats itself. Repeating a failed Send is always safe: the same IdempotencyID is
// never sent twice.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Bounds of what is read of an answer, in octets. A full feed page is about 200 kB.
const (
	maxAnswer  = 8 << 20
	maxProblem = 64 << 10
	maxHeader  = 64 << 10
)

// ErrUnexpected is in the error of an answer that no straks gives: the call may have reached
// something else, or a straks through something that changes answers.
var ErrUnexpected = errors.New("the answer is not what a straks sends")

// Timeout is how long a call of a default client takes at most, longer than any send deadline.
const Timeout = 30 * time.Second

// Client calls one straks as one organisation.
type Client struct {
	base  string // without a trailing slash
	token string
	http  *http.Client
}

// New returns a client of the API at baseURL, like
// "http://127.0.0.1:8080/notifications/api/v1". A nil hc is a default one, with Timeout.
// No redirect is followed, with either: the target would get the token and the message.
func New(baseURL, token string, hc *http.Client) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil {
		return nil, fmt.Errorf("base URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("base URL %q: want http://HOST:PORT/PATH or https://HOST/PATH", u.Redacted())
	}
	if token == "" {
		return nil, errors.New("no token given")
	}
	if hc == nil {
		hc = &http.Client{Timeout: Timeout, Transport: transport()}
	}
	own := *hc
	own.Transport = direct{cmp.Or(hc.Transport, http.DefaultTransport)}
	return &Client{base: strings.TrimRight(baseURL, "/"), token: token, http: &own}, nil
}

// transport is the default one with bounds. It asks for no compression, so that an answer
// is not larger than what the connection carries.
func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true
	t.MaxResponseHeaderBytes = maxHeader
	return t
}

// SendSMS sends one SMS, now.
func (c *Client) SendSMS(ctx context.Context, m SMS) (Placed, error) {
	return c.send(ctx, "/future/orders/instant/sms", m)
}

// SendEmail sends one e-mail, now.
func (c *Client) SendEmail(ctx context.Context, m Email) (Placed, error) {
	return c.send(ctx, "/future/orders/instant/email", m)
}

func (c *Client) send(ctx context.Context, path string, m any) (Placed, error) {
	var answer struct {
		NotificationOrderID string `json:"notificationOrderId"`
		Notification        struct {
			ShipmentID       string `json:"shipmentId"`
			SendersReference string `json:"sendersReference"`
		} `json:"notification"`
	}
	body, err := json.Marshal(m)
	if err != nil {
		return Placed{}, err
	}
	head, err := c.call(ctx, http.MethodPost, path, body, &answer)
	if err != nil {
		return Placed{}, err
	}
	if err := checkIDs(answer.NotificationOrderID, answer.Notification.ShipmentID); err != nil {
		return Placed{}, fmt.Errorf("%w: %w", ErrUnexpected, err)
	}
	return Placed{
		OrderID:          answer.NotificationOrderID,
		ShipmentID:       answer.Notification.ShipmentID,
		SendersReference: answer.Notification.SendersReference,
		Created:          head.StatusCode == http.StatusCreated,
		Location:         head.Header.Get("Location"),
	}, nil
}

// Shipment returns the state of one shipment.
func (c *Client) Shipment(ctx context.Context, id string) (Shipment, error) {
	return c.shipment(ctx, id, "")
}

// ShipmentWithEvents returns one shipment with its way.
func (c *Client) ShipmentWithEvents(ctx context.Context, id string) (Shipment, error) {
	return c.shipment(ctx, id, "?include=events")
}

func (c *Client) shipment(ctx context.Context, id, query string) (Shipment, error) {
	var s Shipment
	_, err := c.call(ctx, http.MethodGet, "/future/shipment/"+url.PathEscape(id)+query, nil, &s)
	if err == nil {
		err = s.check(id)
	}
	if err != nil {
		return Shipment{}, err
	}
	return s, nil
}

// Feed returns one page of the feed: entries after q.Seq, oldest first, or
// before it, newest first. An empty page means that there is nothing more now. A page that
// does not continue from q.Seq, entry by entry, is an error: its reader would not advance.
func (c *Client) Feed(ctx context.Context, q FeedQuery) ([]FeedEntry, error) {
	v := url.Values{"seq": {strconv.FormatUint(q.Seq, 10)}}
	if q.PageSize > 0 {
		v.Set("pageSize", strconv.Itoa(q.PageSize))
	}
	if q.Descending {
		v.Set("orderBy", "desc")
	}
	if q.Wait > 0 {
		v.Set("wait", strconv.Itoa(int(q.Wait/time.Second)))
	}
	if q.All {
		v.Set("changes", "all")
	}
	var page []FeedEntry
	_, err := c.call(ctx, http.MethodGet, "/future/shipment/feed?"+v.Encode(), nil, &page)
	if err == nil {
		err = q.check(page)
	}
	if err != nil {
		return nil, err
	}
	return page, nil
}

// call makes one request and reads its answer: JSON into out, or a *Problem.
func (c *Client) call(ctx context.Context, method, path string, body []byte, out any) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxProblem)) // the status says enough
		return nil, problem(resp, raw)
	}
	raw, err := readJSON(resp)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnexpected, err)
	}
	return resp, nil
}

// readJSON reads the body of a success.
func readJSON(resp *http.Response) ([]byte, error) {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, fmt.Errorf("%w: its Content-Type is %q, not application/json", ErrUnexpected, resp.Header.Get("Content-Type"))
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" {
		return nil, fmt.Errorf("%w: its Content-Encoding is %q, which was not asked for", ErrUnexpected, encoding)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if len(raw) > maxAnswer {
		return nil, fmt.Errorf("%w: it has more than %d octets", ErrUnexpected, maxAnswer)
	}
	return raw, nil
}

// direct is a transport that turns a redirect into an error, before http.Client looks at its
// target.
type direct struct{ http.RoundTripper }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.RoundTripper.RoundTrip(r)
	if err == nil && resp.StatusCode/100 == 3 {
		resp.Body.Close()
		return nil, redirected(resp)
	}
	return resp, err
}

// redirected returns the error of a redirect, which names the host only: the rest of the
// target may be of any length.
func redirected(resp *http.Response) error {
	target, err := resp.Location()
	if err != nil {
		return fmt.Errorf("%w: %d %s", ErrUnexpected, resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	return fmt.Errorf("%w: %d, it redirects to %q. No redirect is followed, since the token would go there; give the right base URL",
		ErrUnexpected, resp.StatusCode, target.Scheme+"://"+cut(target.Host))
}
