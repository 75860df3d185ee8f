package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/orders"
	"straks/orders/bolt/bolttest"
)

// counting counts what is read of the feed.
type counting struct {
	orders.Journal
	feeds atomic.Int64
}

func (c *counting) Feed(ctx context.Context, q orders.FeedQuery) ([]orders.FeedEntry, error) {
	c.feeds.Add(1)
	return c.Journal.Feed(ctx, q)
}

// refuses makes every SMS final at once, so that each order is a final entry.
func (w *world) refuses() {
	w.sms.Does(orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedRejected, Total: 1})
}

// waiting waits until n requests wait for a feed.
func (w *world) waiting(n int) {
	w.t.Helper()
	eventually.True(w.t, fmt.Sprint(n, " requests that wait"), func() bool { return w.api.api.tails.count() == n })
}

// TestFeedWaits: an answer is held back until there is an entry that was asked for.
func TestFeedWaits(t *testing.T) {
	w := start(t)
	answers := make(chan answer, 1)
	ask := func(query string) {
		go func() {
			_, a := feed(t, w, query)
			answers <- a
		}()
		w.waiting(1)
	}
	ask("?wait=60")
	w.sendSMS("accepted") // no final entry
	w.refuses()
	_, id := ids(t, w.sendSMS("refused"))
	if a := <-answers; a.status != 200 || strings.Count(a.body, "sequenceNumber") != 1 || !strings.Contains(a.body, id) {
		t.Errorf("final entries: %d %s", a.status, a.body)
	}
	w.waiting(0)
	ask("?wait=60&seq=2&changes=all")
	w.sms.Sends(nil)
	_, id = ids(t, w.sendSMS("accepted too"))
	if a := <-answers; !strings.Contains(a.body, `"sequenceNumber":3`) || !strings.Contains(a.body, id) {
		t.Errorf("all entries: %d %s", a.status, a.body)
	}
	// What is there already is not waited for.
	if got, _ := feed(t, w, "?wait=60&changes=all"); got != "1 2 3" {
		t.Errorf("at once: %q", got)
	}
	began := time.Now()
	if got, a := feed(t, w, "?wait=1&seq=2"); got != "" || a.body != "[]" || time.Since(began) < time.Second {
		t.Errorf("after a second's wait in vain: %q, %v", a.body, time.Since(began))
	}
}

// TestFeedWaitsBehindOthers: one that asks from the beginning while another waits at the end gets all of it.
func TestFeedWaitsBehindOthers(t *testing.T) {
	w := start(t, everyChange)
	for i := range 3 {
		w.sendSMS(fmt.Sprint(i))
	}
	done := make(chan string, 2)
	for range 2 {
		go func() {
			got, _ := feed(t, w, "?wait=60&seq=3")
			done <- got
		}()
	}
	w.waiting(2)
	if got, _ := feed(t, w, "?wait=60"); got != "1 2 3" {
		t.Errorf("from the beginning: %q", got)
	}
	w.sendSMS("new")
	for range 2 {
		if got := <-done; got != "4" {
			t.Errorf("one that waited got %q", got)
		}
	}
}

func TestFeedWaitFaults(t *testing.T) {
	w := start(t)
	for _, c := range []struct{ query, want string }{
		{"?wait=61", "wait"}, {"?wait=-1", "wait"}, {"?wait=x", "wait"}, {"?wait=", "wait"}, {"?wait=1.5", "wait"}, {"?wait=256", "wait"},
		{"?WAIT=5&orderBy=desc", "WAIT"},
	} {
		_, a := feed(t, w, c.query)
		if got := strings.Join(paths(a.problem(t).Errors), " "); a.status != 400 || got != c.want {
			t.Errorf("%s: %d, faults at %q; want %q", c.query, a.status, got, c.want)
		}
	}
	for _, headers := range [][]option{{header("Last-Event-ID", "x")}, {header("Last-Event-ID", "-1")}} {
		if a := w.do("GET", "/future/shipment/feed", "", append(headers, header("Accept", "text/event-stream"))...); a.status != 400 {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := w.do("GET", "/future/shipment/feed?orderBy=desc", "", header("Accept", "text/event-stream")); a.status != 400 {
		t.Errorf("a stream backwards: %d %s", a.status, a.body)
	}
}

// TestFeedBeyond: a number that this feed has not given out is a fault of the request, however the feed is read. It
// would read nothing for ever.
func TestFeedBeyond(t *testing.T) {
	for _, c := range []struct {
		name   string
		start  uint64
		orders int
		newest string
	}{
		{"an empty feed", 0, 0, "0"},
		{"an empty feed that starts higher", 1000, 0, "1000"},
		{"a feed", 0, 2, "2"},
		{"a feed that starts higher", 1000, 2, "1002"},
	} {
		w := start(t, func(_ *Config, o *orders.Config) { o.Journal = bolttest.NewFrom(t, c.start) })
		for i := range c.orders {
			w.sendSMS(fmt.Sprint(i)) // which is not final: such entries count too
		}
		stream := header("Accept", "text/event-stream")
		next := c.start + uint64(c.orders) + 1
		for _, r := range []struct {
			query, at string
			options   []option
		}{
			{"?seq=%d", "seq", nil},
			{"?SEQ=%d&changes=all&orderBy=ASC", "SEQ", nil},
			{"?wait=60&seq=%d", "seq", nil},
			{"?seq=%d", "seq", []option{stream}},
			{"", "Last-Event-ID", []option{stream, header("Last-Event-ID", fmt.Sprint(next))}},
			{"?seq=0", "Last-Event-ID", []option{stream, header("Last-Event-ID", "9223372036854775807")}},
		} {
			query := strings.ReplaceAll(r.query, "%d", fmt.Sprint(next))
			_, a := feed(t, w, query, append(r.options, lenient)...)
			if a.status != 400 {
				t.Fatalf("%s, %s: %d %s", c.name, query, a.status, a.body)
			}
			told := a.problem(t).Errors[r.at]
			if len(told) != 1 || !strings.Contains(told[0], "the newest entry, "+c.newest+":") {
				t.Errorf("%s, %s: %s", c.name, query, a.body)
			}
		}
		if got, a := feed(t, w, "?seq="+c.newest); a.status != 200 || a.body != "[]" {
			t.Errorf("%s, from the newest: %d %s%s", c.name, a.status, got, a.body)
		}
		if _, a := feed(t, w, fmt.Sprintf("?orderBy=desc&seq=%d", next+5)); a.status != 200 {
			t.Errorf("%s, backwards: %d %s", c.name, a.status, a.body)
		}
		w.refuses()
		event, stop := w.events("?seq=" + c.newest)
		w.sendSMS("next")
		if e := event(); !strings.HasPrefix(e, fmt.Sprintf("id: %d|", next)) {
			t.Errorf("%s, a stream from the newest: %s", c.name, e)
		}
		stop()
	}
}

// TestFeedNeverBeyondItself: readers that go on from the entry they have just got are never told that
// it is beyond the newest, while others write.
func TestFeedNeverBeyondItself(t *testing.T) {
	w := start(t, everyChange)
	const n = 60
	var readers sync.WaitGroup
	for _, query := range []string{"?seq=%d", "?seq=%d&wait=60"} {
		readers.Go(func() {
			for last := 0; last < n; {
				got, a := feed(t, w, fmt.Sprintf(query, last))
				if a.status != 200 {
					t.Errorf("after %d: %d %s", last, a.status, a.body)
					return
				}
				last += len(strings.Fields(got))
			}
		})
	}
	readers.Go(func() {
		for last := 0; last < n; last++ { // a stream that is taken up again after each event
			next, stop := w.events("", header("Last-Event-ID", fmt.Sprint(last)))
			if e := next(); !strings.HasPrefix(e, fmt.Sprintf("id: %d|", last+1)) {
				t.Errorf("after %d: %s", last, e)
				last = n
			}
			stop()
		}
	})
	for i := range n {
		w.sendSMS(fmt.Sprint(i))
	}
	readers.Wait()
}

// events opens a stream and returns a function that reads its next event.
func (w *world) events(query string, options ...option) (next func() string, stop func()) {
	w.t.Helper()
	r, err := http.NewRequest("GET", w.server.URL+DefaultBasePath+"/future/shipment/feed"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	as(ttdToken)(r)
	header("Accept", "application/json;q=0.5, text/event-stream")(r)
	for _, o := range options {
		o(r)
	}
	resp, err := w.server.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	lines := bufio.NewReader(resp.Body)
	return func() string {
		var event []string
		for {
			line, err := lines.ReadString('\n')
			switch line = strings.TrimSuffix(line, "\n"); {
			case err != nil:
				return err.Error()
			case line != "" && line[0] != ':':
				event = append(event, line)
			case line == "" && event != nil:
				return strings.Join(event, "|")
			}
		}
	}, func() { resp.Body.Close() }
}

// TestFeedStream: what is there comes first, then what happens; a client that comes again goes on where it was.
func TestFeedStream(t *testing.T) {
	w := start(t)
	w.refuses()
	for i := range 60 { // more than two batches
		w.sendSMS(fmt.Sprint("old ", i))
	}
	next, stop := w.events("")
	for seq := 1; seq <= 60; seq++ {
		if e := next(); !strings.HasPrefix(e, fmt.Sprintf(`id: %d|data: {"sequenceNumber":%d,"shipmentId":"`, seq, seq)) || !strings.HasSuffix(e, "}") {
			t.Fatalf("event %d: %s", seq, e)
		}
	}
	w.sendSMS("new")
	if e := next(); !strings.HasPrefix(e, "id: 61|") {
		t.Errorf("the new one: %s", e)
	}
	stop()
	w.waiting(0)
	w.sendSMS("while nobody looked")
	next, stop = w.events("?seq=5", header("Last-Event-ID", "61"))
	defer stop()
	if e := next(); !strings.HasPrefix(e, "id: 62|") {
		t.Errorf("taken up again: %s", e)
	}
}

// TestFeedStreamOfAnother: nobody sees another organisation's changes, nor is woken by them.
func TestFeedStreamOfAnother(t *testing.T) {
	w := start(t)
	w.refuses()
	next, stop := w.events("", as(otherToken))
	defer stop()
	w.waiting(1)
	w.sendSMS("ours")
	w.sendSMS("theirs", as(otherToken))
	if e := next(); !strings.HasPrefix(e, "id: 1|") {
		t.Error(e)
	}
}

// TestShutdownEndsWaiting: those who wait are no reason to wait for at a shutdown.
func TestShutdownEndsWaiting(t *testing.T) {
	w := start(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := Server(w.api, Limits{}, connectionsOf(t, Limits{}), slogDiscard())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	w.server.URL = "http://" + ln.Addr().String()

	answers := make(chan answer, 1)
	go func() { answers <- w.do("GET", "/future/shipment/feed?wait=60", "") }()
	next, stop := w.events("")
	defer stop()
	w.waiting(2)
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if a := <-answers; a.status != 200 || a.body != "[]" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if e := next(); e != io.EOF.Error() {
		t.Errorf("the stream goes on: %s", e)
	}
	<-served
}

// TestServerLetsReadersWait: the server's time limits are for those who don't speak, not for those who wait.
func TestServerLetsReadersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := startPipedWithin(t, Limits{ReadHeader: 50 * time.Millisecond, Read: 100 * time.Millisecond, Write: 100 * time.Millisecond}, 1, 0)
		p.carrier.Does(orders.Handover{Outcome: handover.Refused, Status: orders.SMSFailedRejected, Total: 1})
		c := p.client()
		ask := func(query string) *http.Response {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), "GET", "http://straks"+DefaultBasePath+"/future/shipment/feed"+query, nil)
			if err != nil {
				t.Fatal(err)
			}
			as(ttdToken)(r)
			if query == "" {
				header("Accept", "text/event-stream")(r)
			}
			resp, err := c.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			return resp
		}
		resp := ask("?wait=1")
		if got, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(got) != "[]" || err != nil {
			t.Errorf("%d %s, %v", resp.StatusCode, got, err)
		}
		resp.Body.Close()
		resp = ask("")
		defer resp.Body.Close()
		time.Sleep(300 * time.Millisecond) // longer than any of the limits
		if status := p.order(p.client(), "k"); status != 201 {
			t.Errorf("the order: %d", status)
		}
		for lines := bufio.NewScanner(resp.Body); ; {
			if !lines.Scan() {
				t.Fatalf("the stream ends: %v", lines.Err())
			}
			if strings.HasPrefix(lines.Text(), "id: 1") {
				break
			}
		}
	})
}

// TestManyReadersWait: what waits costs little, and one change is read once for all.
func TestManyReadersWait(t *testing.T) {
	const readers = 1000
	var journal *counting
	w := start(t, func(_ *Config, c *orders.Config) {
		journal = &counting{Journal: c.Journal}
		c.Journal = journal
	})
	w.refuses()
	w.sendSMS("warm")
	request := fmt.Sprintf("GET %s/future/shipment/feed?wait=60&seq=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", DefaultBasePath, ttdToken)
	before := inUse()
	var conns []net.Conn
	for range readers {
		c := dial(t, w.server.Listener.Addr().String())
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	w.waiting(readers)
	// net/http alone holds 10 kB of buffers, two goroutines with 10 kB of stacks, and the request.
	if each := (inUse() - before) / readers; each > 33_000 && !raceDetector {
		t.Errorf("one that waits costs %d octets, want less than 33,000", each)
	}
	asked := journal.feeds.Load()
	w.sendSMS("new")
	for _, c := range conns {
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || line != "HTTP/1.1 200 OK\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
	if n := journal.feeds.Load() - asked; n > 10 {
		t.Errorf("one change was read %d times for %d who waited", n, readers)
	}
}

// inUse returns the octets of heap and stacks that are in use once stacks that have become too large were
// halved, which each collection does once.
func inUse() int {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// TestWaitingIsBounded: beyond the bound they are told, and other calls are answered.
func TestWaitingIsBounded(t *testing.T) {
	w := start(t)
	ts := w.api.api.tails
	_, leave, err := ts.join(t.Context(), shipmentFeed{w.service}, "ttd")
	if err != nil {
		t.Fatal(err)
	}
	ts.mu.Lock()
	ts.of[tailKey{shipmentFeed{w.service}, "ttd"}].waiting += maxWaitingOf
	ts.mu.Unlock()
	if _, a := feed(t, w, "?wait=1"); a.status != 503 || a.header.Get("Retry-After") == "" {
		t.Errorf("beyond the organisation's bound: %d %s", a.status, a.body)
	}
	if _, a := feed(t, w, ""); a.status != 200 {
		t.Errorf("without wait: %d", a.status)
	}
	if _, a := feed(t, w, "?wait=1", as(otherToken)); a.status != 200 {
		t.Errorf("another organisation: %d", a.status)
	}
	ts.mu.Lock()
	ts.of[tailKey{shipmentFeed{w.service}, "ttd"}].waiting -= maxWaitingOf
	ts.mu.Unlock()
	leave()
	w.waiting(0)
}

// TestTailForgets: what a tail does not hold any more is read from the journal.
func TestTailForgets(t *testing.T) {
	w := start(t, everyChange)
	ts := w.api.api.tails
	tail, leave, err := ts.join(t.Context(), shipmentFeed{w.service}, "ttd")
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	big := strings.Repeat("r", maxID)
	const n = 300 // times 1,024 octets of reference: more than tailOctets
	for i := range n {
		body := strings.NewReplacer(`"k"`, fmt.Sprintf(`"%d"`, i), `"r"`, `"`+big+`"`).Replace(smsBody)
		if a := w.do("POST", "/future/orders/instant/sms", body); a.status != 201 {
			t.Fatal(a.status, a.body)
		}
	}
	eventually.True(t, "the tail at the end", func() bool {
		_, to, _, _ := tail.after(0, false, 1)
		return to == n
	})
	if _, _, whole, _ := tail.after(0, false, 1); whole {
		t.Error("the tail has forgotten nothing")
	}
	if tail.octets > tailOctets {
		t.Errorf("the tail holds %d octets", tail.octets)
	}
	next, stop := w.events("")
	defer stop()
	for seq := 1; seq <= n; seq++ {
		if e := next(); !strings.HasPrefix(e, fmt.Sprintf("id: %d|", seq)) {
			t.Fatalf("event %d: %.40s", seq, e)
		}
	}
}

// TestPagesAreCut at 256 KiB, and are whole JSON all the same.
func TestPagesAreCut(t *testing.T) {
	w := start(t, everyChange)
	big := strings.Repeat("r", maxID)
	for i := range 300 {
		body := strings.NewReplacer(`"k"`, fmt.Sprintf(`"%d"`, i), `"r"`, `"`+big+`"`).Replace(smsBody)
		if a := w.do("POST", "/future/orders/instant/sms", body); a.status != 201 {
			t.Fatal(a.status, a.body)
		}
	}
	seen := 0
	for pages := 1; ; pages++ {
		got, a := feed(t, w, fmt.Sprintf("?seq=%d", seen))
		if len(a.body) > maxPageOctets+maxPageOctets/100 {
			t.Errorf("a page has %d octets", len(a.body))
		}
		numbers := strings.Fields(got)
		if len(numbers) == 0 {
			if seen != 300 || pages != 3 {
				t.Errorf("%d entries on %d pages", seen, pages-1)
			}
			return
		}
		for _, n := range numbers {
			if seen++; n != fmt.Sprint(seen) {
				t.Fatalf("entry %s after %d others", n, seen-1)
			}
		}
	}
}
