package inbound

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// Reply is a negative reply of the server.
type Reply struct {
	Code int // 4yz or 5yz
	Text string
}

func (r *Reply) Error() string { return fmt.Sprintf("%d %s", r.Code, r.Text) }

// ErrNoMailbox: none of the recipients is an address of ours.
var ErrNoMailbox = errors.New("no recipient is an address that reports come back to")

// ErrUnreachable: nobody answers at the socket.
var ErrUnreachable = errors.New("the socket can't be reached")

// submitTime bounds one command of Submit, and the wait for the reply to the mail.
const submitTime = time.Minute

// Submit gives a mail to the server behind an LMTP socket, for the first of the recipients that the server takes. The error
// is ErrNoMailbox, ErrUnreachable (wrapped), a *Reply, or that of a connection that broke: then nothing is known, and the
// mail may be submitted again.
func Submit(ctx context.Context, socket, from string, recipients []string, mail []byte) error {
	nc, err := (&net.Dialer{Timeout: submitTime}).DialContext(ctx, "unix", socket)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer context.AfterFunc(ctx, func() { nc.Close() })()
	c := gosmtp.NewClientLMTP(nc)
	c.CommandTimeout, c.SubmissionTimeout = submitTime, submitTime
	defer c.Close()
	err = submit(c, from, recipients, mail)
	var reply *gosmtp.SMTPError
	if errors.As(err, &reply) {
		return &Reply{reply.Code, reply.Message}
	}
	return err
}

func submit(c *gosmtp.Client, from string, recipients []string, mail []byte) error {
	if err := c.Hello("localhost"); err != nil {
		return err
	}
	if err := c.Mail(from, nil); err != nil {
		return err
	}
	if err := firstOf(c, recipients); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(mail); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	c.Quit() // the mail was taken: nothing else counts
	return nil
}

// firstOf names the recipients, until the server takes one.
func firstOf(c *gosmtp.Client, recipients []string) error {
	for _, to := range recipients {
		err := c.Rcpt(to, nil)
		var reply *gosmtp.SMTPError
		if errors.As(err, &reply) && reply.Code/100 == 5 {
			continue
		}
		return err
	}
	return ErrNoMailbox
}
