package smtp

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// memoryRelay plays a script to each connection, over a pipe: for tests within a
// synctest bubble, whose time is not real.
type memoryRelay struct {
	play    func(net.Conn)
	scripts sync.WaitGroup

	mu             sync.Mutex
	accepted, open int
	sent           strings.Builder // all that clients wrote
	down           bool            // refuse connections
}

// dial is relay.dialTCP.
func (m *memoryRelay) dial(context.Context, string, string) (net.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accepted++
	if m.down {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: net.UnknownNetworkError("down")}
	}
	m.open++
	ours, theirs := net.Pipe()
	m.scripts.Go(func() {
		m.play(recordedConn{theirs, &m.mu, &m.sent})
		theirs.Close()
		m.mu.Lock()
		m.open--
		m.mu.Unlock()
	})
	return ours, nil
}

func (m *memoryRelay) connections() (accepted, open int) {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.accepted, m.open
}

// count returns how often clients sent the text.
func (m *memoryRelay) count(text string) int {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Count(m.sent.String(), text)
}

// recordedConn records all that is read from it.
type recordedConn struct {
	net.Conn
	mu  *sync.Mutex
	all *strings.Builder
}

func (r recordedConn) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all.Write(p[:n])
	return n, err
}

// slow delays each reply.
type slow struct {
	net.Conn
	delay time.Duration
}

func (s slow) Write(p []byte) (int, error) {
	time.Sleep(s.delay)
	return s.Conn.Write(p)
}

// memoryPool returns a pool of one relay in memory, in a bubble. It is not run. The test ends when
// the scripts have ended.
func memoryPool(t *testing.T, config Relay, play func(net.Conn)) (*Pool, *memoryRelay) {
	t.Helper()
	config.Name, config.Addr = "mx", "relay.test:25"
	config.MinIdle = max(config.MinIdle, 1)
	p, err := New(Config{Relays: []Relay{config}}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	m := &memoryRelay{play: play}
	p.relay(0).dialTCP = m.dial
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Run(ctx, Handler{})
		m.scripts.Wait()
	})
	return p, m
}

// runs runs the pool until the test ends.
func runs(t *testing.T, p *Pool, late func(string, Result)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx, Handler{Late: late})
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	synctest.Wait()
	return stop
}
