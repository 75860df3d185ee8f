// Command go sends an SMS through straks, follows the feed of status changes, and verifies a person's number by a code.
// It needs nothing but the standard library. STRAKS_URL is the base URL, STRAKS_TOKEN the bearer token.
//
//	go run . send PHONE TEXT     prints the shipment's id
//	go run . follow FILE [N]     prints each change, ends after N of them; FILE keeps the cursor
//	go run . start PHONE         sends a code, prints the verification's id
//	go run . check ID CODE       prints approved, pending and the attempts left, or ended and why
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// order is the body of an SMS order.
type order struct {
	IdempotencyID string `json:"idempotencyId"`
	RecipientSMS  struct {
		PhoneNumber string `json:"phoneNumber"`
		TimeToLive  int    `json:"timeToLiveInSeconds"`
		Settings    struct {
			Body string `json:"body"`
		} `json:"smsSettings"`
	} `json:"recipientSms"`
}

// placed is the answer to an order.
type placed struct {
	Notification struct {
		ShipmentID string `json:"shipmentId"`
	} `json:"notification"`
}

// verification is the answer to a request for a code, and to a check.
type verification struct {
	ID           string `json:"verificationId"`
	Status       string `json:"status"`
	AttemptsLeft int    `json:"attemptsLeft"`
}

// entry is one entry of the feed.
type entry struct {
	Sequence   int64  `json:"sequenceNumber"`
	ShipmentID string `json:"shipmentId"`
	Recipients []struct {
		Status string `json:"status"`
	} `json:"recipients"`
}

// again is the error of a call that may be repeated.
type again struct {
	after time.Duration
	why   string
}

func (a again) Error() string { return a.why }

// refused is the error of a call that a repeat does not help.
type refused struct {
	status int
	text   []byte
}

func (r refused) Error() string { return fmt.Sprintf("refused with %d: %s", r.status, r.text) }

type client struct {
	base, token string
	http        http.Client
}

// call does one call and reads its answer into v. The error is an again where the call may be
// repeated; any other is final.
func (c *client) call(ctx context.Context, method, path string, body []byte, v any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(r)
	if err != nil {
		return again{time.Second, err.Error()}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<20))
	switch s := answer.StatusCode; {
	case err != nil:
		return again{time.Second, err.Error()}
	case s == http.StatusOK, s == http.StatusCreated:
		return json.Unmarshal(text, v)
	case s == http.StatusRequestTimeout, s == http.StatusTooManyRequests, s >= 500:
		seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
		if err != nil {
			seconds = 1
		}
		return again{time.Duration(seconds) * time.Second, answer.Status}
	}
	return refused{answer.StatusCode, text}
}

// persist repeats a call until there is an answer, or ctx ends.
func (c *client) persist(ctx context.Context, path string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	for {
		err := c.call(ctx, http.MethodPost, path, body, answer)
		var a again
		if !errors.As(err, &a) {
			return err
		}
		if !sleep(ctx, a.after) {
			return fmt.Errorf("given up: %w", err)
		}
	}
}

// send sends one SMS and returns the shipment's id. It tries until ctx ends.
func (c *client) send(ctx context.Context, phone, text string) (string, error) {
	// One key for one message, made before the first attempt and the same in each. It makes the repeat
	// safe: straks sends a key once, however often it comes. Keep it with what the message is about.
	o := order{IdempotencyID: rand.Text()}
	o.RecipientSMS.PhoneNumber, o.RecipientSMS.TimeToLive, o.RecipientSMS.Settings.Body = phone, 300, text
	var p placed
	err := c.persist(ctx, "/future/orders/instant/sms", o, &p)
	return p.Notification.ShipmentID, err
}

// start sends a code. Keep the id in the person's session, and take it from nowhere else.
func (c *client) start(ctx context.Context, phone string) (id string, err error) {
	var v verification
	err = c.persist(ctx, "/verifications", map[string]any{ // one key, as in send
		"idempotencyId": rand.Text(), "recipientSms": map[string]string{"phoneNumber": phone}}, &v)
	return v.ID, err
}

// check returns what came of a code. The right one is approved again for 10 seconds, so a repeat may ask for so long.
func (c *client) check(ctx context.Context, id, code string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var v verification
	err := c.persist(ctx, "/verifications/"+url.PathEscape(id)+"/check", map[string]string{"code": code}, &v)
	var r refused
	switch {
	case errors.As(err, &r) && r.status == http.StatusGone: // expired, used, exhausted, cancelled: start again
		var problem struct{ Code string }
		err = json.Unmarshal(r.text, &problem)
		return "ended " + problem.Code, err
	case err != nil || v.Status == "approved":
		return v.Status, err
	}
	return fmt.Sprint("pending ", v.AttemptsLeft), nil // it was wrong
}

// follow calls handle with each entry after the cursor in the file, in order, until handle
// returns false. After a crash the last entry may come again.
func (c *client) follow(ctx context.Context, file string, handle func(entry) bool) error {
	kept, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	cursor, _ := strconv.ParseInt(strings.TrimSpace(string(kept)), 10, 64)
	for {
		var page []entry
		var pause time.Duration // none after an answer: the service has waited
		err := c.call(ctx, http.MethodGet, fmt.Sprintf("/future/shipment/feed?seq=%d&wait=30", cursor), nil, &page)
		var a again
		switch {
		case errors.As(err, &a):
			pause = a.after
		case err != nil:
			return err
		}
		for _, e := range page {
			more := handle(e)
			cursor = e.Sequence
			if err := os.WriteFile(file, []byte(strconv.FormatInt(cursor, 10)), 0o600); err != nil || !more {
				return err
			}
		}
		if !sleep(ctx, pause) {
			return ctx.Err()
		}
	}
}

// sleep waits, and reports whether ctx is still good.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// show prints the result of a call that has a minute.
func show(call func(context.Context) (string, error)) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	text, err := call(ctx)
	if err == nil {
		fmt.Println(text)
	}
	return err
}

func run(args []string) error {
	c := &client{base: os.Getenv("STRAKS_URL"), token: os.Getenv("STRAKS_TOKEN"), http: http.Client{Timeout: 35 * time.Second}}
	switch {
	case len(args) == 3 && args[0] == "send":
		return show(func(ctx context.Context) (string, error) { return c.send(ctx, args[1], args[2]) })
	case len(args) == 2 && args[0] == "start":
		return show(func(ctx context.Context) (string, error) { return c.start(ctx, args[1]) })
	case len(args) == 3 && args[0] == "check":
		return show(func(ctx context.Context) (string, error) { return c.check(ctx, args[1], args[2]) })
	case len(args) >= 2 && args[0] == "follow":
		left := 0
		if len(args) > 2 {
			left, _ = strconv.Atoi(args[2])
		}
		return c.follow(context.Background(), args[1], func(e entry) bool {
			fmt.Println(e.Sequence, e.ShipmentID, e.Recipients[0].Status)
			left--
			return left != 0
		})
	}
	return errors.New("usage: send PHONE TEXT | follow FILE [N] | start PHONE | check ID CODE")
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
