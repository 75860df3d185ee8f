package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/orders"
)

// However many organisations take all that they get, something is left for one more, and all of it is free at the end.
func TestShares(t *testing.T) {
	const total = 4096
	s := newShares(total)
	fill := func(organisation string) (n int) {
		for s.take(organisation, 1) {
			n++
		}
		return n
	}
	if n := fill(nobody); n < total/10 || n > total/8 {
		t.Errorf("without a token: %d of %d", n, total)
	}
	s.give(nobody, s.inUse())
	if n := fill("first"); n != total*3/4 {
		t.Errorf("an organisation alone has %d of %d", n, total)
	}
	for i := range 5 { // each has less than those before it, which take nothing more
		if n := fill(fmt.Sprint(i)); n == 0 {
			t.Errorf("organisation %d has nothing: %v", i, s.held)
		}
	}
	if s.take("first", 1) {
		t.Error("the first has more than its share")
	}
	for organisation, n := range s.held {
		s.give(organisation, n)
	}
	if s.free != total || len(s.held) != 0 {
		t.Errorf("at the end %d are free, held %v", s.free, s.held)
	}
}

// An organisation that holds all the requests that it can, by repeats of a key whose order hangs on HTTP/2, keeps
// neither another's order nor a caller without a token out.
func TestRequestsOfOneOrganisation(t *testing.T) {
	const most, tries = 64, 80
	w, addr, trusted := secured(t, Limits{}, func(cfg *Config, _ *orders.Config) { cfg.MaxRequests = most })
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open)
	w.sms.Sends(func(_ context.Context, m orders.Message) orders.Handover {
		if strings.HasPrefix(m.Body, "hang") {
			<-gate
		}
		return orders.Handover{Outcome: handover.Unknown}
	})
	ask := func(c *http.Client, r *http.Request) int {
		resp, err := c.Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		if resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
			t.Error("a 503 without Retry-After")
		}
		return resp.StatusCode
	}
	var greedy []*http.Client // with a connection each
	for range 5 {
		greedy = append(greedy, clientOf(t, trusted, true))
	}
	var wg sync.WaitGroup
	var refused, answered atomic.Int32
	for i := range tries {
		wg.Go(func() {
			r := orderOf(t.Context(), addr, "k")
			body := strings.Replace(smsOf("k"), "Koden", "hang", 1)
			r.Body, r.ContentLength, r.GetBody = readCloser(body), int64(len(body)), func() (io.ReadCloser, error) { return readCloser(body), nil }
			switch status := ask(greedy[i%len(greedy)], r); status {
			case 200, 201:
				answered.Add(1)
			case 503:
				refused.Add(1)
			default:
				t.Errorf("a repeat: %d", status)
			}
		})
	}
	eventually.True(t, "all places of one organisation to be taken", func() bool { return refused.Load() == tries-most*3/4 })
	other := orderOf(t.Context(), addr, "other")
	as(otherToken)(other)
	if status := ask(clientOf(t, trusted, true), other); status != 201 {
		t.Errorf("another organisation: %d", status)
	}
	document, _ := http.NewRequest("GET", "https://"+addr+"/openapi.yaml", nil)
	if status := ask(clientOf(t, trusted, true), document); status != 200 {
		t.Errorf("without a token: %d", status)
	}
	open()
	wg.Wait()
	if n := answered.Load(); n != most*3/4 || len(w.sms.Sent()) != 2 {
		t.Errorf("%d answered, %d messages", n, len(w.sms.Sent()))
	}
	eventually.True(t, "no request under way", func() bool { return w.api.api.requests.inUse() == 0 })
	if n := strings.Count(w.log.String(), `"msg":"request refused","reason":"requests","organisation":"ttd"`); n != 1 {
		t.Errorf("%d lines are logged, want one a minute", n)
	}
}

// Streams of HTTP/2 that let no answer through count until they end, and those beyond the share are
// reset. Without a token too, they keep nobody out.
func TestStreamsWithoutRoomForAnswers(t *testing.T) {
	const most, opened = 64, 100
	for name, c := range map[string]struct {
		path, token string
		count       int
	}{
		"a document":     {"/openapi.yaml", "", 7},
		"a 401":          {DefaultBasePath + "/future/shipment/feed", "unknown", 7},
		"a small answer": {DefaultBasePath + "/future/shipment/feed", ttdToken, most * 3 / 4},
	} {
		t.Run(name, func(t *testing.T) {
			w, addr, trusted := secured(t, Limits{Streams: opened}, func(cfg *Config, _ *orders.Config) { cfg.MaxRequests = most })
			conn := dialHTTP2(t, addr, trusted)
			framer := http2.NewFramer(conn, conn)
			framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			var block bytes.Buffer
			encoder := hpack.NewEncoder(&block)
			encoder.SetMaxDynamicTableSize(0)
			for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", addr}, {":path", c.path}, {"authorization", "Bearer " + c.token}} {
				encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			for i := range uint32(opened) {
				framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
			}
			for reset := 0; reset < opened-c.count; {
				frame, err := framer.ReadFrame()
				if err != nil {
					t.Fatalf("after %d resets: %v", reset, err)
				}
				if frame.Header().Type == http2.FrameRSTStream {
					reset++
				}
			}
			if n := w.api.api.requests.inUse(); n != c.count {
				t.Errorf("%d requests count, want %d", n, c.count)
			}
			r := orderOf(t.Context(), addr, "k")
			as(otherToken)(r)
			resp, err := clientOf(t, trusted, true).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != 201 {
				t.Errorf("another organisation: %s", resp.Status)
			}
			conn.Close()
			eventually.True(t, "no request under way", func() bool { return w.api.api.requests.inUse() == 0 })
		})
	}
}
