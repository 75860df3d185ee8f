package client

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const anID = "0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1"

// server returns a client of a server with one handler.
func server(t *testing.T, hc *http.Client, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(s.URL, "hemlig", hc)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func page(seqs ...int) string {
	var entries []string
	for _, seq := range seqs {
		entries = append(entries, fmt.Sprintf(`{"sequenceNumber":%d,"shipmentId":"%s","status":"Order_Completed","recipients":[{"status":"SMS_Delivered"}]}`, seq, anID))
	}
	return "[" + strings.Join(entries, ",") + "]"
}

// A page must continue from the query's number, in its order.
func TestFeedAdvances(t *testing.T) {
	for _, tt := range []struct {
		q    FeedQuery
		page string
		ok   bool
	}{
		{FeedQuery{}, page(), true},
		{FeedQuery{}, page(1, 2, 9), true},
		{FeedQuery{Seq: 4}, page(5), true},
		{FeedQuery{Seq: 4}, page(4), false},
		{FeedQuery{Seq: 4}, page(5, 5), false},
		{FeedQuery{}, page(0), false},
		{FeedQuery{}, page(2, 1), false},
		{FeedQuery{PageSize: 2}, page(1, 2), true},
		{FeedQuery{PageSize: 2}, page(1, 2, 3), false},
		{FeedQuery{Descending: true}, page(9, 2, 1), true},
		{FeedQuery{Descending: true}, page(1, 2), false},
		{FeedQuery{Descending: true}, page(2, 2), false},
		{FeedQuery{Descending: true, Seq: 9}, page(8, 1), true},
		{FeedQuery{Descending: true, Seq: 9}, page(9), false},
		{FeedQuery{Descending: true, Seq: 9}, page(10), false},
		{FeedQuery{}, "null", false},
	} {
		c := server(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			io.WriteString(w, tt.page)
		})
		if got, err := c.Feed(t.Context(), tt.q); (err == nil) != tt.ok || err != nil && (!errors.Is(err, ErrUnexpected) || got != nil) {
			t.Errorf("%+v: %s gives %v, %v", tt.q, tt.page, got, err)
		}
	}
}

// No redirect is followed, whatever the http.Client does, and the error names the host.
func TestNoRedirect(t *testing.T) {
	asked := false
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	for _, hc := range []*http.Client{nil, {}, {CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}} {
		for _, code := range []int{301, 302, 303, 307, 308} {
			c := server(t, hc, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/path", code) })
			_, err := c.SendSMS(t.Context(), SMS{})
			if asked || !errors.Is(err, ErrUnexpected) || !strings.Contains(err.Error(), `"`+other.URL+`"`) {
				t.Errorf("%d: %v, asked %v", code, err, asked)
			}
		}
	}
}

// The time-out covers an answer that comes slowly.
func TestSlowAnswer(t *testing.T) {
	c := server(t, &http.Client{Timeout: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for r.Context().Err() == nil {
			io.WriteString(w, " ")
			http.NewResponseController(w).Flush()
		}
	})
	var timeout interface{ Timeout() bool }
	if _, err := c.Feed(t.Context(), FeedQuery{}); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("it gives %v", err)
	}
}

// A problem's words are cut, counted and quoted.
func TestProblemText(t *testing.T) {
	p := &Problem{Status: 400, Title: "x\x1b[2J", Code: "a\nb", Detail: strings.Repeat("å", maxText), Errors: map[string][]string{"a": make([]string, 1000)}}
	text := p.Error()
	if strings.Contains(text, "\x1b") || strings.Contains(text, "a\nb") || len(text) > 4*maxText || !strings.Contains(text, "and 950 more") {
		t.Errorf("%q", text)
	}
}
