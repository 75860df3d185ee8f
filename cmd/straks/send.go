package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"straks/api/client"
)

// maxText bounds what is read from stdin, in octets, like the server does.
const maxText = 1 << 20

// draft is a message as the command line gives it.
type draft struct {
	to, sender, subject, key, reference string
	html, wait                          bool
	ttl                                 time.Duration
	text                                string
}

func sendCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "send sms|email [flags] [TEXT]", map[string]action{"sms": sendSMS, "email": sendEmail})
}

func sendSMS(ctx context.Context, args []string, e env) error {
	var d draft
	fs := newFlags("send sms -to NUMBER [flags] [TEXT]")
	fs.StringVar(&d.to, "to", "", "phone `number`, international: +4799999999")
	fs.DurationVar(&d.ttl, "ttl", time.Hour, "how long the message is worth delivering, 1m to 48h")
	if err := d.parse(ctx, fs, args, e); err != nil {
		return err
	}
	return d.send(ctx, e, func(c *client.Client) (client.Placed, error) {
		return c.SendSMS(ctx, client.SMS{
			IdempotencyID:    d.key,
			SendersReference: d.reference,
			Recipient: client.SMSRecipient{PhoneNumber: d.to, TTLSeconds: int(d.ttl.Seconds()),
				Settings: client.SMSSettings{Sender: d.sender, Body: d.text}},
		})
	})
}

func sendEmail(ctx context.Context, args []string, e env) error {
	var d draft
	fs := newFlags("send email -to ADDRESS -subject SUBJECT [flags] [TEXT]")
	fs.StringVar(&d.to, "to", "", "e-mail `address`")
	fs.StringVar(&d.subject, "subject", "", "subject")
	fs.BoolVar(&d.html, "html", false, "the text is HTML")
	if err := d.parse(ctx, fs, args, e); err != nil {
		return err
	}
	kind := "Plain"
	if d.html {
		kind = "Html"
	}
	return d.send(ctx, e, func(c *client.Client) (client.Placed, error) {
		return c.SendEmail(ctx, client.Email{
			IdempotencyID:    d.key,
			SendersReference: d.reference,
			Recipient: client.EmailRecipient{EmailAddress: d.to,
				Settings: client.EmailSettings{Subject: d.subject, Body: d.text, Sender: d.sender, ContentType: kind}},
		})
	})
}

// parse reads the flags that both kinds have, and the text: an operand, or else stdin.
func (d *draft) parse(ctx context.Context, fs *flags, args []string, e env) error {
	fs.StringVar(&d.sender, "sender", "", "sender, if not the default one")
	fs.StringVar(&d.key, "key", "", "idempotency `id`; the same id is never sent twice (default: a new one)")
	fs.StringVar(&d.reference, "reference", "", "your reference, echoed in the feed")
	fs.BoolVar(&d.wait, "wait", false, "wait for the final status")
	fs.notes = sendExits
	operands, err := fs.parse(args, e, "sms|email", "[TEXT]")
	if err != nil {
		return err
	}
	if d.to == "" {
		return misused("send: -to is missing; usage: straks %s", fs.synopsis)
	}
	if d.key == "" {
		d.key = uuid.NewString()
	}
	if len(operands) == 2 {
		d.text = operands[1]
		return nil
	}
	d.text, err = readText(ctx, e.stdin)
	return err
}

// readText reads the text from stdin, until it ends or ctx does: who is asked for it may
// not know.
func readText(ctx context.Context, stdin io.Reader) (string, error) {
	var text []byte
	read := make(chan error, 1)
	go func() {
		var err error
		text, err = io.ReadAll(io.LimitReader(stdin, maxText+1))
		read <- err
	}()
	select {
	case err := <-read:
		if err == nil && len(text) > maxText {
			err = misused("send: the text on standard input is longer than %d octets", maxText)
		}
		return string(text), err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// send places the order and says what became of it.
func (d *draft) send(ctx context.Context, e env, place func(*client.Client) (client.Placed, error)) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	placed, err := place(c)
	if err != nil {
		err = advise(err)
		if !surelyRefused(err) {
			err = fmt.Errorf("%w\nRepeating it with -key %s is safe: it never sends twice", err, d.key)
		}
		return err
	}
	return d.tell(ctx, c, placed, e)
}

// surelyRefused tells that repeating the very order is of no use. Any other error may be
// one of a proxy before straks, which has sent the order.
func surelyRefused(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Status < http.StatusInternalServerError && p.Status != http.StatusRequestTimeout && !p.Temporary()
}
