package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"straks/internal/audit"
	"straks/orders"
)

const (
	// maxPage is the most entries of the feed in one answer, and the default.
	maxPage = 500
	// maxPageOctets is the size at which a page is cut.
	maxPageOctets = 256 << 10
	// feedBatch is the number of entries that are read and encoded at a time, and batchOctets the size at which a
	// batch is cut. A client that does not read its page holds no more memory than one batch, and the kernel's
	// buffers.
	feedBatch   = 25
	batchOctets = 8 << 10
	// maxWait is the longest time for which a request may wait for the feed to grow.
	maxWait = time.Minute
	// pageWrite is how long writing one batch to a client that waited may take.
	pageWrite = 30 * time.Second
)

// feedRequest is a request for the feed.
type feedRequest struct {
	orders.FeedQuery
	wait   time.Duration
	cursor string // the parameter or header that gave Seq, as the client wrote it
}

// feedCall is the endpoint of one kind of entries.
type feedCall struct {
	*api
	source feedSource
	kind   string                         // of entries, for the audit; empty for shipments
	all    func(organisation string) bool // shows every change where a request does not say
}

// feedSource is where the entries of a feed are.
type feedSource interface {
	// read returns entries, as orders.Journal's Feed.
	read(ctx context.Context, q orders.FeedQuery) ([]feedEntry, error)
	// Changed is that of orders.Service.
	Changed(organisation string) <-chan struct{}
}

// feedEntry is an entry before it is encoded.
type feedEntry struct {
	seq    uint64
	final  bool
	encode func() []byte
}

func (e feedEntry) encoded() tailEntry { return tailEntry{e.seq, e.final, e.encode()} }

// shipmentFeed is the source of what became of shipments.
type shipmentFeed struct{ *orders.Service }

func (s shipmentFeed) read(ctx context.Context, q orders.FeedQuery) ([]feedEntry, error) {
	page, err := s.Feed(ctx, q)
	entries := make([]feedEntry, len(page))
	for i, e := range page {
		entries[i] = feedEntry{e.Seq, e.Shipment.Status.Final(), func() []byte { return encodeEntry(e) }}
	}
	return entries, err
}

// shipments returns the feed of shipments.
func (a *api) shipments() *feedCall {
	return &feedCall{a, shipmentFeed{a.service}, "", func(organisation string) bool { return a.settings.Load().allChanges[organisation] }}
}

// serve answers one page of the organisation's feed, or streams it.
func (a *feedCall) serve(x *exchange) error {
	q, faults := feedQuery(x.r.URL.RawQuery, a.all(x.who.Organisation))
	streams := acceptsStream(x.r.Header)
	if streams && q.Descending {
		faults.add("orderBy", "must be asc for a stream of events")
	}
	if streams {
		q.resume(x.r.Header, &faults)
	}
	if faults != nil {
		return invalid(faults, "")
	}
	q.Organisation = x.who.Organisation
	batch, err := a.batch(x, q.FeedQuery)
	var beyond *orders.BeyondNewestError
	if errors.As(err, &beyond) {
		faults.add(q.cursor, fmt.Sprintf("is beyond the newest entry, %d: it was not read from this feed as it is now. "+
			"Read from 0 to get every entry that is kept, or from %[1]d to get only new ones", beyond.Newest))
		return invalid(faults, "")
	}
	if err != nil {
		return err
	}
	if streams {
		a.record(x, audit.Event{Action: audit.ReadFeed, Object: a.about("stream")})
		return a.stream(x, q, batch)
	}
	if len(batch) == 0 && q.wait > 0 {
		batch, err = a.await(x, q)
		if err != nil {
			return err
		}
	}
	if len(batch) > 0 { // else nothing was read: those who wait for the feed ask every minute
		a.record(x, audit.Event{Action: audit.ReadFeed, Object: a.about(fmt.Sprintf("from %d", batch[0].seq))})
	}
	return a.page(x, q.FeedQuery, batch)
}

// about is the object of an event in the audit.
func (a *feedCall) about(what string) string { return strings.TrimSpace(a.kind + " " + what) }

// batch reads and encodes at most feedBatch entries, and none after batchOctets.
func (a *feedCall) batch(x *exchange, q orders.FeedQuery) (batch []tailEntry, err error) {
	q.Limit = min(q.Limit, feedBatch)
	err = a.read(x, func() error {
		entries, err := a.source.read(x.r.Context(), q)
		for i := 0; i < len(entries) && !full(batch); i++ {
			batch = append(batch, entries[i].encoded())
		}
		return err
	})
	return batch, err
}

// full reports whether a batch has as much as a batch may have, so that there may be more entries.
func full(batch []tailEntry) bool {
	octets := 0
	for _, e := range batch {
		octets += len(e.json)
	}
	return len(batch) >= feedBatch || octets >= batchOctets
}

// EncodeEntry returns an entry of the feed as JSON, as the feed has it.
func EncodeEntry(e orders.FeedEntry) []byte { return encodeEntry(e) }

// encodeEntry returns an entry as JSON.
func encodeEntry(e orders.FeedEntry) []byte {
	v := answerOf(e.Shipment)
	v.Sequence, v.ShipmentType = e.Seq, v.Type
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and times can't fail
	}
	return body
}

// page answers with the batch and with the entries that follow it, a batch at a time.
func (a *feedCall) page(x *exchange, q orders.FeedQuery, batch []tailEntry) error {
	p := page{rest: q, body: []byte{'['}}
	p.add(batch)
	for ; !p.whole; a.extend(x, &p) {
		if x.status == 0 {
			x.Header().Set("Content-Type", "application/json")
			x.Header().Set("Cache-Control", "no-store")
			x.WriteHeader(http.StatusOK)
		}
		if _, err := x.Write(p.body); err != nil {
			return nil // the client has gone
		}
		p.body = p.body[:0]
	}
	if x.status == 0 {
		x.send(http.StatusOK, p.body)
		return nil
	}
	x.Write(p.body) // likewise
	return nil
}

// extend adds the next batch to a page. It holds what the batch was made of, while page waits for the client
// with nothing but the octets that it writes.
func (a *feedCall) extend(x *exchange, p *page) {
	batch, err := a.batch(x, p.rest)
	if err != nil {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	p.add(batch)
}

// page is an answer in the making.
type page struct {
	rest   orders.FeedQuery // asks for the entries that follow
	octets int              // of the entries so far
	body   []byte           // not written yet
	whole  bool             // body has the end
}

// add appends a batch.
func (p *page) add(batch []tailEntry) {
	need := 1
	for _, e := range batch {
		need += len(e.json) + 1
	}
	p.body = slices.Grow(p.body, need)
	p.whole = !full(batch)
	for _, e := range batch {
		if p.octets > 0 {
			if p.octets+len(e.json) > maxPageOctets {
				p.whole = true
				break
			}
			p.body = append(p.body, ',')
		}
		p.body = append(p.body, e.json...)
		p.octets += len(e.json)
		p.rest.Seq = e.seq
		p.rest.Limit--
	}
	if p.whole = p.whole || p.rest.Limit == 0; p.whole {
		p.body = append(p.body, ']')
	}
}

// await waits until there is an entry, and returns the first ones; none if the time runs out.
func (a *feedCall) await(x *exchange, q feedRequest) (batch []tailEntry, err error) {
	t, leave, err := a.tails.join(x.r.Context(), a.source, q.Organisation)
	if err != nil {
		return nil, err
	}
	defer leave()
	x.patient(q.wait + pageWrite)
	began := time.Now()
	defer func() { x.waited = time.Since(began) }()
	timer := time.NewTimer(q.wait)
	defer timer.Stop()
	batch, _, err = a.next(x, t, q.FeedQuery, q.Seq, func(moved <-chan struct{}) bool {
		select {
		case <-moved:
			return true
		case <-timer.C:
		case <-a.closing:
		case <-x.r.Context().Done():
		}
		return false
	})
	if err == nil && len(batch) == 0 && x.r.Context().Err() != nil {
		err = context.Canceled
	}
	return batch, err
}

// next returns entries above seq that the query asks for, and the number from which to continue. If there
// are none, it calls wait with a channel that is closed at the next entry, and continues while wait
// returns true.
func (a *feedCall) next(x *exchange, t *tail, q orders.FeedQuery, seq uint64, wait func(moved <-chan struct{}) bool) ([]tailEntry, uint64, error) {
	for {
		entries, to, whole, moved := t.after(seq, q.FinalOnly, feedBatch)
		if !whole { // the tail lacks some
			q.Seq = seq
			batch, err := a.batch(x, q)
			if err != nil || len(batch) > 0 {
				return batch, lastOf(batch, seq), err
			}
			seq = max(seq, to) // the tail's entries were on disk before the journal was read
			continue
		}
		if len(entries) > 0 {
			return entries, to, nil
		}
		if seq = to; !wait(moved) {
			return nil, seq, nil
		}
	}
}

func lastOf(batch []tailEntry, otherwise uint64) uint64 {
	if len(batch) == 0 {
		return otherwise
	}
	return batch[len(batch)-1].seq
}

// feedQuery reads the parameters of the feed. Their names ignore case, as
// clients are used to; unknown ones are ignored. all is the default of changes.
func feedQuery(raw string, all bool) (q feedRequest, f faults) {
	q.Limit, q.FinalOnly = maxPage, !all
	values, err := url.ParseQuery(raw)
	if err != nil {
		f.add("$", "the query is malformed: "+err.Error())
		return q, f
	}
	given := make(map[string]string, len(feedParameters)) // spellings, by name
	for name, texts := range values {
		known := feedParameter(name)
		if known == "" {
			continue
		}
		if given[known] != "" || len(texts) > 1 {
			f.add(name, "must be given once only")
			continue
		}
		given[known] = name
		if known == "seq" {
			q.cursor = name
		}
		if message := q.read(known, texts[0]); message != "" {
			f.add(name, message)
		}
	}
	if q.Descending && q.wait > 0 {
		f.add(given["wait"], "must be left out where orderBy is desc: new entries come at the other end")
	}
	return q, f
}

var feedParameters = [...]string{"seq", "pageSize", "orderBy", "changes", "wait"}

func feedParameter(name string) string {
	for _, known := range feedParameters {
		if strings.EqualFold(name, known) {
			return known
		}
	}
	return ""
}

// read puts one parameter into q, or returns what is wrong with it.
func (q *feedRequest) read(name, value string) (wrong string) {
	switch name {
	case "seq":
		n, err := parseSeq(value)
		if err != nil {
			return "must be a whole number, 0 or more: the last sequenceNumber that you have"
		}
		q.Seq = n
	case "pageSize":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range is clamped like the rest
			return fmt.Sprintf("must be a whole number from 1 to %d", maxPage)
		}
		q.Limit = int(min(max(n, 1), maxPage))
	case "orderBy":
		q.Descending = strings.EqualFold(value, "desc")
		if !q.Descending && !strings.EqualFold(value, "asc") {
			return `must be "asc" or "desc"`
		}
	case "changes":
		q.FinalOnly = strings.EqualFold(value, "final")
		if !q.FinalOnly && !strings.EqualFold(value, "all") {
			return `must be "final" or "all"`
		}
	case "wait":
		n, err := strconv.ParseUint(value, 10, 8)
		if q.wait = time.Duration(n) * time.Second; err != nil || q.wait > maxWait {
			return fmt.Sprintf("must be a whole number of seconds from 0 to %.0f", maxWait.Seconds())
		}
	}
	return ""
}

// parseSeq reads a sequence number of at most 63 bits, which clients with signed integers can hold.
func parseSeq(s string) (uint64, error) { return strconv.ParseUint(s, 10, 63) }
