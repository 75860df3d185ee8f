package session

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"straks/internal/tlsfault"
	"straks/smpp/wire"
)

// BindError is an SMSC's refusal to bind.
type BindError struct {
	Status wire.Status
}

func (e *BindError) Error() string { return "smpp: bind refused: " + e.Status.String() }

// Credentials reports whether the refusal may be about our credentials: trying again soon
// is of no use then and may lock the account. ESME_RBINDFAIL may mean anything and counts
// as well; a caller that was bound before knows better.
func (e *BindError) Credentials() bool {
	switch e.Status {
	case wire.ESMEInvPaswd, wire.ESMEInvSysID, wire.ESMEInvSysTyp, wire.ESMEBindFail:
		return true
	}
	return false
}

// Dial connects to the SMSC and binds. ctx bounds both, beside DialTimeout and
// BindTimeout. It does not bound the session. A refusal is a *[BindError].
func Dial(ctx context.Context, cfg Config) (*Session, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	conn, socket, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return bind(ctx, conn, socket, cfg)
}

// Bind binds over an existing connection.
func Bind(ctx context.Context, conn net.Conn, cfg Config) (*Session, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return bind(ctx, conn, conn, cfg)
}

// connect returns the connection to speak on and the socket beneath it.
func connect(ctx context.Context, cfg Config) (conn, socket net.Conn, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.DialTimeout, fmt.Errorf("smpp: no connection within %v", cfg.DialTimeout))
	defer cancel()
	dial := cfg.Dial
	if dial == nil {
		// Go sets TCP_NODELAY by itself: with Nagle's algorithm each PDU would wait
		// for the peer's delayed acknowledgement of the previous one.
		dial = (&net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: cfg.DeadAfter, Interval: cfg.EnquireInterval, Count: 3}}).DialContext
	}
	if socket, err = dial(ctx, "tcp", cfg.Addr); err != nil {
		return nil, nil, fmt.Errorf("smpp: %w", err)
	}
	if cfg.TLS == nil {
		return socket, socket, nil
	}
	secure := tls.Client(socket, cfg.tlsConfig())
	if err := secure.HandshakeContext(ctx); err != nil {
		socket.Close()
		return nil, nil, fmt.Errorf("smpp: TLS with %s: %w", cfg.Addr, tlsfault.Plain(err))
	}
	return secure, socket, nil
}

func (c *Config) tlsConfig() *tls.Config {
	t := c.TLS.Clone()
	if t.ServerName == "" {
		if host, _, err := net.SplitHostPort(c.Addr); err == nil {
			t.ServerName = host
		}
	}
	return t
}

// bind starts a session on conn and waits for bind_resp.
func bind(ctx context.Context, conn, socket net.Conn, cfg Config) (*Session, error) {
	s := newSession(conn, socket, cfg)
	res := s.call(ctx, cfg.Mode.command(), &cfg.Bind, cfg.BindTimeout)
	if res.err == nil && res.response.Status != wire.ESMEOK {
		res.err = &BindError{Status: res.response.Status}
	}
	if res.err != nil {
		s.Close()
		return nil, fmt.Errorf("bind as %v: %w%s", cfg.Mode, res.err, bindAdvice(res.err, cfg.TLS != nil))
	}
	close(s.bound)
	return s, nil
}

// bindAdvice returns what to check when a bind gets no bind_resp; empty when the SMSC
// said itself what is wrong.
func bindAdvice(err error, encrypted bool) string {
	advice := ""
	switch {
	case errors.Is(err, errUnreadable):
		advice = "; the server at that address speaks no SMPP: is the port right?"
	case errors.Is(err, ErrLost):
		advice = "; it hung up on the bind: does it let our address in?"
	case errors.Is(err, ErrNoResponse):
		advice = "; it accepted the connection and is silent: is the port right?"
	}
	if advice != "" && !encrypted {
		advice += " Does it want TLS?"
	}
	return advice
}

// call sends a bind or unbind and waits for its response.
func (s *Session) call(ctx context.Context, id wire.CommandID, body any, limit time.Duration) result {
	x := &exchange{id: id, done: make(chan result, 1)}
	s.sendControl(control{Header: wire.Header{ID: id}, body: body, exchange: x})
	ctx, cancel := context.WithTimeoutCause(ctx, limit, ErrNoResponse)
	defer cancel()
	select {
	case res := <-x.done:
		return res
	case <-ctx.Done():
		return result{err: context.Cause(ctx)}
	}
}
