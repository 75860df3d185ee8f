package forward

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/pemfile"
	"straks/internal/ratelog"
)

// Node is another live node.
type Node struct {
	ID  int
	URL string   // https://host:port of its listener for peers; empty: it has none
	Up  []string // SMSCs and relays that it can send over
}

// Nodes knows the other live nodes. It is asked for every request that can't be sent here, so it must answer from memory.
type Nodes interface {
	Nodes() []Node
}

// Config is what a Client is made of. All fields but the last two are required.
type Config struct {
	Node       int            // this node
	Nodes      Nodes          // the others
	Files      *pemfile.Files // the cluster's authority, and this node's certificate
	Connect    time.Duration  // for connecting, with the TLS handshake; DefaultConnect
	Timeout    time.Duration  // of a request, to the end of its answer
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: metrics are not exported
}

// DefaultConnect bounds connecting: a node that is frozen accepts a connection and no more.
const DefaultConnect = 2 * time.Second

const (
	// maxAnswer bounds an answer, in octets. One to an order has some 500.
	maxAnswer = 64 << 10
	// maxIdle is how many connections to a node are kept.
	maxIdle = 64
	// idleTime is how long one is kept, less than the other end keeps it.
	idleTime = time.Minute
)

var (
	// ErrNone: no live node that can send the message was reached. Nothing was sent.
	ErrNone = errors.New("no other node can send it")
	// ErrBroken: a node may have the request, and gave no answer. Nothing is known.
	ErrBroken = errors.New("no answer from the node that the request was forwarded to")
)

// Client forwards requests. It is safe for concurrent use.
type Client struct {
	cfg     Config
	http    *http.Transport
	sampled *ratelog.Log
	metrics *metrics
}

// New returns a Client. Close ends its idle connections.
func New(cfg Config) (*Client, error) {
	cfg.Connect = cmp.Or(cfg.Connect, DefaultConnect)
	c := &Client{cfg: cfg, sampled: ratelog.New(cfg.Log, 3)}
	c.http = &http.Transport{
		DialTLSContext: c.dial, MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: idleTime,
		MaxResponseHeaderBytes: 16 << 10, DisableCompression: true, Protocols: new(http.Protocols),
	}
	c.http.Protocols.SetHTTP1(true) // a connection that hangs holds up one request
	var err error
	c.metrics, err = newMetrics(cfg.Registerer)
	return c, err
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// dial connects to a node, whose certificate must be for the host in its URL.
func (c *Client) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.cfg.Connect, fmt.Errorf("no connection within %v", c.cfg.Connect))
	defer cancel()
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	authorities, own := c.cfg.Files.Current()
	d := tls.Dialer{Config: &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: authorities, Certificates: own, ServerName: host, NextProtos: []string{"http/1.1"},
	}}
	return d.DialContext(ctx, network, addr)
}

// Request is a request to be forwarded.
type Request struct {
	Path   string
	Header http.Header // of which those in passed are sent
	Body   []byte
	Caller Caller // its Node is filled in
}

// passed are the headers of a request that the other node needs.
var passed = []string{"Content-Type", "Traceparent", "Tracestate"}

// Answer is what a node has answered.
type Answer struct {
	Node   int
	Status int
	Header http.Header // without those that are about the connection
	Body   []byte
}

// Forward hands the request to a node that can send over one of the carriers, and returns its answer, whatever its status.
// Errors: ErrNone, ErrBroken, and context.Canceled when ctx ends first: then the node carries the
// order on, if it has it.
func (c *Client) Forward(ctx context.Context, carriers []string, r Request) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	r.Caller.Node = c.cfg.Node
	nodes := c.able(carriers)
	for _, n := range nodes {
		answer, reached, err := c.ask(ctx, n, &r)
		switch {
		case err == nil:
			c.metrics.count(answered)
			return answer, nil
		case errors.Is(ctx.Err(), context.Canceled):
			c.metrics.count(abandoned)
			return Answer{}, context.Canceled
		}
		c.sampled.Write(fmt.Sprint("node ", n.ID), slog.LevelWarn, "a request was not forwarded",
			slog.Int("node", n.ID), slog.String("url", n.URL), slog.Bool("reached", reached), slog.Any("err", err))
		if reached {
			c.metrics.count(broken)
			return Answer{}, fmt.Errorf("%w: node %d: %w", ErrBroken, n.ID, err)
		}
	}
	if len(nodes) == 0 {
		c.metrics.count(none)
	} else {
		c.metrics.count(unreached)
	}
	return Answer{}, ErrNone
}

// able returns the nodes that can send over one of the carriers, in random order.
func (c *Client) able(carriers []string) (nodes []Node) {
	for _, n := range c.cfg.Nodes.Nodes() {
		if n.ID != c.cfg.Node && n.URL != "" && slices.ContainsFunc(n.Up, func(up string) bool { return slices.Contains(carriers, up) }) {
			nodes = append(nodes, n)
		}
	}
	rand.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
	return nodes
}

// ask makes the request. reached reports whether a connection was made, so that the node may have the request.
func (c *Client) ask(ctx context.Context, n Node, r *Request) (a Answer, reached bool, err error) {
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached = true }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.URL+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return a, false, err
	}
	for _, name := range passed {
		if values := r.Header.Values(name); len(values) > 0 {
			req.Header[name] = values
		}
	}
	req.Header.Set("User-Agent", "straks")
	if err := r.Caller.write(req.Header); err != nil {
		return a, false, err
	}
	resp, err := c.http.RoundTrip(req)
	if err != nil {
		return a, reached, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return a, true, fmt.Errorf("its answer broke off: %w", err)
	case len(body) > maxAnswer:
		return a, true, fmt.Errorf("its answer has more than %d octets", maxAnswer)
	}
	for _, name := range ofConnection {
		resp.Header.Del(name)
	}
	return Answer{Node: n.ID, Status: resp.StatusCode, Header: resp.Header, Body: body}, true, nil
}

// ofConnection are headers that are about one connection (RFC 9110 §7.6.1), or that the server sets itself.
var ofConnection = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Content-Length", "Date"}
