package inbox

import (
	"fmt"
	"net/http"
	"time"
)

const (
	// gather is how long changes are gathered before a page is told.
	gather = 100 * time.Millisecond
	// keepalive is the longest silence of a stream, so that its end is noticed.
	keepalive = 15 * time.Second
)

// events tells a page of changes, as Server-Sent Events without content: the page then asks
// for itself again.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	release, ok := slot(w, s.streams)
	if !ok {
		return
	}
	defer release()
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(keepalive)
	defer tick.Stop()
	changed := s.box.Changed()
	text := "event: change\ndata:\n\n" // the page may be older than the stream
	for {
		extend(w)
		if _, err := fmt.Fprint(w, text); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		select {
		case <-changed:
			if !pause(r, gather) {
				return
			}
			changed, text = s.box.Changed(), "event: change\ndata:\n\n"
		case <-tick.C:
			text = ":\n\n"
		case <-r.Context().Done():
			return
		}
	}
}

// pause returns false if the request ends first.
func pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
