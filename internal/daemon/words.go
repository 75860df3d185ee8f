package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"straks/internal/audit"
	"straks/internal/rawwords"
)

// MaxListening is how long an operator may listen to what a carrier says, at one request.
const MaxListening = 15 * time.Minute

// signOfLife is after how long without a word a listener gets an empty one: a client that has gone is
// noticed by the write.
const signOfLife = 10 * time.Second

// serveWords answers with lines of JSON, each a rawwords.Words, while the carrier speaks: the query
// has smsc=NAME or relay=NAME, and for=TIME. That someone listens is logged, and no word.
func (d *Daemon) serveWords(w http.ResponseWriter, r *http.Request) {
	hub, carrier, long, err := d.listener(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	d.log.Warn("an operator reads what a carrier says, word for word", "carrier", carrier, "for", long.String())
	d.operated(r, audit.Event{Action: audit.ListenToWords, Object: carrier, Outcome: "ok"}, r.URL.Query().Get("by"))
	ctx, cancel := context.WithTimeout(r.Context(), long)
	defer cancel()
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	c, lines := http.NewResponseController(w), json.NewEncoder(w)
	write := func(said rawwords.Words) error {
		return errors.Join(lines.Encode(said), c.Flush())
	}
	if err := hub.Listen(ctx, carrier, signOfLife, write); errors.Is(err, rawwords.ErrBusy) {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// listener returns what a query of /debug/words asks for.
func (d *Daemon) listener(q url.Values) (hub *rawwords.Hub, carrier string, long time.Duration, err error) {
	smscs, relays := make([]string, len(d.config().SMSCs)), make([]string, len(d.config().Relays))
	for i, s := range d.config().SMSCs {
		smscs[i] = s.Name
	}
	for i, r := range d.config().Relays {
		relays[i] = r.Name
	}
	switch smsc, relay := q.Get("smsc"), q.Get("relay"); {
	case (smsc == "") == (relay == ""):
		return nil, "", 0, errors.New("give smsc or relay, the name of one")
	case smsc != "" && !slices.Contains(smscs, smsc):
		return nil, "", 0, fmt.Errorf("no SMSC has that name; there are %q", smscs)
	case relay != "" && !slices.Contains(relays, relay):
		return nil, "", 0, fmt.Errorf("no relay has that name; there are %q", relays)
	case smsc != "":
		hub, carrier = &d.smscs, smsc
	default:
		hub, carrier = &d.relays, relay
	}
	long, err = time.ParseDuration(q.Get("for"))
	if err != nil || long < time.Second || long > MaxListening {
		return nil, "", 0, fmt.Errorf("for is %q, want a time from 1s to %v", q.Get("for"), MaxListening)
	}
	return hub, carrier, long, nil
}
