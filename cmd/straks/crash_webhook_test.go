package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
)

// crashReceiver gets each change in order, and each final status over requests that overlap. Now and then it
// refuses one, or takes it and hangs up.
type crashReceiver struct {
	*httptest.Server
	calm     atomic.Bool // it takes every request
	mu       sync.Mutex
	newest   uint64          // of all changes
	faults   []string        // gaps
	repeated int             // of all changes
	final    map[uint64]bool // that it has taken
}

// receiveCrashes gives the organisation two webhooks that lead to a receiver.
func receiveCrashes(t *testing.T, w *daemontest.World) *crashReceiver {
	t.Helper()
	r := &crashReceiver{final: make(map[uint64]bool)}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	secret := configureWebhook(t, w, r.URL+"/all", "changes = \"all\"\nbegin = \"oldest\"")
	w.EditConfig("[[organisation.token]]", fmt.Sprintf("[[organisation.webhook]]\nname = \"final\"\nurl = %q\nsecret_file = %q\n"+
		"begin = \"oldest\"\nmax_in_flight = 8\n[[organisation.token]]", r.URL+"/final", secret))
	return r
}

func (r *crashReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	io.Copy(io.Discard, req.Body)
	seq, err := strconv.ParseUint(strings.TrimPrefix(req.Header.Get("webhook-id"), "ttd."), 10, 64)
	if n := rand.IntN(100); r.calm.Load() {
	} else if n == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	} else if n == 1 {
		defer panic(http.ErrAbortHandler)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.faults = append(r.faults, err.Error())
	case req.URL.Path == "/final":
		r.final[seq] = true
	case seq > r.newest+1:
		r.faults = append(r.faults, fmt.Sprintf("%d follows %d", seq, r.newest))
	case seq <= r.newest:
		r.repeated++
	default:
		r.newest = seq
	}
}

// check waits until the receiver has what the feed has, and reports what it did not get, or not in order.
func (r *crashReceiver) check(t *testing.T, feed []client.FeedEntry) {
	t.Helper()
	r.calm.Store(true)
	last := feed[len(feed)-1].SequenceNumber
	lacks := func() (all bool, final []uint64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, e := range feed {
			if e.Status == "Order_Completed" && !r.final[e.SequenceNumber] {
				final = append(final, e.SequenceNumber)
			}
		}
		return r.newest < last, final
	}
	eventually.True(t, "the webhooks to be at the end of the feed", func() bool {
		all, final := lacks()
		return !all && len(final) == 0
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, fault := range r.faults {
		t.Errorf("webhook: %s", fault)
	}
	t.Logf("webhook: %d entries, %d requests repeated one", last, r.repeated)
}
