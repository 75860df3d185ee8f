package client

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"straks/internal/printable"
)

// Problem is an error answer (RFC 9457).
type Problem struct {
	Status     int                 `json:"status"` // HTTP status
	Title      string              `json:"title"`
	Detail     string              `json:"detail"`
	Code       string              `json:"code"`    // "NOT-00003", …; often empty
	TraceID    string              `json:"traceId"` // stands in the service's log too
	Errors     map[string][]string `json:"errors"`  // by property path or query parameter
	RetryAfter time.Duration       `json:"-"`       // zero where the server gave none
}

// maxLines bounds the faults that Error names.
const maxLines = 50

// Error returns the whole problem, with one fault on each line. What the server wrote is cut
// where it is very long, and quoted where it is not printable.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", p.Status, cut(p.Title))
	if p.Code != "" {
		fmt.Fprintf(&b, " (%s)", cut(p.Code))
	}
	if p.Detail != "" {
		fmt.Fprintf(&b, ": %s", cut(p.Detail))
	}
	lines := 0
	for _, path := range slices.Sorted(maps.Keys(p.Errors)) {
		for _, message := range p.Errors[path] {
			if lines++; lines <= maxLines {
				fmt.Fprintf(&b, "\n  %s: %s", cut(path), cut(message))
			}
		}
	}
	if lines > maxLines {
		fmt.Fprintf(&b, "\n  and %d more", lines-maxLines)
	}
	return b.String()
}

// maxText bounds a text of the server in an error, in octets.
const maxText = 500

func cut(s string) string {
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return printable.Text(s)
}

// Temporary reports whether the same call may succeed a little later.
func (p *Problem) Temporary() bool {
	return p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests
}

// maxRetryAfter bounds Retry-After, in seconds: a day.
const maxRetryAfter = 24 * 60 * 60

// problem reads an error answer. What is not problem+json (a proxy's page, say)
// becomes a Problem with the status alone.
func problem(resp *http.Response, raw []byte) *Problem {
	p := &Problem{}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		if err := json.Unmarshal(raw, p); err != nil {
			p = &Problem{}
		}
	}
	p.Status = resp.StatusCode
	if p.Title == "" {
		p.Title = http.StatusText(resp.StatusCode)
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		p.RetryAfter = time.Duration(min(s, maxRetryAfter)) * time.Second
	}
	return p
}
