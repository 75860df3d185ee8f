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
// A client that reconnects with Last-Event-ID continues after that entry. A stream ends after
// longestStream, so that a token that was removed does not read for ever, and when the service stops.
// Clients reconnect by themselves.
const (
	longestStream = time.Hour
	// keepAlive is the time after which a stream without entries gets a comment: proxies close idle connections.
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

// resume continues after Last-Event-ID, if the client has reconnected.
func (q *feedRequest) resume(h http.Header, f *faults) {
	last := h.Get("Last-Event-ID")
	if last == "" {
		return
	}
	seq, err := parseSeq(last)
	if err != nil {
		f.add("Last-Event-ID", "must be the id of an event of this stream: a sequenceNumber")
	}
	q.Seq, q.cursor = seq, "Last-Event-ID"
}

// stream sends the batch, which was read from q.Seq on, and what follows as it comes.
func (a *feedCall) stream(x *exchange, q feedRequest, batch []tailEntry) error {
	t, leave, err := a.tails.join(x.r.Context(), a.source, q.Organisation)
	if err != nil {
		return err
	}
	defer leave()
	began := time.Now()
	defer func() { x.waited = time.Since(began) }()
	end := time.NewTimer(longestStream)
	defer end.Stop()

	q.Limit = feedBatch
	seq, goesOn := lastOf(batch, q.Seq), true
	head := x.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-store")
	head.Set("X-Accel-Buffering", "no") // nginx would keep events back
	events := bytes.NewBufferString(": straks\n\n")
	for {
		for _, e := range batch {
			fmt.Fprintf(events, "id: %d\ndata: %s\n\n", e.seq, e.json)
		}
		if err := x.push(events.Bytes()); err != nil || !goesOn {
			return nil // the client has gone, or we end the stream
		}
		events, batch = new(bytes.Buffer), nil // a waiting stream holds no batch
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
			return nil // the answer has begun, so it can't become a problem; the client reconnects
		}
	}
}

// push writes to a waiting client, which has pageWrite to read it.
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

// patient replaces the server's time limits for this request: writing must end within d, and reading
// has no deadline. The read deadline would cancel a waiting request, since net/http reads on in order to
// notice that the client has gone.
func (x *exchange) patient(d time.Duration) {
	c := http.NewResponseController(x.ResponseWriter)
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Now().Add(d)) // a connection that knows no deadlines is one of a test
}
