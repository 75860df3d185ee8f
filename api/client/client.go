// Package client speaks the HTTP contract of straks, for the operator's
// commands and for tests. It knows the wire and nothing of the server.
//
// A Client is safe for concurrent use. Every call ends with its context; none
// repeats itself. Repeating a failed Send is always safe: the same IdempotencyID is
// never sent twice.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxAnswer bounds what is read of an answer. A full feed page is about 200 kB.
const maxAnswer = 8 << 20

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
		hc = &http.Client{Timeout: Timeout}
	}
	return &Client{base: strings.TrimRight(baseURL, "/"), token: token, http: hc}, nil
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
	var s Shipment
	_, err := c.call(ctx, http.MethodGet, "/future/shipment/"+url.PathEscape(id), nil, &s)
	return s, err
}

// Feed returns one page of the feed: entries after q.Seq, oldest first, or
// before it, newest first. An empty page means that there is nothing more now.
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
	return page, err
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
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, problem(resp, raw)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("%s %s: the answer is not what a straks sends: %w", method, path, err)
	}
	return resp, nil
}
