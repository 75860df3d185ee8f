package relaytest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// Relay is a relay that listens.
type Relay struct {
	profile  Profile
	listener *listener
	server   *gosmtp.Server
	closing  chan struct{} // closed by Close
	close    sync.Once
	closeErr error
	joined   sync.WaitGroup
	reporter *reporter
	ails     atomic.Pointer[Trouble] // nil: nothing

	mu       sync.Mutex
	messages []Message
	taken    int            // mails taken, forgotten ones too
	faults   int            // mails with which Freeze or Drop happened
	attempts map[string]int // by recipient, for greylisting
	changed  chan struct{}  // closed and replaced with every mail
}

// maxMail bounds a mail, in octets; larger ones get 552 5.3.4.
const maxMail = 16 << 20

// maxAttempts bounds the recipients that greylisting remembers.
const maxAttempts = 10_000

// Listen starts a relay on addr; "127.0.0.1:0" picks a port.
func Listen(addr string, p Profile) (*Relay, error) {
	if err := p.check(addr); err != nil {
		return nil, err
	}
	listen := p.Listen
	if listen == nil {
		listen = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	raw, err := listen(addr)
	if err != nil {
		return nil, err
	}
	if p.Keep == 0 {
		p.Keep = 1000
	}
	if p.Mechanisms == nil {
		p.Mechanisms = []string{"PLAIN", "LOGIN"}
	}
	r := &Relay{
		profile:  p,
		listener: &listener{Listener: raw, max: p.MaxConns, open: make(map[*countedConn]struct{})},
		closing:  make(chan struct{}),
		attempts: make(map[string]int),
		changed:  make(chan struct{}),
	}
	r.reporter = newReporter(r)
	if p.Script != nil {
		r.joined.Go(r.playScript)
	} else {
		r.server = r.newServer()
		r.joined.Go(r.serve)
	}
	return r, nil
}

func (p *Profile) check(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("relaytest: %w", err)
	}
	if ip := net.ParseIP(host); !p.AllowRemote && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("relaytest: %s is not a loopback address; this relay takes mail from anyone", host)
	}
	if p.Implicit && p.TLS == nil {
		return errors.New("relaytest: Implicit needs TLS")
	}
	return nil
}

func (r *Relay) newServer() *gosmtp.Server {
	s := gosmtp.NewServer(gosmtp.BackendFunc(r.newSession))
	s.Domain = "relay.test"
	s.MaxLineLength = 64 << 10
	s.MaxMessageBytes = maxMail
	s.MaxRecipients = 1
	s.EnableSMTPUTF8 = r.profile.SMTPUTF8
	s.EnableDSN = r.profile.DSN
	s.AllowInsecureAuth = true
	s.ErrorLog = discard{}
	if !r.profile.Implicit {
		s.TLSConfig = r.profile.TLS
	}
	return s
}

// discard drops the server's log: clients break off on purpose.
type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

func (r *Relay) serve() {
	var l net.Listener = r.listener
	if r.profile.Implicit {
		l = tls.NewListener(l, r.profile.TLS)
	}
	r.server.Serve(l) // it fails only after Close
}

func (r *Relay) playScript() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.joined.Go(func() {
			defer c.Close()
			r.profile.Script(c)
		})
	}
}

// Addr returns the address that the relay listens on, host:port.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Close stops listening, closes every connection and waits for their goroutines.
func (r *Relay) Close() error {
	r.close.Do(func() {
		close(r.closing)
		r.closeErr = r.listener.shut()
		if r.server != nil {
			r.server.Shutdown(context.Background())
		}
		r.joined.Wait()
		r.reporter.hangUp()
	})
	return r.closeErr
}

// Disconnect closes every open connection and goes on listening, as a relay does
// that restarts.
func (r *Relay) Disconnect() { r.listener.closeAll() }

// Connections returns the number of connections accepted since Listen, and the number
// still open.
func (r *Relay) Connections() (accepted, open int) { return r.listener.count() }

// Messages returns the remembered mails, oldest first.
func (r *Relay) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.messages)
}

// Taken returns the number of mails taken since Listen, forgotten ones too.
func (r *Relay) Taken() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}

// WaitMessages waits until n mails were taken, or ctx ends. It returns the remembered mails.
func (r *Relay) WaitMessages(ctx context.Context, n int) ([]Message, error) {
	for {
		r.mu.Lock()
		taken, changed := r.taken, r.changed
		r.mu.Unlock()
		if taken >= n {
			return r.Messages(), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return r.Messages(), fmt.Errorf("relaytest: %d of %d mails arrived: %w", taken, n, ctx.Err())
		}
	}
}

// record remembers a mail and wakes WaitMessages.
func (r *Relay) record(m Message) {
	m.At = time.Now()
	if r.profile.OnMessage != nil {
		r.profile.OnMessage(m)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.messages) >= r.profile.Keep {
		r.messages = slices.Delete(r.messages, 0, 1)
	}
	r.messages = append(r.messages, m)
	r.taken++
	close(r.changed)
	r.changed = make(chan struct{})
	r.reporter.report(m)
}

// wait returns after d, or when the relay closes, and reports whether it closes.
func (r *Relay) wait(d time.Duration) (closes bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-r.closing:
		return true
	}
}

// greylisted reports whether this attempt for a recipient is refused.
func (r *Relay) greylisted(to string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.profile.Greylist == 0 || r.attempts[to] >= r.profile.Greylist {
		return false
	}
	if len(r.attempts) >= maxAttempts {
		clear(r.attempts)
	}
	r.attempts[to]++
	return true
}

// fails reports whether the fault planned for a stage happens now.
func (r *Relay) fails(planned, at Stage) bool {
	if planned != at {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.profile.Faults > 0 && r.faults >= r.profile.Faults {
		return false
	}
	r.faults++
	return true
}
