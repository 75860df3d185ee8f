package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"straks/api/client"
	"straks/internal/printable"
)

// maxText bounds the text read from stdin, in octets, as the server does.
const maxText = 1 << 20

// draft is a message as the command line has it.
type draft struct {
	to, sender, subject, key, reference string
	html, wait                          bool
	ttl                                 time.Duration
	text                                string
}

func sendCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "send sms|email [flags] [TEXT]", []command{
		{"sms", "send one SMS", sendSMS},
		{"email", "send one e-mail", sendEmail},
	})
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

// parse reads the flags of both kinds, and the text: an operand, or else stdin.
func (d *draft) parse(ctx context.Context, fs *flags, args []string, e env) error {
	fs.StringVar(&d.sender, "sender", "", "sender, if not the default one")
	fs.StringVar(&d.key, "key", "", "idempotency `id`; an id is never sent twice (default: a new one)")
	fs.StringVar(&d.reference, "reference", "", "your reference, echoed in the feed")
	fs.BoolVar(&d.wait, "wait", false, "wait for the final status")
	fs.notes = sendExits
	operands, err := fs.parse(args, e, "sms|email", "[TEXT]", "[more…]")
	if err != nil {
		return err
	}
	if len(operands) > 2 {
		return misused("send: the text is one argument: put it in quotes; usage: straks %s", fs.synopsis)
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
	if isTerminal(e.stdin) {
		fmt.Fprintln(e.stderr, "reading the text from standard input; end it with Ctrl-D")
	}
	d.text, err = readText(ctx, e.stdin)
	return err
}

// readText reads the text from stdin until it ends or ctx does.
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

// send places the order and prints what became of it.
func (d *draft) send(ctx context.Context, e env, place func(*client.Client) (client.Placed, error)) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	placed, err := place(c)
	if err != nil {
		err = advise(err)
		if !surelyRefused(err) {
			err = fmt.Errorf("%w\nRepeating it with -key %s is safe: a key is never sent twice", err, d.key)
		}
		return err
	}
	return d.report(ctx, c, placed, e)
}

// surelyRefused reports whether repeating the order is useless. Any other error may
// come from a proxy in front of a straks that has sent the order.
func surelyRefused(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Status < http.StatusInternalServerError && p.Status != http.StatusRequestTimeout && !p.Temporary()
}

// sendExits is the contract with scripts.
const sendExits = `Exit status:
  0  the carrier accepted it, or may have: "perhaps sent" means that it has not
     answered; with -wait: delivered
  1  not known to be sent; the reason is on stderr. Repeating it with the same -key
     is safe in any case: a key is never sent twice
  2  the command line is wrong
  3  the carrier refused it for good, or it has failed since, and the same key sends
     nothing any more; with -wait: not delivered
`

// endedError is the final status of a message that was not delivered: exit code 3.
type endedError string

func (e endedError) Error() string {
	return fmt.Sprintf("it ended as %s; the same key sends nothing any more. To try again, use a new -key", string(e))
}

// report prints what became of an order that was accepted. The answer alone does not
// say: 201 is also the answer where the carrier refused the message for good.
func (d *draft) report(ctx context.Context, c *client.Client, placed client.Placed, e env) error {
	s, err := c.Shipment(ctx, placed.ShipmentID)
	fmt.Fprintf(e.stdout, "%s: shipment %s, order %s, key %s\n", outcome(placed, s), printable.Text(placed.ShipmentID), printable.Text(placed.OrderID), d.key)
	if err == nil && d.wait {
		s, err = await(ctx, c, s, e)
	}
	if err != nil {
		return fmt.Errorf("%w\nThe order was accepted; \"straks shipment %s\" shows its status", advise(err), placed.ShipmentID)
	}
	if s.Failed() {
		return endedError(statusOf(s))
	}
	return nil
}

// outcome returns what became of an order so far. s may be empty: not known.
func outcome(placed client.Placed, s client.Shipment) string {
	now := statusOf(s)
	switch {
	case !placed.Created:
		return "ordered before with this key; nothing was sent now" + choose(now == "", "", "; "+now)
	case now == "":
		return "ordered"
	case s.Failed():
		return "failed, " + now
	case strings.HasSuffix(now, "_New"), strings.HasSuffix(now, "_Sending"):
		return "perhaps sent: the carrier did not answer in time. It may arrive, and is never sent again; a receipt or the end of its time settles it"
	}
	return "sent"
}

// statusOf returns the status of the recipient, empty where the shipment is not known.
func statusOf(s client.Shipment) string {
	if len(s.Recipients) == 0 {
		return ""
	}
	return printable.Text(s.Recipients[0].Status)
}

// await prints the shipment at each change until its status is final.
func await(ctx context.Context, c *client.Client, s client.Shipment, e env) (client.Shipment, error) {
	var last string
	for {
		if now := line(s); now != last {
			fmt.Fprintln(e.stdout, now)
			last = now
		}
		if s.Final() {
			return s, nil
		}
		if err := pause(ctx, pollEvery); err != nil {
			return s, err
		}
		next, err := c.Shipment(ctx, s.ShipmentID)
		if err != nil {
			return s, err
		}
		s = next
	}
}
