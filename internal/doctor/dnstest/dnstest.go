// Package dnstest is a small DNS server for tests, over UDP and TCP on loopback.
package dnstest

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// Server answers with the records of a zone. Names in its maps are in lower case, with their final dot.
type Server struct {
	Addr string // host:port

	mu sync.Mutex
	State
}

// State is what a Server knows, and how it fails.
type State struct {
	Records []dns.RR
	Rcodes  map[string]int  // answers to a name, in place of its records: dns.RcodeServerFailure, …
	Silent  map[string]bool // names that get no answer
	Plain   bool            // it knows no EDNS (RFC 6891)
	Bare    bool            // it gives an alias without what that leads to
	Asked   map[string]int  // how often a question came: "udp example.org. TXT"
}

// Serve starts a server with records, one a line of a zone file, until the end of the test.
func Serve(t *testing.T, zone string) *Server {
	t.Helper()
	s := &Server{State: State{Rcodes: make(map[string]int), Silent: make(map[string]bool), Asked: make(map[string]int)}}
	s.Add(t, zone)
	packets, streams := listenBoth(t)
	s.Addr = streams.Addr().String()
	for _, d := range []*dns.Server{
		{PacketConn: packets, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) { s.answer("udp", w, m) })},
		{Listener: streams, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) { s.answer("tcp", w, m) })},
	} {
		started, ended := make(chan struct{}), make(chan error, 1)
		d.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- d.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			d.Shutdown()
			<-ended
		})
	}
	return s
}

// listenBoth listens on one port over UDP and TCP. Which ports are free is not the same for both.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	var failed error
	for range 100 {
		streams, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		packets, err := net.ListenPacket("udp", streams.Addr().String())
		if err == nil {
			return packets, streams
		}
		streams.Close()
		failed = err
	}
	t.Fatal(failed)
	return nil, nil
}

// Change changes the state while the server runs.
func (s *Server) Change(change func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.State)
}

// Add adds records, one a line.
func (s *Server) Add(t *testing.T, zone string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(zone) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		s.Records = append(s.Records, rr)
	}
}

func (s *Server) answer(network string, w dns.ResponseWriter, request *dns.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := request.Question[0]
	name := strings.ToLower(q.Name)
	s.Asked[fmt.Sprintf("%s %s %s", network, name, dns.TypeToString[q.Qtype])]++
	if s.Silent[name] {
		return
	}
	m := new(dns.Msg).SetReply(request)
	if s.Plain && request.IsEdns0() != nil {
		m.Rcode = dns.RcodeFormatError
		w.WriteMsg(m)
		return
	}
	m.Rcode = dns.RcodeNameError
	for range 20 {
		alias := ""
		for _, rr := range s.Records {
			h := rr.Header()
			if !strings.EqualFold(h.Name, name) {
				continue
			}
			m.Rcode = dns.RcodeSuccess
			if h.Rrtype == q.Qtype || h.Rrtype == dns.TypeCNAME {
				m.Answer = append(m.Answer, rr)
			}
			if c, ok := rr.(*dns.CNAME); ok {
				alias = strings.ToLower(c.Target)
			}
		}
		if alias == "" || s.Bare {
			break
		}
		name, m.Rcode = alias, dns.RcodeNameError
	}
	if code, ok := s.Rcodes[strings.ToLower(q.Name)]; ok {
		m.Rcode, m.Answer = code, nil
	}
	if network == "udp" {
		size := dns.MinMsgSize
		if o := request.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		m.Truncate(size)
	}
	w.WriteMsg(m)
}

// TimesAsked returns how often a question came, like "udp example.org. TXT".
func (s *Server) TimesAsked(question string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Asked[question]
}
