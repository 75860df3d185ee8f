package bolt

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"straks/internal/eventually"
	"straks/orders"
	"straks/orders/sealed"
)

var (
	prefill = flag.Int("prefill", 0, "shipments in the journal before the benchmark")
	withKey = flag.Bool("sealed", false, "the journal of the benchmark has a key")
)

// fill stores n orders with all of their facts, their acceptance spread evenly
// over the days before now.
func fill(tb testing.TB, j *Journal, n, days int) {
	tb.Helper()
	const callers = 256
	span := time.Duration(days) * 24 * time.Hour
	start := time.Now().Add(-span - time.Hour)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(n) {
					return
				}
				in := acceptRequest(uuid.NewString())
				in.At = start.Add(time.Duration(float64(span) * float64(i) / float64(n)))
				in.Shipment = idAt(in.At)
				s, _, err := j.Accept(context.Background(), in)
				if err != nil {
					tb.Error(err)
					return
				}
				ref := strconv.FormatInt(1e9+i, 10)
				a, r := accepted(s, ref), delivered(ref)
				a.At, r.At = in.At, in.At
				if _, err := j.Apply(context.Background(), []orders.Event{a, r}); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for more := true; more; { // references of old orders, and deadlines
		for next, asked := time.Now(), 0; !next.After(time.Now()) && !next.IsZero() && asked < n; asked++ {
			_, next, _ = j.Due(context.Background(), time.Now(), 500)
		}
		swept, err := j.Sweep(context.Background(), time.Now(), orders.Retention{All: 90 * 24 * time.Hour}, 5000)
		if err != nil {
			tb.Fatal(err)
		}
		more = swept.More
	}
}

func idAt(t time.Time) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	ms := t.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

// BenchmarkOrders is one order with its three facts, each durable before the
// next, by so many callers at a time. With -prefill it begins with so many
// orders of the last 80 days; with -sealed recipients are encrypted.
func BenchmarkOrders(b *testing.B) {
	opt := Options{}
	if *withKey {
		opt = keysOf(sealed.NewKey())
	}
	j, path := newJournal(b, opt)
	if *prefill > 0 {
		fill(b, j, *prefill, 80)
	}
	for _, callers := range []int{1, 16, 64, 128} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) { benchOrders(b, j, callers) })
	}
	info, _ := os.Stat(path)
	b.Logf("file %d MiB", info.Size()>>20)
}

func benchOrders(b *testing.B, j *Journal, callers int) {
	var next atomic.Int64
	var wg sync.WaitGroup
	took := make([][]time.Duration, callers)
	b.ReportAllocs()
	b.ResetTimer()
	spent := cpu()
	for c := range callers {
		wg.Go(func() {
			for next.Add(1) <= int64(b.N) {
				began := time.Now()
				s, _, err := j.Accept(context.Background(), acceptRequest(uuid.NewString()))
				took[c] = append(took[c], time.Since(began))
				if err != nil {
					b.Error(err)
					return
				}
				ref := uuid.NewString()
				for _, e := range []orders.Event{accepted(s, ref), delivered(ref)} {
					if _, err := j.Apply(context.Background(), []orders.Event{e}); err != nil {
						b.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpu()-spent).Microseconds())/float64(b.N), "cpu-µs/order")
	all := slices.Concat(took...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "orders/s")
	b.ReportMetric(float64(all[len(all)/2])/1e6, "accept-p50-ms")
	b.ReportMetric(float64(all[len(all)*99/100])/1e6, "accept-p99-ms")
}

// BenchmarkImmediateReceipt is one order at a time whose receipt is on its heels: it comes while the
// answer is on its way to the journal. The caller waits for the answer.
func BenchmarkImmediateReceipt(b *testing.B) {
	var commits int
	j, _ := newJournal(b, Options{commit: func(tx *bbolt.Tx) error {
		commits++
		return tx.Commit()
	}})
	var waited time.Duration
	for b.Loop() {
		began := time.Now()
		s, _, err := j.Accept(context.Background(), acceptRequest(uuid.NewString()))
		if err != nil {
			b.Fatal(err)
		}
		ref := uuid.NewString()
		var receipt sync.WaitGroup
		answered := make(chan struct{})
		receipt.Go(func() {
			close(answered) // the reader of the connection has woken the sender, and goes on to the receipt
			if _, err := j.Apply(context.Background(), []orders.Event{delivered(ref)}); err != nil {
				b.Error(err)
			}
		})
		<-answered
		if _, err := j.Apply(context.Background(), []orders.Event{accepted(s, ref)}); err != nil {
			b.Fatal(err)
		}
		waited += time.Since(began)
		receipt.Wait()
	}
	b.ReportMetric(float64(commits)/float64(b.N), "commits/order")
	b.ReportMetric(waited.Seconds()*1e3/float64(b.N), "answered-ms")
}

// cpu returns the processor time that the process has used: what a machine
// that others use as well does not change.
func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFeedPage is a page of 500 at the tail.
func BenchmarkFeedPage(b *testing.B) {
	j, _ := newJournal(b, Options{})
	fill(b, j, max(*prefill, 10_000), 80)
	st, _ := j.Stats(context.Background())
	b.ResetTimer()
	for b.Loop() {
		page, err := j.Feed(context.Background(), orders.FeedQuery{Organisation: "ttd", Seq: st.FeedEntries - 500, Limit: 500})
		if err != nil || len(page) != 500 {
			b.Fatalf("%d, %v", len(page), err)
		}
	}
	b.Logf("%d entries", st.FeedEntries)
}

// TestMemoryAtRest tells the memory of a journal with -prefill shipments that
// was just opened, and how long opening took.
func TestMemoryAtRest(t *testing.T) {
	if *prefill == 0 {
		t.Skip("needs -prefill, like 1000000")
	}
	j, path := newJournal(t, Options{})
	fill(t, j, *prefill, 80)
	info, _ := os.Stat(path)
	rss := anonymous(t)
	j.Close()
	began := time.Now()
	j = mustOpen(t, path, Options{})
	opened := time.Since(began)
	order(t, j, "k")
	runtime.GC()
	t.Logf("%d shipments in %d MiB: RssAnon after filling %d MiB, opened in %v, then %d MiB",
		*prefill, info.Size()>>20, rss, opened.Round(time.Millisecond), anonymous(t))
}

// TestOpenAfterKill logs how long a journal with -prefill shipments and a gigabyte of free pages takes
// to open when its process was killed: busy, so that bbolt has to find the free pages, and idle.
func TestOpenAfterKill(t *testing.T) {
	if *prefill == 0 {
		t.Skip("needs -prefill, like 1000000")
	}
	j, path := newJournal(t, Options{})
	fill(t, j, *prefill, 80)
	const ballast = "ballast"
	const chunk = 1 << 14 // records of a page each
	for i := range (1 << 30) / (chunk * os.Getpagesize()) {
		inTx(t, j, func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists([]byte(ballast))
			for n := 0; err == nil && n < chunk; n++ {
				err = b.Put(fmt.Appendf(nil, "%d-%d", i, n), make([]byte, 3000))
			}
			return err
		})
	}
	inTx(t, j, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(ballast)) })
	order(t, j, "busy")
	open := func(state string, want bool) {
		if listedAt(path) != want {
			t.Fatalf("%s: the free pages are listed: %v", state, !want)
		}
		dir := t.TempDir()
		killed := dir + "/journal.db" // as a kill leaves it
		if out, err := exec.Command("cp", path, killed).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if f, err := os.OpenFile(killed, os.O_RDWR, 0); err != nil || errors.Join(f.Sync(), f.Close()) != nil { // Open syncs the file
			t.Fatal(err)
		}
		began, spent := time.Now(), cpu()
		mustOpen(t, killed, Options{Log: quiet})
		took, spent := time.Since(began), cpu()-spent
		st, _ := j.Stats(t.Context())
		t.Logf("killed while %s: opened in %v, %v of a processor; %d MiB in use, %d MiB free", state,
			took.Round(time.Millisecond), spent.Round(time.Millisecond), (st.FileSize-st.FreeSize)>>20, st.FreeSize>>20)
	}
	open("busy", false)
	eventually.True(t, "the list to be stored", func() bool { return listedAt(path) })
	open("idle", true)
}

// anonymous returns the process's resident memory without mapped files, in MiB.
func anonymous(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kb >> 10
		}
	}
	t.Skip("no RssAnon")
	return 0
}
