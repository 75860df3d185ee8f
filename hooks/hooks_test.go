package hooks

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/orders"
)

// TestInOrder: a receiver of all changes gets each entry once and in order, one of final statuses only these, and
// each request names the one before.
func TestInOrder(t *testing.T) {
	t.Parallel()
	w, all, final := newWorld(t), newReceiver(t), newReceiver(t)
	w.deliver(2) // before the webhooks begin
	hooks := []Webhook{all.hook("all"), final.hook("final")}
	hooks[1].FinalOnly = true
	w.start(hooks...)
	ids := w.deliver(150) // more than a page
	w.await("all entries", func() bool { return len(all.got()) >= 300 && len(final.got()) >= 150 })
	if got := all.seqs(); !slices.Equal(got, span(5, 304)) {
		t.Errorf("all: %v", got)
	}
	previous := ""
	for i, c := range final.got() {
		want := uint64(6 + 2*i)
		if c.seq != want || c.id != fmt.Sprintf("ttd.%d", want) || c.previous != previous || c.kind != TypeCompleted || c.shipment != ids[i] || c.status != "SMS_Delivered" {
			t.Fatalf("final, call %d: %+v, want number %d after %q", i, c, want, previous)
		}
		previous = c.id
	}
	first := all.got()[0]
	if first.kind != TypeChanged || first.previous != "" || first.header.Get("Content-Type") != "application/json" || first.header.Get("User-Agent") != "straks/test" ||
		first.header.Get("Idempotency-Key") != "" || first.header.Get("Accept-Encoding") != "" {
		t.Errorf("first: %+v", first)
	}
	w.await("nothing to wait", func() bool { return w.state("all").Waiting.IsZero() && w.state("final").Waiting.IsZero() })
	if st := w.state("final"); st.State != Up || st.Seq != 304 || st.Delivered != 150 || st.Host != strings.TrimPrefix(final.URL, "http://") {
		t.Errorf("%+v", st)
	}
	if strings.Contains(w.log.String(), "s3cret") || strings.Contains(w.log.String(), "+479") {
		t.Errorf("the log has a secret or a number:\n%s", w.log)
	}
}

// TestRestart: a webhook goes on where it was, and gets what came while the dispatcher did not run. A new one begins
// with the next entry, or with the oldest.
func TestRestart(t *testing.T) {
	t.Parallel()
	w, r, late, old := newWorld(t), newReceiver(t), newReceiver(t), newReceiver(t)
	w.start(r.hook("crm"))
	w.deliver(3)
	w.await("six entries", func() bool { return len(r.got()) == 6 })
	w.end()
	w.deliver(2)
	oldest := old.hook("old")
	oldest.FromOldest = true
	w.start(r.hook("crm"), late.hook("late"), oldest)
	w.await("the rest", func() bool { return len(r.got()) == 10 && len(old.got()) == 10 })
	w.deliver(1)
	w.await("the last", func() bool { return len(r.got()) == 12 && len(old.got()) == 12 && len(late.got()) == 2 })
	if got := r.seqs(); !slices.Equal(got, span(1, 12)) {
		t.Errorf("crm: %v", got)
	}
	if got := late.seqs(); !slices.Equal(got, span(11, 12)) {
		t.Errorf("late: %v", got)
	}
	if got := old.seqs(); !slices.Equal(got, span(1, 12)) {
		t.Errorf("old: %v", got)
	}
}

// TestKill: without the last cursor, as after a kill, entries are sent again, and none is left out.
func TestKill(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.start(r.hook("crm"))
	before, ok, err := w.journal.Cursor(t.Context(), org, "crm")
	if err != nil || !ok {
		t.Fatalf("the cursor of a new webhook is not stored before anything is sent: %v, %v", ok, err)
	}
	w.deliver(2)
	w.await("four entries", func() bool { return len(r.got()) == 4 })
	w.end()
	if err := w.journal.PutCursors(t.Context(), []orders.Cursor{before}, nil); err != nil {
		t.Fatal(err)
	}
	w.start(r.hook("crm"))
	w.await("four again", func() bool { return len(r.got()) == 8 })
	if got := r.seqs(); !slices.Equal(got, append(span(1, 4), span(1, 4)...)) {
		t.Errorf("%v", got)
	}
}

// TestRetry: each answer that is not 2xx is followed by another attempt of the same entry, with the same id and a
// signature of its own time; the cursor does not move until then.
func TestRetry(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	codes := []int{500, 503, 429, 400, 404, 301, 308, 199 + 105, 202}
	var mu sync.Mutex
	r.answers(func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		code := 204
		if len(codes) > 0 {
			code, codes = codes[0], codes[1:]
		}
		mu.Unlock()
		w.Header().Set("Location", "http://"+req.Host+"/elsewhere")
		w.WriteHeader(code)
	})
	w.start(r.hook("crm"))
	w.deliver(1)
	w.await("both entries", func() bool { return w.state("crm").Seq == 2 })
	calls := r.got()
	if len(calls) != 10 || !slices.Equal(r.seqs(), span(1, 2)) {
		t.Fatalf("%d calls, %v", len(calls), r.seqs())
	}
	if st := w.state("crm"); st.State != Up || st.Delivered != 2 {
		t.Errorf("%+v", st)
	}
	if n := testutil.ToFloat64(w.d.metrics.attempts.WithLabelValues(org, "crm", string(refused))); n != 8 {
		t.Errorf("%v refused attempts", n)
	}
	if !strings.Contains(w.log.String(), "redirects are not followed") || !strings.Contains(w.log.String(), "takes entries again") {
		t.Errorf("the log lacks it:\n%s", w.log)
	}
}

// TestGone: 410 stops a webhook, also across a restart, until it is resumed; nothing is lost.
func TestGone(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	r.answers(status(http.StatusGone))
	w.start(r.hook("crm"))
	w.deliver(1)
	w.await("the stop", func() bool { return w.state("crm").State == Stopped })
	w.deliver(1)
	if st := w.state("crm"); st.Reason != "the receiver answered 410 Gone" || st.Since.IsZero() || st.Waiting.IsZero() || st.Seq != 0 {
		t.Errorf("%+v", st)
	}
	r.answers(nil)
	w.start(r.hook("crm"))
	if st := w.state("crm"); st.State != Stopped || len(r.got()) != 1 {
		t.Errorf("after a restart: %+v, %d calls", st, len(r.got()))
	}
	if err := testutil.GatherAndCompare(w.registry, strings.NewReader(`
# HELP straks_webhook_stopped 1 while a webhook is stopped, by an answer of 410 or for a cursor that can't be used: straks webhook resume.
# TYPE straks_webhook_stopped gauge
straks_webhook_stopped{organisation="ttd",webhook="crm"} 1
`), "straks_webhook_stopped"); err != nil {
		t.Error(err)
	}
	if err := w.d.Resume(org, "crm", ""); err != nil {
		t.Fatal(err)
	}
	w.await("the rest", func() bool { return w.state("crm").Seq == 4 })
	if got := r.seqs(); !slices.Equal(got, span(1, 4)) {
		t.Errorf("%v", got)
	}
	if err := w.d.Resume(org, "other", ""); err != ErrUnknown {
		t.Errorf("resume of another: %v", err)
	}
}

// TestResumeFrom: an operator can leave out what a webhook has not sent, or have all sent again.
func TestResumeFrom(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	r.answers(status(http.StatusGone))
	w.start(r.hook("crm"))
	w.deliver(2)
	w.await("the stop", func() bool { return w.state("crm").State == Stopped })
	r.answers(nil)
	if err := w.d.Resume(org, "crm", Newest); err != nil {
		t.Fatal(err)
	}
	w.await("the newest", func() bool { return w.state("crm").Seq == 4 })
	w.deliver(1)
	w.await("the next", func() bool { return w.state("crm").Seq == 6 })
	if err := w.d.Resume(org, "crm", Oldest); err != nil {
		t.Fatal(err)
	}
	w.await("all again", func() bool { return len(r.got()) == 9 })
	if got := r.seqs(); !slices.Equal(got, append([]uint64{1, 5, 6}, span(1, 6)...)) {
		t.Errorf("%v", got)
	}
	if err := w.d.Resume(org, "crm", "yesterday"); err == nil {
		t.Error("from=yesterday was taken")
	}
}

// TestBeyond: a cursor that is beyond the feed stops the webhook, and says so.
func TestBeyond(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	if err := w.journal.PutCursors(t.Context(), []orders.Cursor{{Organisation: org, Name: "crm", Seq: 1000}}, nil); err != nil {
		t.Fatal(err)
	}
	w.start(r.hook("crm"))
	w.await("the stop", func() bool { return w.state("crm").State == Stopped })
	if st := w.state("crm"); !strings.Contains(st.Reason, "newest number, 0") {
		t.Errorf("%+v", st)
	}
	w.deliver(1)
	if err := w.d.Resume(org, "crm", Oldest); err != nil {
		t.Fatal(err)
	}
	w.await("all", func() bool { return w.state("crm").Seq == 2 })
}

// TestPoison: an entry that its receiver refuses for longer than GiveUp is passed over, alone, and named.
func TestPoison(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.settings = func(c *Config) { c.giveUp = 50 * time.Millisecond }
	r.answers(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("webhook-id") == "ttd.2" {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	w.start(r.hook("crm"))
	w.deliver(3)
	w.await("the others", func() bool { return w.state("crm").Seq == 6 })
	if st := w.state("crm"); st.PassedOver != 1 || st.Delivered != 5 {
		t.Errorf("%+v", st)
	}
	if n := testutil.ToFloat64(w.d.metrics.passedOver.WithLabelValues(org, "crm")); n != 1 {
		t.Errorf("%v passed over", n)
	}
	if log := w.log.String(); strings.Count(log, "passed over") != 1 || !strings.Contains(log, `"entries":1,"from":2,"to":2`) {
		t.Errorf("%s", log)
	}
	calls := r.got()
	i := slices.IndexFunc(calls, func(c call) bool { return c.seq == 3 })
	if calls[i].previous != "ttd.2" {
		t.Errorf("entry 3 follows %q: the receiver can't see that it lacks one", calls[i].previous)
	}
}

// TestDead: while a receiver is dead for longer than GiveUp, entries that are as old leave; when it is back, it gets
// the others.
func TestDead(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.settings = func(c *Config) { c.giveUp = 50 * time.Millisecond }
	r.answers(status(http.StatusBadGateway))
	w.start(r.hook("crm"))
	w.deliver(120)
	tryNow := func() { // the pause between two attempts may have grown to an hour
		if err := w.d.Resume(org, "crm", ""); err != nil {
			t.Fatal(err)
		}
	}
	w.await("240 entries that are passed over", func() bool {
		tryNow()
		return w.state("crm").PassedOver == 240
	})
	r.answers(nil)
	w.deliver(1)
	w.await("the next", func() bool {
		tryNow()
		return w.state("crm").Delivered >= 1 && w.state("crm").Seq == 242
	})
}

// TestDeadCostsOthersNothing: a receiver that never answers keeps no other one from its entries.
func TestDeadCostsOthersNothing(t *testing.T) {
	t.Parallel()
	w, dead, live := newWorld(t), newReceiver(t), newReceiver(t)
	end := make(chan struct{})
	defer close(end)
	dead.answers(func(http.ResponseWriter, *http.Request) { <-end })
	var hooks []Webhook
	for i := range 10 {
		hooks = append(hooks, dead.hook("dead"+strconv.Itoa(i)))
	}
	w.start(append(hooks, live.hook("live"))...)
	w.deliver(20)
	w.await("all entries", func() bool { return len(live.got()) == 40 })
	w.await("the dead ones' attempts", func() bool { return len(dead.got()) == 10 })
}

// TestOverlap: with several requests at a time, two of one shipment are never out together, and an entry whose
// attempt failed is sent again, alone; the cursor waits for it.
func TestOverlap(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	var mu sync.Mutex
	out, most, failed := map[uuid.UUID]bool{}, 0, false
	begun := make(chan struct{}, 1000)
	hook := r.hook("crm")
	hook.MaxInFlight = 8
	w.deliver(40)
	hook.FromOldest = true
	ids := map[string]uuid.UUID{}
	page, err := w.service.Feed(t.Context(), orders.FeedQuery{Organisation: org, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page {
		ids[(&Webhook{Organisation: org}).eventID(e.Seq)] = e.Shipment.ID
	}
	r.answers(func(w http.ResponseWriter, req *http.Request) {
		id := ids[req.Header.Get("webhook-id")]
		mu.Lock()
		if out[id] {
			t.Errorf("two requests of shipment %v", id)
		}
		out[id] = true
		most = max(most, len(out))
		fail := req.Header.Get("webhook-id") == "ttd.21" && !failed
		failed = failed || fail
		mu.Unlock()
		select {
		case begun <- struct{}{}:
		default:
		}
		mu.Lock()
		delete(out, id)
		mu.Unlock()
		if fail {
			w.WriteHeader(500)
		}
	})
	w.start(hook)
	w.await("all", func() bool { return w.state("crm").Seq == 80 })
	counts := map[uint64]int{}
	for _, c := range r.got() {
		counts[c.seq]++
	}
	for seq := uint64(1); seq <= 80; seq++ {
		if want := 1 + strings.Count(fmt.Sprint(seq == 21), "true"); counts[seq] != want {
			t.Errorf("entry %d came %d times, want %d", seq, counts[seq], want)
		}
	}
}

// TestOverlaps: requests do overlap where that is wanted: the receiver answers the first only when it has four.
func TestOverlaps(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.deliver(4)
	var all sync.WaitGroup
	all.Add(4)
	r.answers(func(http.ResponseWriter, *http.Request) {
		all.Done()
		all.Wait()
	})
	hook := r.hook("crm")
	hook.MaxInFlight, hook.FinalOnly, hook.FromOldest = 4, true, true
	w.start(hook)
	w.await("all", func() bool { return w.state("crm").Seq == 8 })
}

// TestEnd: at the end, a request that is out may end, and its entry is not sent again.
func TestEnd(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	r.answers(func(http.ResponseWriter, *http.Request) {
		close(begun)
		<-goOn
	})
	w.start(r.hook("crm"))
	w.deliver(1)
	<-begun
	r.answers(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.end()
	}()
	close(goOn)
	<-ended
	c, _, err := w.journal.Cursor(t.Context(), org, "crm")
	if err != nil || c.Seq < 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestTest: a test says what came of it, and changes nothing.
func TestTest(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	w.start(r.hook("crm"))
	trial, err := w.d.Test(t.Context(), org, "crm")
	if err != nil || !trial.Delivered || trial.Status != 204 || !strings.HasPrefix(trial.ID, "ttd.test-") {
		t.Fatalf("%+v, %v", trial, err)
	}
	if got := r.got(); len(got) != 1 || got[0].kind != TypeTest || got[0].id != trial.ID {
		t.Fatalf("%+v", got)
	}
	r.answers(status(http.StatusGone))
	if trial, err = w.d.Test(t.Context(), org, "crm"); err != nil || trial.Delivered || trial.Status != 410 || trial.Reason == "" {
		t.Fatalf("%+v, %v", trial, err)
	}
	if st := w.state("crm"); st.State != Up || st.Seq != 0 {
		t.Errorf("%+v", st)
	}
	if _, err := w.d.Test(t.Context(), "other", "crm"); err != ErrUnknown {
		t.Errorf("%v", err)
	}
}

// TestOrphans: the cursor of a webhook that is gone is named at the start, and removed after a while.
func TestOrphans(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	put := []orders.Cursor{
		{Organisation: org, Name: "renamed", Seen: time.Now().Add(-CursorRetention + time.Hour)},
		{Organisation: org, Name: "removed", Seen: time.Now().Add(-CursorRetention - time.Hour)},
		{Organisation: org, Name: "crm", Seen: time.Now().Add(-2 * CursorRetention)}, // straks did not run for long
	}
	if err := w.journal.PutCursors(t.Context(), put, nil); err != nil {
		t.Fatal(err)
	}
	w.start(r.hook("crm"))
	if n := strings.Count(w.log.String(), "was it renamed"); n != 2 {
		t.Errorf("%d are named:\n%s", n, w.log)
	}
	w.d.sweepOrphans(context.Background())
	all, err := w.journal.Cursors(t.Context())
	if err != nil || len(all) != 2 || all[0].Name != "crm" || all[1].Name != "renamed" {
		t.Errorf("%+v, %v", all, err)
	}
}
