package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"straks/internal/tlsfault"
)

// client is our end of one SMTP connection. One goroutine at a time uses it, except
// close, which any may call.
//
// Each call ends at the time by, or at the deadline of its context, whichever is earlier. A context
// that is cancelled closes the connection. A connection on which a call failed, with an error
// that is no *reply, must not be used again.
type client struct {
	raw     net.Conn // the TCP connection
	conn    net.Conn // raw, or the TLS connection over it
	in      *bufio.Reader
	replies replyReader
	out     *textproto.Writer
	ext     extensions
	heard   func(*reply) // gets each reply; nil: nothing does
}

func newClient(raw net.Conn) *client {
	c := &client{raw: raw}
	c.use(raw)
	return c
}

// use makes conn the connection that is read and written.
func (c *client) use(conn net.Conn) {
	c.conn = conn
	c.in = bufio.NewReaderSize(conn, maxReplyLine)
	c.replies = newReplyReader(c.in)
	c.out = textproto.NewWriter(bufio.NewWriter(conn))
}

// close closes the socket at once, without TLS's close_notify, which may wait for a frozen peer.
func (c *client) close() { c.raw.Close() }

func (c *client) encrypted() bool { return c.conn != c.raw }

// do runs io within the bounds of a call.
func (c *client) do(ctx context.Context, by time.Time, io func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.raw.SetDeadline(earliest(ctx, by))
	cancelled := func() {
		if errors.Is(ctx.Err(), context.Canceled) { // for its deadline, the socket has one
			c.close()
		}
	}
	stop := context.AfterFunc(ctx, cancelled)
	err := io()
	if !stop() {
		cancelled() // the other call may still be to come, when the connection has its next user
	}
	return endOf(ctx, err)
}

// endOf returns the error of ctx in place of the error that the end of ctx brought about.
func endOf(ctx context.Context, err error) error {
	deadline, ok := ctx.Deadline()
	if ok && errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(deadline) {
		<-ctx.Done() // its timer may be a moment later than the socket's
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// earliest returns t, or the deadline of ctx if that is earlier.
func earliest(ctx context.Context, t time.Time) time.Time {
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(t) {
		return deadline
	}
	return t
}

// ask writes a command and reads its reply. A reply that is not want (see reply.is) is
// returned as the error.
func (c *client) ask(ctx context.Context, by time.Time, want int, command string) (r *reply, err error) {
	if err := c.surplus(); err != nil { // would be taken for the reply
		return nil, err
	}
	err = c.do(ctx, by, func() error {
		if err = c.out.PrintfLine("%s", command); err == nil {
			r, err = c.replies.next()
		}
		return err
	})
	return c.judge(want, r, err)
}

// write writes commands in one piece (RFC 2920 §3.1). The replies are read one by one.
func (c *client) write(ctx context.Context, by time.Time, commands ...string) error {
	if err := c.surplus(); err != nil { // would be taken for the first reply
		return err
	}
	return c.do(ctx, by, func() error {
		for _, command := range commands {
			c.out.W.WriteString(command + "\r\n") // Flush has its error
		}
		return c.out.W.Flush()
	})
}

// read reads one reply, which must be want. After a time-out it may be called again.
func (c *client) read(ctx context.Context, by time.Time, want int) (r *reply, err error) {
	err = c.do(ctx, by, func() error {
		r, err = c.replies.next()
		return err
	})
	return c.judge(want, r, err)
}

// judge returns a reply that is not want as the error.
func (c *client) judge(want int, r *reply, err error) (*reply, error) {
	if r != nil && c.heard != nil {
		c.heard(r)
	}
	if err == nil && !r.is(want) {
		err = r
	}
	return r, err
}

// errSurplus: octets beyond the last reply belong to no command.
var errSurplus = &Failure{ReasonProtocol, errors.New("the relay sent more than it was asked for")}

// surplus fails where octets beyond the last reply were read from the socket.
func (c *client) surplus() error {
	if c.in.Buffered() == 0 && c.encrypted() {
		// TLS may hold the next record. With a deadline in the past, reading it does not touch the socket.
		c.raw.SetReadDeadline(time.Unix(1, 0))
		if _, err := c.in.Peek(1); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
	}
	if c.in.Buffered() > 0 {
		return errSurplus
	}
	return nil
}

// silent reports whether the relay has neither closed the connection nor sent anything since the
// last reply. It costs one system call. Relays send 421 and close when a client is idle too long.
func (c *client) silent() bool {
	if c.surplus() != nil {
		return false
	}
	sc, ok := c.raw.(syscall.Conn)
	if !ok {
		return true
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	var peekErr error
	err = rc.Control(func(fd uintptr) {
		_, _, peekErr = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && (peekErr == syscall.EAGAIN || peekErr == syscall.EWOULDBLOCK)
}

// extensions are the keywords of the reply to EHLO, in upper case, with their parameters.
type extensions map[string][]string

// parseExtensions parses the text of a reply to EHLO (RFC 5321 §4.1.1.1). Keywords have any
// letter case. "AUTH=PLAIN LOGIN" is an old form of AUTH.
func parseExtensions(text string) extensions {
	ext := make(extensions)
	for _, line := range strings.Split(text, "\n")[1:] { // the first line is the relay's name
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		keyword, parameter, old := strings.Cut(strings.ToUpper(words[0]), "=")
		if old {
			words[0] = parameter
		} else {
			words = words[1:]
		}
		ext[keyword] = append(ext[keyword], words...)
	}
	return ext
}

func (e extensions) offers(keyword string) bool { _, ok := e[keyword]; return ok }

// offersAuth reports whether AUTH has the mechanism (RFC 4954 §3).
func (e extensions) offersAuth(mechanism string) bool {
	for _, m := range e["AUTH"] {
		if strings.EqualFold(m, mechanism) {
			return true
		}
	}
	return false
}

// size returns the octets that a mail may have (RFC 1870 §4); 0 where the relay announces no limit.
func (e extensions) size() int64 {
	if len(e["SIZE"]) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(e["SIZE"][0], 10, 64)
	if err != nil || n < 0 {
		return 0 // none that we understand
	}
	return n
}

// hello sends EHLO and learns the extensions; HELO where the relay does not know EHLO (RFC 5321 §3.2).
func (c *client) hello(ctx context.Context, by time.Time, name string) error {
	c.ext = nil
	r, err := c.ask(ctx, by, 250, "EHLO "+name)
	var refused *reply
	if errors.As(err, &refused) && (refused.code == 500 || refused.code == 502) {
		_, err = c.ask(ctx, by, 250, "HELO "+name)
		return err
	}
	if err == nil {
		c.ext = parseExtensions(r.text)
	}
	return err
}

// startTLS sends STARTTLS and makes the handshake (RFC 3207). EHLO must follow.
func (c *client) startTLS(ctx context.Context, by time.Time, config *tls.Config) error {
	if _, err := c.ask(ctx, by, 220, "STARTTLS"); err != nil {
		return err
	}
	if c.in.Buffered() > 0 { // would be taken for replies given under TLS
		return &Failure{ReasonTLS, errors.New("relay sent more in the clear after STARTTLS")}
	}
	return c.handshake(ctx, by, config)
}

// handshake encrypts the connection, and forgets the extensions that were offered in the clear.
func (c *client) handshake(ctx context.Context, by time.Time, config *tls.Config) error {
	conn := tls.Client(c.raw, config)
	if err := c.do(ctx, by, conn.Handshake); err != nil {
		return &Failure{ReasonTLS, tlsfault.Plain(err)}
	}
	c.use(conn)
	c.ext = nil
	return nil
}

// body writes a mail and its final dot. It fails before the dot where the relay has already
// sent a reply. An error means that the last octet of the dot did not leave.
func (c *client) body(ctx context.Context, bodyBy, dotBy time.Time, data []byte) error {
	w := c.out.DotWriter()
	err := c.do(ctx, bodyBy, func() error {
		_, err := w.Write(data)
		return err
	})
	if err == nil {
		err = c.surplus()
	}
	if err != nil {
		return err
	}
	return c.do(ctx, dotBy, w.Close)
}
