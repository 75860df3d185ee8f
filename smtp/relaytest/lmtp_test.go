package relaytest

import (
	"io"
	"slices"
	"sync"

	gosmtp "github.com/emersion/go-smtp"
)

// lmtpBox is an LMTP server's: it defers the first mails, and refuses those to refused@.
type lmtpBox struct {
	mu   sync.Mutex
	busy int
	all  []string
}

func (b *lmtpBox) to() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.all)
}

type boxSession struct {
	box *lmtpBox
	to  string
}

func (s *boxSession) Mail(string, *gosmtp.MailOptions) error { return nil }

func (s *boxSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if s.to = to; to == "refused@x.example" {
		return &gosmtp.SMTPError{Code: 550, Message: "no"}
	}
	return nil
}

func (s *boxSession) Data(r io.Reader) error {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return err
	}
	s.box.mu.Lock()
	defer s.box.mu.Unlock()
	if s.box.busy > 0 {
		s.box.busy--
		return &gosmtp.SMTPError{Code: 451, Message: "later"}
	}
	s.box.all = append(s.box.all, s.to)
	return nil
}

func (s *boxSession) Reset()        {}
func (s *boxSession) Logout() error { return nil }
