package main

import (
	"bufio"
	"strings"
	"testing"
	"time"
)

func TestReadAnswer(t *testing.T) {
	const created = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	in := bufio.NewReader(strings.NewReader(created + "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"))
	for _, want := range []answer{{status: 201}, {status: 503, last: true, retry: true}} {
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

// The figures show an order that was refused, one that was lost, one that was sent twice.
func TestTrack(t *testing.T) {
	tr := newTrack(10)
	for n := range 4 {
		tr.due[n].Store(tr.now() + 1)
	}
	for n, status := range []int{201, 201, 503, 200} {
		tr.answer(n, answer{status: status, retry: true})
	}
	for _, text := range []string{"0", "3", "3", "10", "x"} {
		tr.submit(text, time.Now())
	}
	tr.ack(time.Millisecond)
	tr.elapsed = time.Second
	var r result
	tr.sum(&r)
	if r.Orders != 3 || r.Refused != 1 || r.Improper != 0 || r.Lost != 1 || r.Duplicates != 1 || r.Receipt.P50 != time.Millisecond || r.Rate != 3 || r.Offered != 4 {
		t.Errorf("%+v", r)
	}
}

// A refusal is timed from when the order was due; the generator's part of that is known.
func TestRefusals(t *testing.T) {
	tr := newTrack(4)
	for n, took := range []time.Duration{5, 30, 10, 11} {
		due := time.Duration(n) * time.Second
		tr.due[n].Store(int64(due))
		tr.sent[n].Store(int64(due + time.Millisecond))
		tr.refused[n].Store(int64(due + took*time.Millisecond))
	}
	tr.refused[0].Store(0) // was taken
	tr.elapsed = 4 * time.Second
	var r result
	tr.sum(&r)
	if r.Refused != 3 || r.Refusal != (percentiles{P50: 11 * time.Millisecond, P99: 30 * time.Millisecond, Max: 30 * time.Millisecond}) {
		t.Errorf("%+v", r)
	}
	if late := tr.late(); late.Max != time.Millisecond {
		t.Errorf("the generator's part: %+v", late)
	}
	tr.answer(0, answer{status: 503}) // without Retry-After
	tr.answer(1, answer{status: 500, retry: true})
	if tr.sum(&r); r.Improper != 2 {
		t.Errorf("%d improper refusals", r.Improper)
	}
}

func TestPercentiles(t *testing.T) {
	var all []time.Duration
	for n := range 200 {
		all = append(all, time.Duration(199-n))
	}
	if got, want := percentilesOf(all), (percentiles{P50: 100, P99: 198, Max: 199}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
