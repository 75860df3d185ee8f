package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxWait bounds the wait for a message.
const maxWait = time.Minute

// defaultList and maxList bound the messages of one answer.
const (
	defaultList = 100
	maxList     = MaxMessages
)

// parameters reads a query string. Its error names the parameter at fault.
type parameters struct {
	Query
	limit int
	wait  time.Duration
}

// parse reads the parameters of a request; one that is not among known is a fault.
func parse(values url.Values, known ...string) (p parameters, err error) {
	p.limit = defaultList
	for name := range values {
		value, good := values.Get(name), false
		for _, k := range known {
			good = good || k == name
		}
		if !good {
			return p, fmt.Errorf("there is no parameter %q here; known are %q", name, known)
		}
		switch name {
		case "to":
			if p.To = value; addressKey(value) == "" {
				err = errors.New("to is empty: give a number or an address, or leave it out")
			}
		case "q":
			p.Words = value
		case "channel":
			if p.Channel = value; value != ChannelSMS && value != ChannelEmail {
				err = errors.New("channel must be sms or email")
			}
		case "after":
			if p.After, err = strconv.ParseInt(value, 10, 64); err != nil {
				err = errors.New("after must be the id of a message")
			}
		case "limit":
			if p.limit, err = strconv.Atoi(value); err != nil || p.limit < 1 || p.limit > maxList {
				err = fmt.Errorf("limit must be a number from 1 to %d", maxList)
			}
		case "wait":
			p.wait, err = parseWait(value)
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

// parseWait reads seconds, or a duration with its unit.
func parseWait(value string) (time.Duration, error) {
	seconds, err := strconv.ParseFloat(value, 64)
	wait := time.Duration(seconds * float64(time.Second))
	if err != nil {
		wait, err = time.ParseDuration(value)
	}
	if err != nil || !(wait >= 0 && wait <= maxWait) || seconds > maxWait.Seconds() {
		return 0, fmt.Errorf("wait must be a time like 10 or 10s, up to %v", maxWait)
	}
	return wait, nil
}

// listJSON: GET /messages.json?to=&channel=&q=&after=&limit=
func (s *Server) listJSON(w http.ResponseWriter, r *http.Request) {
	p, err := parse(r.URL.Query(), "to", "channel", "q", "after", "limit")
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	list, _ := s.box.List(p.Query, p.limit)
	if list == nil {
		list = []*Message{}
	}
	writeJSON(w, http.StatusOK, list)
}

// latestJSON: GET /messages/latest?to=&channel=&q=&after=&wait=
func (s *Server) latestJSON(w http.ResponseWriter, r *http.Request) {
	p, err := parse(r.URL.Query(), "to", "channel", "q", "after", "wait")
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	if p.wait > 0 {
		release, ok := slot(w, s.waits)
		if !ok {
			return
		}
		defer release()
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(p.wait + writeTime))
	}
	p.Taken = true
	ctx, cancel := context.WithTimeout(r.Context(), p.wait)
	defer cancel()
	m := s.box.Wait(ctx, p.Query)
	if m == nil {
		problem(w, http.StatusNotFound, fmt.Sprintf("No such message came within %v.", p.wait))
		return
	}
	writeJSON(w, http.StatusOK, m)
}

// deleteJSON: DELETE /messages?to=&channel=&q=
func (s *Server) deleteJSON(w http.ResponseWriter, r *http.Request) {
	p, err := parse(r.URL.Query(), "to", "channel", "q")
	if err != nil {
		problem(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, map[string]int{"deleted": s.box.Delete(p.Query)})
}

// problem answers with a fault, in the form of the API's (RFC 9457).
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": status, "title": http.StatusText(status), "detail": detail})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader went away
}
