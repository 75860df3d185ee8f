package bench

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

// External is another gateway than straks, which somebody else has started: it
// takes messages by HTTP GET, is told the fate of each by a GET of its own, and
// binds to our simulator.
type External struct {
	SMSC string // address on which the simulator is to listen for it
	Addr string // of the gateway, host:port
	// Path is path and query of a request for one message: {to} stands for the
	// recipient's digits, {text} for the text, {dlr} for the address, escaped,
	// to which it is to report.
	Path string
	PIDs []int // of its processes, whose time and memory are told
}

// Do runs a scenario against it. Delay, Window, Stored and Frozen don't count.
func (x External) Do(ctx context.Context, r Run) ([]Result, error) {
	smsc, err := listen(x.SMSC, 0)
	if err != nil {
		return nil, err
	}
	defer smsc.Close()
	track := NewTrack(r.limit())
	smsc.track.Store(track)
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
	load := Load{Addr: x.Addr, Clients: r.Clients, Rate: r.Rate, For: r.For, Request: x.request(reports.addr)}
	result, err := drive(ctx, r.Name, load, track, processes(x.PIDs), reports.count)
	track.sumUp(&result) // it may have answered long before it submitted
	return []Result{result}, err
}

func (x External) request(reports string) func(dst []byte, n int) []byte {
	path := strings.ReplaceAll(x.Path, "{dlr}", "http%3A%2F%2F"+reports+"%2F")
	return func(dst []byte, n int) []byte {
		path := strings.NewReplacer("{to}", fmt.Sprintf("4790%06d", 100000+n%800000), "{text}", fmt.Sprint(n)).Replace(path)
		return fmt.Appendf(dst, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, x.Addr)
	}
}

// sink counts the reports that the gateway makes.
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
