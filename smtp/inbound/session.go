package inbound

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"sync"

	gosmtp "github.com/emersion/go-smtp"
)

// session is the dialogue on one connection, or under TLS the rest of it. go-smtp calls Data for BDAT in a goroutine of
// its own, beside the other methods.
type session struct {
	ctx     context.Context
	server  *Server
	library *gosmtp.Conn
	conn    *conn
	handler Handler

	mu        sync.Mutex
	from      string
	to        *recipient
	receiving bool // Data runs
	broken    bool // no mail may begin: see Reset
}

func newSession(ctx context.Context, s *Server, c *gosmtp.Conn, h Handler) *session {
	return &session{ctx: ctx, server: s, library: c, conn: below(c), handler: h}
}

// below returns the connection below TLS.
func below(c *gosmtp.Conn) *conn {
	nc := c.Conn()
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	return nc.(*conn) // of our listener
}

// Mail implements gosmtp.Session: any sender may report.
func (s *session) Mail(from string, _ *gosmtp.MailOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errAgain
	}
	s.from = from
	return nil
}

var (
	errAgain   = &gosmtp.SMTPError{Code: 421, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: "Closing the connection, begin again on a new one"}
	errMails   = &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 7, 1}, Message: "Too many mails from your address, try again later"}
	errForward = &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 7, 1}, Message: "Too many mails for this mailbox, try again later"}
)

// Rcpt implements gosmtp.Session.
func (s *session) Rcpt(address string, _ *gosmtp.RcptOptions) error {
	to, refusal := s.server.recipient(address, s.conn.lmtp)
	if refusal != nil {
		s.unknown()
		return refusal
	}
	ours := to.role == "" // a stranger can name the others
	if ours {
		s.welcome()
	}
	if !s.server.peers.mail(s.conn.address) {
		s.count(resultTooOften)
		return errMails
	}
	if ours {
		s.conn.protect(true)
	}
	s.conn.expectBody()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = &to
	return nil
}

// unknown counts a recipient without a mailbox. After some of them the connection ends.
func (s *session) unknown() {
	s.count(resultUnknown)
	s.conn.mu.Lock()
	s.conn.unknown++
	stop := s.conn.unknown >= maxUnknown
	s.conn.mu.Unlock()
	if !s.server.peers.useless(s.conn.address) || stop {
		s.conn.stop()
	}
}

// welcome takes back that the connection counted as useless.
func (s *session) welcome() {
	s.conn.mu.Lock()
	first := !s.conn.welcome
	s.conn.welcome = true
	s.conn.mu.Unlock()
	if first {
		s.server.peers.useful(s.conn.address)
	}
}

// Reset implements gosmtp.Session. After an RSET between two chunks of BDAT the connection ends: go-smtp 0.25.1 could
// give the result of that mail to the next one.
func (s *session) Reset() {
	s.mu.Lock()
	s.from, s.to = "", nil
	if s.receiving { // otherwise Data has done it, if it ran
		s.giveUp()
	}
	s.mu.Unlock()
	s.conn.protect(false)
}

// giveUp lets no mail begin on this connection any more. Under mu.
func (s *session) giveUp() {
	s.broken = true
	s.conn.stop()
}

// Logout implements gosmtp.Session.
func (s *session) Logout() error { return nil }

// Replies to a mail.
var (
	errBusy    = &gosmtp.SMTPError{Code: 452, EnhancedCode: gosmtp.EnhancedCode{4, 3, 1}, Message: "No room for the mail at present, try again later"}
	errStore   = &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: "The mail can't be stored at present, try again later"}
	errLarge   = &gosmtp.SMTPError{Code: 552, EnhancedCode: gosmtp.EnhancedCode{5, 3, 4}, Message: "The mail is too large"}
	errLoop    = &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 4, 6}, Message: "The mail goes round in a loop"}
	errRefused = &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 7, 1}, Message: "The mail was refused"}
	errCut     = &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 4, 2}, Message: "The mail did not arrive whole"}
	errLine    = &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 6, 0}, Message: "The mail has a line of more than 64 KiB"}
)

// Data implements gosmtp.Session.
func (s *session) Data(r io.Reader) error {
	from, to := s.begin()
	defer s.end()
	if to == nil { // RSET came before the first octet
		return gosmtp.ErrDataReset
	}
	b := body{memory: s.server.memory}
	defer b.free()
	s.conn.beginBody()
	err := b.readFrom(r, s.server.limits.MailOctets)
	if err == nil && !s.whole(r) {
		err = io.ErrUnexpectedEOF
	}
	s.conn.endBody(err == nil)
	if err != nil {
		return s.unread(err)
	}
	return s.hand(Mail{Shipment: to.shipment, From: from, To: to.role, Data: b.octets})
}

// begin notes that Data runs, and returns the envelope.
func (s *session) begin() (from string, to *recipient) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receiving = true
	return s.from, s.to
}

func (s *session) end() {
	s.mu.Lock()
	s.receiving = false
	s.mu.Unlock()
}

// unread returns the reply to a mail that was not read to its end.
func (s *session) unread(err error) error {
	switch {
	case errors.Is(err, errTooLarge), errors.Is(err, gosmtp.ErrDataTooLarge):
		s.count(resultTooLarge)
		return errLarge // go-smtp reads the rest
	case errors.Is(err, errNoMemory):
		s.count(resultBusy)
		return errBusy // likewise
	case errors.Is(err, gosmtp.ErrDataReset):
		s.mu.Lock()
		defer s.mu.Unlock()
		s.giveUp()
		return err // BDAT was given up, nobody gets the reply
	case errors.Is(err, gosmtp.ErrTooLongLine):
		s.conn.stop()
		s.count(resultTooLarge)
		return errLine
	}
	s.conn.stop() // or the rest of the mail would be read as commands
	s.count(resultCut)
	return errCut
}

// whole reports whether a mail that was read to its end is whole. go-smtp takes a connection that ends within a chunk of
// BDAT for the end of the chunk. Then nothing else can be read from the connection.
func (s *session) whole(r io.Reader) bool {
	if _, chunks := r.(*io.PipeReader); !chunks {
		return true // DATA has its final dot
	}
	s.conn.mu.Lock()
	ended := s.conn.ended
	s.conn.mu.Unlock()
	encrypted, ok := s.library.Conn().(*tls.Conn)
	if ended || !ok {
		return !ended
	}
	s.probe(true)
	defer s.probe(false)
	n, err := encrypted.Read(make([]byte, 1))
	if n > 0 { // a command that was sent with the last chunk: its first octet is lost
		s.conn.stop()
	}
	return n > 0 || !errors.Is(err, io.EOF)
}

// probe makes reads from the connection return at once, or ends that. go-smtp does not read meanwhile: it waits for Data.
func (s *session) probe(on bool) {
	s.conn.mu.Lock()
	s.conn.probing = on
	s.conn.mu.Unlock()
}

// hand gives a mail to its handler, and returns the reply.
func (s *session) hand(m Mail) error {
	take, taken := s.handler.Report, resultStored
	if m.To != "" {
		take, taken = s.handler.Forward, resultForwarded
		switch {
		case looping(m.Data, s.server.config.Domain):
			s.count(resultLoop)
			return errLoop
		case !s.server.forwards.Allow():
			s.count(resultTooOften)
			return errForward
		}
	}
	err := take(s.ctx, m)
	switch {
	case err == nil:
		s.count(taken)
		s.server.log.LogAttrs(s.ctx, slog.LevelDebug, "mail received", slog.String("result", string(taken)), slog.Int("octets", len(m.Data)))
		return nil
	case errors.Is(err, ErrRefused):
		s.count(resultRefused)
		return errRefused
	}
	s.count(resultDeferred)
	s.server.seldom.Write("deferred", slog.LevelWarn, "a mail could not be stored: its sender was asked to come again", slog.Any("err", err))
	return errStore
}

func (s *session) count(r result) { s.server.metrics.count(s.conn.lmtp, r) }
