package smsctest

import (
	"context"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
)

// Stats are counters since Listen; those named "now" are levels.
type Stats struct {
	Connections    uint64 `json:"connections"`
	ConnectionsNow uint64 `json:"connectionsNow"`
	Binds          uint64 `json:"binds"`
	BindsNow       uint64 `json:"bindsNow"`
	BindsRefused   uint64 `json:"bindsRefused"`

	Submits    uint64 `json:"submits"`    // the sum of the next three
	Taken      uint64 `json:"taken"`      // got a message id
	Throttled  uint64 `json:"throttled"`  // ESME_RTHROTTLED or ESME_RMSGQFUL
	Refused    uint64 `json:"refused"`    // any other status
	Unanswered uint64 `json:"unanswered"` // of Taken: the response was withheld

	Receipts    uint64 `json:"receipts"`    // made, including duplicates and intermediate ones
	Delivered   uint64 `json:"delivered"`   // deliver_sm and data_sm written, including repeats
	Redelivered uint64 `json:"redelivered"` // of Delivered: repeats
	Acked       uint64 `json:"acked"`       // of Delivered: answered ESME_ROK
	Postponed   uint64 `json:"postponed"`   // of Delivered: answered with a temporary error
	Rejected    uint64 `json:"rejected"`    // of Delivered: answered with a permanent error or generic_nack
	Dropped     uint64 `json:"dropped"`     // never sent: too many were waiting, or the addresses are invalid
	WaitingNow  uint64 `json:"waitingNow"`  // for a bind, a response or their next attempt

	Enquiries      uint64 `json:"enquiries"`      // enquire_link received
	EnquiriesSent  uint64 `json:"enquiriesSent"`  // enquire_link sent
	EnquiryAnswers uint64 `json:"enquiryAnswers"` // enquire_link_resp received
	Unbinds        uint64 `json:"unbinds"`        // unbind received
	UnbindAnswers  uint64 `json:"unbindAnswers"`  // unbind_resp received
	Nacks          uint64 `json:"nacks"`          // generic_nack received
	Malformed      uint64 `json:"malformed"`      // PDUs that could not be read, or that an SMSC does not accept
	Mischiefs      uint64 `json:"mischiefs"`      // mischiefs sent
	Closed         uint64 `json:"closed"`         // connections closed in place of a response
	Frozen         uint64 `json:"frozen"`         // connections frozen
	Outages        uint64 `json:"outages"`        // outages by Down and Outage
}

// counters are the live Stats. Their fields are written and read atomically.
type counters struct {
	Stats // first: on 32-bit machines only the start of an allocation is aligned for that
	watch watch
}

// count adds one and wakes every Wait.
func (n *counters) count(c *uint64) { n.add(c, 1) }

func (n *counters) add(c *uint64, delta int) {
	atomic.AddUint64(c, uint64(delta))
	n.watch.notify()
}

func (n *counters) stats() (now Stats) {
	from, to := reflect.ValueOf(&n.Stats).Elem(), reflect.ValueOf(&now).Elem()
	for i := range from.NumField() {
		to.Field(i).SetUint(atomic.LoadUint64(from.Field(i).Addr().Interface().(*uint64)))
	}
	return now
}

// watch wakes goroutines that wait for counters to change.
type watch struct {
	waiting atomic.Int32 // saves the lock if nobody waits
	mu      sync.Mutex
	tokens  map[chan struct{}]struct{}
}

func (w *watch) notify() {
	if w.waiting.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for t := range w.tokens {
		select {
		case t <- struct{}{}:
		default:
		}
	}
}

// enter returns a channel that gets a token after every change, and a function that ends this.
func (w *watch) enter() (changed <-chan struct{}, leave func()) {
	t := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.tokens == nil {
		w.tokens = map[chan struct{}]struct{}{}
	}
	w.tokens[t] = struct{}{}
	w.waiting.Add(1)
	return t, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.tokens, t)
		w.waiting.Add(-1)
	}
}

// Stats returns the current counters.
func (s *SMSC) Stats() Stats { return s.n.stats() }

// Wait returns as soon as the counters satisfy ok. If ctx ends or the SMSC is closed first,
// it returns an error that has the counters.
func (s *SMSC) Wait(ctx context.Context, ok func(Stats) bool) error {
	changed, leave := s.n.watch.enter()
	defer leave()
	for {
		now := s.Stats()
		if ok(now) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("smsctest: still waiting at %+v: %w", now, ctx.Err())
		case <-s.done:
			return fmt.Errorf("smsctest: closed at %+v", now)
		}
	}
}

// WaitSubmits waits until n submits have come in since Listen, and returns those kept.
func (s *SMSC) WaitSubmits(ctx context.Context, n int) ([]Submit, error) {
	err := s.Wait(ctx, func(st Stats) bool { return st.Submits >= uint64(n) })
	return s.Submits(), err
}

// Submits returns the recorded submits (see Profile.Record), oldest first.
func (s *SMSC) Submits() []Submit { return s.record.all() }

// Forget empties the record of submits. Counters are kept.
func (s *SMSC) Forget() { s.record.forget() }

// Handler serves the counters: "GET /" as a page, "GET /stats.json" as JSON. Neither shows
// a phone number or a text.
func (s *SMSC) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = page.Execute(w, s.report()) // the client went away
	})
	mux.HandleFunc("GET /stats.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Stats())
	})
	return mux
}

type report struct {
	Addr     string
	Counters []row
	Binds    []Bind
}

type row struct {
	Name  string
	Value uint64
}

// report lists the fields of Stats by their JSON names.
func (s *SMSC) report() report {
	r := report{Addr: s.Addr(), Binds: s.Binds()}
	v := reflect.ValueOf(s.Stats())
	for i := range v.NumField() {
		r.Counters = append(r.Counters, row{v.Type().Field(i).Tag.Get("json"), v.Field(i).Uint()})
	}
	return r
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>SMSC simulator {{.Addr}}</title>
<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}
td,th{padding:2px 12px;text-align:left;border-bottom:1px solid #ddd}td.n{text-align:right}</style>
<h1>SMSC simulator on {{.Addr}}</h1>
<table>{{range .Counters}}<tr><td>{{.Name}}</td><td class="n">{{.Value}}</td></tr>
{{end}}</table>
<h2>Binds</h2>
<table><tr><th>number</th><th>system_id</th><th>kind</th><th>from</th><th>since</th></tr>
{{range .Binds}}<tr><td class="n">{{.ID}}</td><td>{{.SystemID}}</td><td>{{.Kind}}</td><td>{{.Remote}}</td><td>{{.Since.Format "15:04:05"}}</td></tr>
{{end}}</table>
</html>
`))
