package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// client makes orders over one connection: a request, its answer, the next request. It
// connects when it has an order to make, and again after the gateway has closed the
// connection.
type client struct {
	load  load
	addr  string // of the gateway
	track *track
	conn  net.Conn // nil: none
	in    *bufio.Reader
	buf   []byte // kept from request to request
}

func newClient(l load, addr string, t *track) *client {
	return &client{load: l, addr: addr, track: t, in: bufio.NewReader(nil)}
}

// run makes the orders that next returns, until there are no more or one fails.
func (c *client) run(ctx context.Context, next func() (due, bool)) error {
	defer c.hangUp()
	for {
		order, ok := next()
		if !ok || ctx.Err() != nil {
			return ctx.Err()
		}
		if err := c.connect(ctx); err != nil {
			return err
		}
		if err := c.place(order); err != nil {
			return fmt.Errorf("order %d: %w", order.n, err)
		}
	}
}

func (c *client) connect(ctx context.Context) (err error) {
	if c.conn != nil {
		return nil
	}
	var d net.Dialer
	if c.conn, err = d.DialContext(ctx, "tcp", c.addr); err != nil {
		return err
	}
	c.in.Reset(c.conn)
	return nil
}

func (c *client) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// place makes one order and waits for its answer.
func (c *client) place(order due) error {
	if !c.load.Open {
		order.at = time.Now()
	}
	c.buf = c.load.Request(c.buf[:0], order.n)
	c.track.begin(order.n, order.at)
	if _, err := c.conn.Write(c.buf); err != nil {
		return err
	}
	a, err := readAnswer(c.in)
	if err != nil {
		return err
	}
	c.track.answer(order.n, a)
	if a.last { // not every gateway keeps connections
		c.hangUp()
	}
	return nil
}

// answer is the part of an HTTP answer that counts here.
type answer struct {
	status int
	retry  bool // it has Retry-After
	last   bool // the server closes the connection
}

// readAnswer reads one whole answer with a Content-Length (RFC 9112). http.ReadResponse
// would use more processor time than the SMSC's side of an order.
func readAnswer(in *bufio.Reader) (a answer, err error) {
	length := -1
	for line := 0; ; line++ {
		text, err := in.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		text = bytes.TrimSpace(text)
		name, value, _ := bytes.Cut(text, []byte(": "))
		switch {
		case line == 0:
			if a.status, err = statusOf(text); err != nil {
				return a, err
			}
		case len(text) == 0:
			if length < 0 {
				return a, errors.New("answer without a Content-Length")
			}
			_, err = in.Discard(length)
			return a, err
		case bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return a, err
			}
		case bytes.EqualFold(name, []byte("Connection")):
			a.last = bytes.EqualFold(value, []byte("close"))
		case bytes.EqualFold(name, []byte("Retry-After")):
			a.retry = true
		}
	}
}

// statusOf reads a status line (RFC 9112 §4).
func statusOf(line []byte) (int, error) {
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return 0, errors.New("no HTTP answer")
	}
	return strconv.Atoi(string(line[9:12]))
}
