package console

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

const (
	maxStreams        = 32 // open at a time
	maxSessionStreams = 6  // of one session
	liveEvery         = time.Second
	liveAtLeast       = 15 * time.Second // a page that has not changed is sent again, so that a dead connection shows
	liveLongest       = time.Hour        // then the browser comes again
)

// live streams a page as Server-Sent Events: the whole content each time that it has changed. The script of
// the page replaces the parts that differ. The stream ends with the session.
func (c *Console) live(w http.ResponseWriter, r *http.Request, s *session) {
	select {
	case c.streams <- struct{}{}:
		defer func() { <-c.streams }()
	default:
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	if !c.sessions.stream(s, maxSessionStreams) {
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer c.sessions.endStream(s)
	if _, err := c.livePage(r, s); err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	tick, end := time.NewTicker(liveEvery), time.NewTimer(liveLongest)
	defer tick.Stop()
	defer end.Stop()
	var last []byte
	var sent time.Time
	for {
		if c.sessions.find(r, false) != s {
			fmt.Fprint(w, "event: ended\ndata: \n\n")
			_ = out.Flush()
			return
		}
		body, err := c.livePage(r, s)
		if err != nil {
			return
		}
		if !bytes.Equal(body, last) || time.Since(sent) > liveAtLeast {
			last, sent = body, time.Now()
			if _, err := fmt.Fprintf(w, "data: %s\n\n", bytes.ReplaceAll(body, []byte("\n"), []byte("\ndata: "))); err != nil || out.Flush() != nil {
				return
			}
		}
		select {
		case <-tick.C:
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		case <-c.closing:
			return
		}
	}
}

// livePage makes the content of the page that the stream is for.
func (c *Console) livePage(r *http.Request, s *session) ([]byte, error) {
	v, err := c.nowView(s), error(nil)
	if r.URL.Query().Get("page") == "carrier" {
		v, err = c.carrierView(r.URL.Query().Get("name"), s, view{}, carrierData{})
	}
	if err != nil {
		return nil, err
	}
	return c.page(&v, "content", r)
}
