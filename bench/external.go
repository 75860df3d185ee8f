package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"straks/smpp/smsctest"
)

// external is another gateway than straks, already running. It takes messages by HTTP GET,
// reports on each by a GET of its own, and binds to our simulator.
type external struct {
	SMSC string // address on which the simulator listens for it
	Addr string // of the gateway, host:port
	// Path is path and query of a request for one message, with the recipient's digits
	// for {to}, the text for {text}, and the escaped address for its reports for {dlr}.
	Path string
	PIDs []int // of its processes, whose time and memory are measured
}

// do runs a scenario against it. Delay, Window, Stored and Frozen don't count.
func (x external) do(ctx context.Context, s scenario) ([]result, error) {
	smsc, err := listen(x.SMSC, 0, 0)
	if err != nil {
		return nil, err
	}
	defer smsc.Close()
	t := newTrack(limit(s.Rate, s.For))
	smsc.track.Store(t)
	reports, err := newSink()
	if err != nil {
		return nil, err
	}
	defer reports.close()
	binding, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := smsc.Wait(binding, func(s smsctest.Stats) bool { return s.BindsNow > 0 }); err != nil {
		return nil, fmt.Errorf("the gateway does not bind: %w", err)
	}
	l := load{Addrs: []string{x.Addr}, Clients: s.Clients, Rate: s.Rate, For: s.For, Request: x.request(reports.addr)}
	r, err := drive(ctx, s.Name, l, t, processes(x.PIDs), reports.count)
	return []result{r}, err
}

func (x external) request(reports string) func(dst []byte, n int) []byte {
	path := strings.ReplaceAll(x.Path, "{dlr}", "http%3A%2F%2F"+reports+"%2F")
	return func(dst []byte, n int) []byte {
		path := strings.NewReplacer("{to}", fmt.Sprintf("4790%06d", 100000+n%800000), "{text}", fmt.Sprint(n)).Replace(path)
		return fmt.Appendf(dst, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, x.Addr)
	}
}

// sink counts the gateway's reports.
type sink struct {
	addr   string
	n      atomic.Int64
	server http.Server
}

func newSink() (*sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{addr: ln.Addr().String()}
	s.server.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { s.n.Add(1) })
	go s.server.Serve(ln)
	return s, nil
}

func (s *sink) count() int { return int(s.n.Load()) }

func (s *sink) close() { s.server.Close() }
