package mail

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/orders"
	"straks/orders/bolt/bolttest"
	"straks/smtp"
	"straks/smtp/relaytest"
)

// switchboard is the carrier of one service, with a channel for each organisation: one journal serves all cases.
type switchboard struct {
	mu       sync.Mutex
	channels map[string]*faultyChannel
}

func (s *switchboard) of(m orders.Message) *faultyChannel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels[m.Organisation]
}

func (s *switchboard) Check(m orders.Message) []orders.Fault { return s.of(m).Check(m) }
func (s *switchboard) Lane(m orders.Message) orders.Lane {
	return orders.Lane{Name: m.Organisation, Window: 8}
}
func (s *switchboard) Estimate(orders.Message) (int, orders.Cost) { return 1, orders.Cost{} }

func (s *switchboard) Reach(orders.Message) ([]string, bool) { return nil, true }
func (s *switchboard) Ready() error                          { return nil }

// Send has the channel's own deadline: short where the order waits until then.
func (s *switchboard) Send(ctx context.Context, m orders.Message) orders.Handover {
	c := s.of(m)
	ctx, cancel := context.WithTimeout(ctx, c.deadline)
	defer cancel()
	return c.Send(ctx, m)
}

// faults is a service over faulty relays.
type faults struct {
	board   *switchboard
	service *orders.Service
	journal orders.Journal
	cert    *tls.Config
	ca      string
	cases   atomic.Int32
}

// shortWait is how long cases last that end with their time, and longWait is the bound of the others. A case that a
// busy machine gave too little time is repeated with more.
const (
	shortWait = 400 * time.Millisecond
	longWait  = 30 * time.Second
)

func newFaults(t *testing.T) *faults {
	f := &faults{board: &switchboard{channels: make(map[string]*faultyChannel)}, journal: bolttest.New(t)}
	f.cert, f.ca = certified(t, "relay.test", time.Now().Add(time.Hour))
	f.service = orders.NewService(orders.Config{Journal: f.journal, Email: f.board, SendDeadline: 2 * longWait, StallAfter: time.Minute, AtWork: 512, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- f.service.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return f
}

// certified makes a certificate of the name, and the PEM file that trusts it.
func certified(t *testing.T, name string, until time.Time) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: until.Add(-2 * time.Hour), NotAfter: until,
		DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, path
}

// result is how an order ended.
type result struct {
	status    orders.Status // zero where it was not sent
	relay     string
	atFaulty  int // final dots that the faulty relay saw
	elsewhere int // that the good relay saw
}

// place places one order over a faulty relay, and over a good one after it where both is set. With a
// refused recipient before, the order is the second on its connection.
func (f *faults) place(t *testing.T, faulty *relaytest.Faulty, config smtp.Relay, both, refusedBefore bool, deadline time.Duration) result {
	t.Helper()
	good, err := relaytest.Listen("127.0.0.1:0", relaytest.Profile{})
	if err != nil {
		t.Error(err)
		return result{}
	}
	defer good.Close()
	var others []smtp.Relay
	if both {
		others = []smtp.Relay{{Name: "good", Addr: good.Addr()}}
	}
	bad := f.open(t, faulty, config, others...)
	bad.deadline = deadline
	defer bad.close()
	if refusedBefore {
		bad.place("nosuch@mottaker.example")
	}
	s, err := bad.place("kari@mottaker.example")
	if errors.Is(err, orders.ErrUnavailable) { // the disk was too busy: that is no fault of a relay
		return f.place(t, faulty, config, both, refusedBefore, deadline)
	}
	r := result{s.Status, s.Carrier, int(bad.dots.Load()), good.Taken()}
	switch {
	case errors.Is(err, orders.ErrNotSent):
		r.status, r.relay = 0, ""
	case err != nil:
		t.Error(err)
	}
	return r
}

// faultyChannel is a channel whose first relay is faulty.
type faultyChannel struct {
	*Channel
	service      *orders.Service
	deadline     time.Duration // of its orders
	organisation string
	relay        *relaytest.Relay
	dots         atomic.Int32 // final dots that the faulty relay saw
}

// open makes a channel. It is not run, so that nothing but orders finds the fault.
func (f *faults) open(t *testing.T, faulty *relaytest.Faulty, config smtp.Relay, others ...smtp.Relay) *faultyChannel {
	t.Helper()
	c := &faultyChannel{service: f.service, organisation: fmt.Sprint("case", f.cases.Add(1)), deadline: longWait}
	script := *faulty
	script.Dot = func(string) { c.dots.Add(1) }
	var err error
	if c.relay, err = relaytest.Listen("127.0.0.1:0", relaytest.Profile{Script: script.Script}); err != nil {
		t.Fatal(err)
	}
	config.Name, config.Addr = "faulty", c.relay.Addr()
	log := slog.New(slog.DiscardHandler)
	pool, err := smtp.New(smtp.Config{Relays: append([]smtp.Relay{config}, others...)}, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	c.Channel = New(Config{Organisations: map[string]Organisation{c.organisation: {Sender: "varsel@avsender.example"}}}, pool, log, nil)
	f.board.mu.Lock()
	f.board.channels[c.organisation] = c
	f.board.mu.Unlock()
	return c
}

func (c *faultyChannel) place(to string) (orders.Shipment, error) {
	s, _, err := c.service.Place(context.Background(), mailTo(c.organisation, to))
	return s, err
}

// close closes the connections and the relay.
func (c *faultyChannel) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c.Channel.Run(ctx, c.service)
	c.relay.Close()
}

func mailTo(organisation, to string) orders.Order {
	return orders.Order{Organisation: organisation, Key: to, TTL: time.Hour, Message: orders.Message{
		Channel: orders.Email, To: orders.Recipient(to), Subject: "Kode", Body: "1234"}}
}

var (
	sent      = result{status: orders.EmailSucceeded, relay: "faulty", atFaulty: 1}
	passedOn  = result{status: orders.EmailSucceeded, relay: "good", elsewhere: 1}
	uncertain = result{status: orders.EmailSending, relay: "faulty", atFaulty: 1}
	notSent   = result{}
)

// expected returns how an order must end that meets the fault: with one copy or none, and never a second after the
// final dot.
func expected(command, kind string) (both, alone result) {
	atDot := command == "."
	switch {
	case kind == "late", kind == "dribbled", command == "QUIT":
		return sent, sent
	case atDot && kind == "2yz":
		return sent, sent
	case command == "RSET" && kind == "never": // the relay is in trouble
		return passedOn, sent
	case command == "RSET": // a kept connection that breaks is replaced
		return sent, sent
	case atDot && (kind == "4yz" || kind == "421"):
		return result{orders.EmailSucceeded, "good", 1, 1}, result{atFaulty: 1}
	case atDot && kind == "5yz":
		refused := result{orders.EmailFailedFilteredSpam, "faulty", 1, 0}
		return refused, refused
	case atDot:
		return uncertain, uncertain
	case kind == "5yz" && command == "MAIL": // about the sender, and said by every relay
		return passedOn, result{status: orders.EmailFailed, relay: "faulty"}
	case kind == "5yz" && (command == "RCPT" || command == "DATA"):
		return passedOn, result{status: orders.EmailFailedFilteredSpam, relay: "faulty"}
	case kind == "2yz" && command == "RCPT": // 251 and 252 are positive too (RFC 5321 §4.3.2)
		return sent, sent
	}
	return passedOn, notSent
}

// TestFaultyRelay has a relay fail at each command in each way. Every order ends as it must, with one copy or none, and
// nothing is left open.
func TestFaultyRelay(t *testing.T) {
	before := descriptors(t)
	t.Run("cases", func(t *testing.T) {
		f := newFaults(t)
		var cases sync.WaitGroup
		atOnce := make(chan struct{}, 48) // most of them wait
		for _, command := range []string{"greeting", "EHLO", "STARTTLS", "EHLO2", "AUTH", "MAIL", "RCPT", "DATA", ".", "RSET", "QUIT"} {
			kinds := map[string]func(net.Conn, string) bool{
				"4yz": relaytest.Says("451 4.7.1 not now\r\n"), "5yz": relaytest.Says("554 5.7.1 refused by policy\r\n"),
				"421": relaytest.Says("421 4.3.2 closing\r\n"), "late": relaytest.Late(10 * time.Millisecond), "dribbled": relaytest.Dribble,
				"never": relaytest.Silent, "garbage": relaytest.Says("\x00\xff\x16 what\r\n"), "endless": relaytest.Endless,
				"2yz": relaytest.Says("259 what\r\n"), "1yz": relaytest.Says("150 what\r\n"), "two replies": relaytest.Says("150 what\r\n250 ok\r\n"),
			}
			right := (&relaytest.Faulty{TLS: f.cert, Auth: true}).RightReply(command)
			for n := range len(right) {
				kinds[fmt.Sprintf("cut at %d", n)] = relaytest.Cut(n)
			}
			for kind, wrong := range kinds {
				cases.Go(func() {
					atOnce <- struct{}{}
					defer func() { <-atOnce }()
					f.try(t, command, kind, wrong)
				})
			}
		}
		cases.Wait()
	})
	eventually.True(t, "all sockets to be closed", func() bool { return descriptors(t) <= before })
}

// try has orders meet the fault, with and without another relay, and with and without PIPELINING. Cut replies are the
// same for both.
func (f *faults) try(t *testing.T, command, kind string, wrong func(net.Conn, string) bool) {
	withOther, alone := expected(command, kind)
	for _, pipelining := range []bool{true, false} {
		faulty := &relaytest.Faulty{Command: command, Wrong: wrong, TLS: f.cert, Auth: true, Pipelining: pipelining}
		f.expect(t, faulty, kind, true, withOther)
		if pipelining && strings.HasPrefix(kind, "cut") {
			return
		}
		f.expect(t, faulty, kind, false, alone)
	}
}

func (f *faults) expect(t *testing.T, faulty *relaytest.Faulty, kind string, both bool, want result) {
	config := smtp.Relay{CAFile: f.ca, ServerName: "relay.test", Username: "straks", Password: "hemmelig", TLS: smtp.TLSStartTLS}
	waits := kind == "never" || want.status == 0
	for wait := shortWait; ; wait *= 4 {
		config.CommandTimeout, config.DialTimeout = longWait, longWait
		deadline := longWait
		if kind == "never" {
			config.CommandTimeout, config.DialTimeout = wait, wait
		}
		if waits && (want == uncertain || want.status == 0) {
			deadline = 2 * wait
		}
		got := f.place(t, faulty, config, both, faulty.Command == "RSET", deadline)
		refused := faulty.Command == "." && (kind == "4yz" || kind == "421" || kind == "5yz") // each attempt for certain
		if refused {
			got.atFaulty = min(got.atFaulty, 1)
		}
		switch {
		case got == want:
			return
		case !refused && got.atFaulty+got.elsewhere > 1 && faulty.Command != "RSET", !waits, wait > longWait/2:
			t.Errorf("%s/%s, PIPELINING %t, with another relay %t: %+v, want %+v", faulty.Command, kind, faulty.Pipelining, both, got, want)
			return
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("there is no /proc/self/fd to count descriptors in")
	}
	return len(open)
}

// TLS fails at each stage. Nothing is sent in the clear, and nothing to a relay of another name.
func TestFaultyTLS(t *testing.T) {
	f := newFaults(t)
	old, oldCA := certified(t, "relay.test", time.Now().Add(-time.Minute))
	another, anotherCA := certified(t, "other.test", time.Now().Add(time.Hour))
	var cases sync.WaitGroup
	hello := func(c net.Conn) { io.ReadFull(c, make([]byte, 64)) }
	for name, test := range map[string]struct {
		faulty relaytest.Faulty
		ca     string
	}{
		"not offered":          {relaytest.Faulty{}, f.ca},
		"plain":                {relaytest.Faulty{TLS: f.cert, Handshake: func(c net.Conn) { hello(c); io.WriteString(c, "250 ok\r\n"); io.Copy(io.Discard, c) }}, f.ca},
		"closed at once":       {relaytest.Faulty{TLS: f.cert, Handshake: func(net.Conn) {}}, f.ca},
		"closed after hello":   {relaytest.Faulty{TLS: f.cert, Handshake: hello}, f.ca},
		"mute":                 {relaytest.Faulty{TLS: f.cert, Handshake: func(c net.Conn) { io.Copy(io.Discard, c) }}, f.ca},
		"alert":                {relaytest.Faulty{TLS: f.cert, Handshake: func(c net.Conn) { hello(c); c.Write([]byte{21, 3, 3, 0, 2, 2, 40}); io.Copy(io.Discard, c) }}, f.ca},
		"closed after":         {relaytest.Faulty{TLS: f.cert, Handshake: func(c net.Conn) { tls.Server(c, f.cert).Handshake() }}, f.ca},
		"expired":              {relaytest.Faulty{TLS: old}, oldCA},
		"another name":         {relaytest.Faulty{TLS: another}, anotherCA},
		"another authority":    {relaytest.Faulty{TLS: f.cert}, oldCA},
		"reply in the clear":   {relaytest.Faulty{TLS: f.cert, Command: "STARTTLS", Wrong: relaytest.Says("220 go\r\n250 PIPELINING\r\n")}, f.ca},
		"not wanted as client": {relaytest.Faulty{TLS: &tls.Config{Certificates: f.cert.Certificates, ClientAuth: tls.RequireAnyClientCert}}, f.ca},
	} {
		cases.Go(func() {
			for _, both := range []bool{true, false} {
				want, faulty := notSent, test.faulty
				if both {
					want = passedOn
				}
				config := smtp.Relay{CAFile: test.ca, ServerName: "relay.test", TLS: smtp.TLSStartTLS}
				if name == "mute" {
					config.DialTimeout = shortWait
				}
				if got := f.place(t, &faulty, config, both, false, longWait); got != want {
					t.Errorf("%s, with another relay %t: %+v, want %+v", name, both, got, want)
				}
			}
		})
	}
	cases.Wait()
}

// A reply that comes after the send deadline settles the shipment, and nothing is sent again.
func TestReplyAfterTheDeadline(t *testing.T) {
	f := newFaults(t)
	for name, test := range map[string]struct {
		text string
		want orders.Status
	}{
		"taken":   {"250 2.0.0 ok\r\n", orders.EmailSucceeded},
		"later":   {"451 4.3.0 no\r\n", orders.EmailFailed},
		"refused": {"554 5.7.1 spam\r\n", orders.EmailFailedFilteredSpam},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := make(chan struct{})
			faulty := &relaytest.Faulty{Command: ".", Wrong: func(c net.Conn, _ string) bool {
				<-answer
				_, err := io.WriteString(c, test.text)
				return err == nil
			}}
			c := f.open(t, faulty, smtp.Relay{})
			c.deadline = 5 * time.Second
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error)
			go func() { ended <- c.Channel.Run(ctx, f.service) }()
			defer func() {
				cancel()
				<-ended
				c.relay.Close()
			}()
			s, err := c.place("kari@mottaker.example")
			if err != nil || s.Status != orders.EmailSending {
				t.Fatalf("before the reply: %v, %v", s.Status, err)
			}
			close(answer)
			eventually.True(t, "the late reply to count", func() bool {
				now, err := f.journal.Shipment(t.Context(), s.Organisation, s.ID)
				return err == nil && now.Status == test.want
			})
			if n := c.dots.Load(); n != 1 {
				t.Errorf("%d copies", n)
			}
		})
	}
}
