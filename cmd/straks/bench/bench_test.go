package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"straks/orders"
	"straks/orders/bolt"
)

// A filled journal is one that a daemon could have left: every invariant
// holds, and the feed has both entries of each shipment.
func TestFill(t *testing.T) {
	const n = 1000
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := Fill(t.Context(), path, n); err != nil {
		t.Fatal(err)
	}
	j, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Check(t.Context()); err != nil {
		t.Error(err)
	}
	tail, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: organisation, Limit: 1, Descending: true})
	if err != nil || len(tail) != 1 || tail[0].Seq != 2*n {
		t.Errorf("the feed ends at %+v, %v; want number %d", tail, err, 2*n)
	}
	if stats, err := j.Stats(t.Context()); err != nil || stats.Shipments != n || stats.Parked != 0 {
		t.Errorf("stats %+v, %v", stats, err)
	}
}

func TestReadAnswer(t *testing.T) {
	const created = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	in := bufio.NewReader(strings.NewReader(created + "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"))
	for _, want := range []answer{{status: 201}, {status: 503, last: true, again: true}} {
		if got, err := readAnswer(in); got != want || err != nil {
			t.Errorf("read %+v, %v; want %+v", got, err, want)
		}
	}
	for _, wrong := range []string{"", "SMTP\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", created[:len(created)-1]} {
		if _, err := readAnswer(bufio.NewReader(strings.NewReader(wrong))); err == nil {
			t.Errorf("%q was read", wrong)
		}
	}
}

// What a track is told comes out in its figures: an order that was refused, one
// that was never seen, one that was seen twice.
func TestTrack(t *testing.T) {
	track := NewTrack(10)
	for n := range 4 {
		track.begun[n].Store(track.now() + 1)
	}
	for n, status := range []int{201, 201, 503, 200} {
		track.answer(n, answer{status: status})
	}
	for _, text := range []string{"0", "3", "3", "10", "x"} {
		track.Seen(text, time.Now())
	}
	track.Acked(time.Millisecond)
	track.Elapsed = time.Second
	var r Result
	track.sumUp(&r)
	if r.Orders != 3 || r.Refused != 1 || r.Unseen != 1 || r.Repeated != 1 || r.Receipt.P50 != time.Millisecond || r.Rate != 3 {
		t.Errorf("%+v", r)
	}
	if r.Broken() == nil || (&Result{Orders: 3, Refused: 1}).Broken() != nil {
		t.Error("what is broken is not told")
	}
	if (&Phase{Rude: 1}).Broken() == nil || (&Phase{Refused: 9}).Broken() != nil {
		t.Error("what is broken in an overload is not told")
	}
}

// Refusals: all of them, those after the start, the share of late ones, and the generator's own part.
func TestRefusals(t *testing.T) {
	track := NewTrack(4)
	for n, took := range []time.Duration{5, 30, 10, 11} {
		begun := time.Duration(n) * time.Second
		track.begun[n].Store(int64(begun))
		track.written[n].Store(int64(begun + time.Millisecond))
		track.turned[n].Store(int64(begun + took*time.Millisecond))
		track.arrive(n, track.start.Add(begun+(took-1)*time.Millisecond))
	}
	track.turned[0].Store(0) // was taken
	track.arrived[0].Store(0)
	if r := track.refusals(0); r.Max != 30*time.Millisecond || r.Late != 2.0/3 {
		t.Errorf("all: %+v", r)
	}
	if r := track.refusals(2 * time.Second); r.Max != 11*time.Millisecond || r.Late != 0.5 {
		t.Errorf("after the start: %+v", r)
	}
	if r := track.refusals(time.Minute); r != (Refusals{}) {
		t.Errorf("none: %+v", r)
	}
	if r := track.served(2 * time.Second); r.Max != 9*time.Millisecond || r.Late != 0 {
		t.Errorf("without the generator's part: %+v", r)
	}
	if d := track.delays(); d.Max != time.Millisecond {
		t.Errorf("the generator's: %+v", d)
	}
}

func TestPercentiles(t *testing.T) {
	var all []time.Duration
	for n := range 200 {
		all = append(all, time.Duration(199-n))
	}
	if got, want := percentiles(all), (Percentiles{P50: 100, P99: 198, Max: 199}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestSample(t *testing.T) {
	const line = `straks_status_changes_total{status="SMS_Delivered"} 42`
	if v, ok := sample(line, "straks_status_changes_total", []string{`status="SMS_Delivered"`}); !ok || v != 42 {
		t.Error(v, ok)
	}
	for _, other := range []string{"straks_status_changes", "straks_status_changes_total_sum"} {
		if _, ok := sample(line, other, nil); ok {
			t.Errorf("%s is taken for %s", other, line)
		}
	}
}

// TestLull: where next to no order was taken, the journal's growth for each tells nothing.
func TestLull(t *testing.T) {
	s := &soak{}
	for i := range soakSamples {
		s.seen = append(s.seen, moment{orders: float64(min(10*i, 600)), octets: float64(20000 * i)})
	}
	if levels := s.levels(0, 0); levels != nil {
		t.Errorf("%+v", levels)
	}
	for i := range s.seen {
		s.seen[i].orders = float64(10 * i)
	}
	if levels := s.levels(0, 0); len(levels) != 4 || judge(levels) != nil {
		t.Errorf("%+v", levels)
	}
}

// TestArrivals: what was read late has arrived when it came.
func TestArrivals(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in, err := newArrivals(conn)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	for try := 0; ; try++ { // the first socket to ask for stamps has the kernel prepare for them, which takes it a moment
		before := time.Now()
		if _, err := peer.Write([]byte("late")); err != nil {
			t.Fatal(err)
		}
		written := time.Now()
		time.Sleep(5 * time.Millisecond)
		if n, err := in.Read(b); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		if !in.last.Before(before) && !in.last.After(written) {
			break
		}
		if try == 100 {
			t.Fatalf("came at %v, was written from %v to %v", in.last, before, written)
		}
	}
	peer.Close()
	if _, err := in.Read(b); err != io.EOF {
		t.Error(err)
	}
}

// Of what a daemon logs its end is kept, however it is cut into writes.
func TestLastWords(t *testing.T) {
	var w lastWords
	var all strings.Builder
	for n := range 3000 {
		fmt.Fprintln(io.MultiWriter(&w, &all), n)
	}
	want := all.String()[all.Len()-mostLastWords:]
	if got := w.String(); got != want {
		t.Errorf("kept %d octets, beginning %.20q; want %.20q", len(got), got, want)
	}
	var again lastWords
	io.WriteString(&again, all.String())
	if again.String() != want {
		t.Error("in one write: kept something else")
	}
}
