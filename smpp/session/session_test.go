package session

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"straks/internal/memnet"
	"straks/smpp/peertest"
	"straks/smpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bound dials a session to a peer over a real socket.
func bound(t *testing.T, cfg Config) (*Session, *peertest.Peer) {
	t.Helper()
	addr, accept := peertest.Listen(t)
	cfg.Addr = addr
	cfg.Bind = wire.Bind{SystemID: "straks", Password: "secret"}
	peers := make(chan *peertest.Peer, 1)
	go func() {
		p := peertest.New(t, accept())
		p.AcceptBind()
		peers <- p
	}()
	s, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, <-peers
}

// inBubble binds a session to a peer over memory, where time is the bubble's.
func inBubble(t *testing.T, cfg Config, size int) (*Session, *peertest.Peer) {
	t.Helper()
	ours, theirs := memnet.Pipe(size)
	p := peertest.New(t, theirs)
	go p.AcceptBind()
	s, err := bind(context.Background(), ours, ours, cfg.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	return s, p
}

// outcome is what Submit returned.
type outcome struct {
	Response
	err error
}

// submit starts a Submit and returns a channel for its outcome.
func submit(ctx context.Context, s *Session, req Request) <-chan outcome {
	c := make(chan outcome, 1)
	go func() {
		a, err := s.Submit(ctx, req)
		c <- outcome{a, err}
	}()
	return c
}

// submitMany submits n messages at once. Their errors come as they end.
func submitMany(s *Session, n int) <-chan error {
	errs := make(chan error, n)
	for range n {
		go func() {
			_, err := s.Submit(context.Background(), Request{Message: peertest.Message()})
			errs <- err
		}()
	}
	return errs
}

// inFlight returns how many submits are queued or pending.
func inFlight(s *Session) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.submits
}
