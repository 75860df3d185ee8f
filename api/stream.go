package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The feed as Server-Sent Events (WHATWG HTML, section 9.2):
//
//	GET …/feed?seq=N           id: 124
//	Accept: text/event-stream  data: {"sequenceNumber":124,…}
//
// A client that comes again with Last-Event-ID goes on behind that entry. A stream ends after
// longestStream, so that a token that has been taken away does not read for ever, and when the
// service stops; clients come again by themselves.
const (
	longestStream = time.Hour
	// keepAlive is the time after which a stream without entries gets a comment: proxies close what is silent.
	keepAlive = 15 * time.Second
)

// acceptsStream reports whether the client asks for a stream of events.
func acceptsStream(h http.Header) bool {
	for _, accept := range h["Accept"] {
		for kind := range strings.SplitSeq(accept, ",") {
			kind, _, _ = strings.Cut(kind, ";")
			if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
				return true
			}
		}
	}
	return false
}

// resume goes on from Last-Event-ID, if the client has come again.
func (q *feedRequest) resume(h http.Header, f *faults) {
	last := h.Get("Last-Event-ID")
	if last == "" {
		return
	}
	seq, err := parseSeq(last)
	if err != nil {
		f.add("Last-Event-ID", "must be the id of an event of this stream: a sequenceNumber")
	}
	q.Seq = seq
}

// stream sends entries as they come.
func (a *api) stream(x *exchange, q feedRequest) error {
	t, leave, err := a.tails.join(x.r.Context(), q.Organisation)
	if err != nil {
		return err
	}
	defer leave()
	began := time.Now()
	defer func() { x.waited = time.Since(began) }()
	end := time.NewTimer(longestStream)
	defer end.Stop()

	q.Limit = feedBatch
	seq, goesOn := q.Seq, true
	head := x.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx would keep events back
	events := bytes.NewBufferString(": straks\n\n")
	for {
		if err := x.push(events.Bytes()); err != nil || !goesOn {
			return nil // the client has gone, or we end the stream
		}
		events = new(bytes.Buffer) // a stream that waits holds none
		var batch []tailEntry
		batch, seq, err = a.next(x, t, q.FeedQuery, seq, func(moved <-chan struct{}) bool {
			alive := time.NewTimer(keepAlive)
			defer alive.Stop()
			select {
			case <-moved:
				return true
			case <-alive.C:
				events.WriteString(":\n\n")
			case <-end.C:
				goesOn = false
			case <-a.closing:
				goesOn = false
			case <-x.r.Context().Done():
				goesOn = false
			}
			return false
		})
		if err != nil {
			return nil // what has begun can't end as a problem; the client comes again
		}
		for _, e := range batch {
			fmt.Fprintf(events, "id: %d\ndata: %s\n\n", e.seq, e.json)
		}
	}
}

// push writes to a client that waits, and gives it pageWrite to read.
func (x *exchange) push(b []byte) error {
	x.patient(pageWrite)
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if _, err := x.Write(b); err != nil {
		return err
	}
	return http.NewResponseController(x.ResponseWriter).Flush()
}

// patient lifts the bounds on the time of a request, except that writing must be over after d. The
// read deadline would end a request that waits, since net/http reads on to learn that the client is gone.
func (x *exchange) patient(d time.Duration) {
	c := http.NewResponseController(x.ResponseWriter)
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Now().Add(d)) // a connection that knows no deadlines is one of a test
}
