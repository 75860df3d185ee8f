package smtp

import (
	"context"
	"errors"
	"fmt"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"straks/internal/handover"
)

// conn is one open connection to a relay. It belongs to one goroutine at a time.
type conn struct {
	client *gosmtp.Client
	guard  *guard
	relay  Relay
	utf8   bool      // SMTPUTF8 is offered
	dsn    bool      // DSN is offered, and wanted
	used   time.Time // when the last reply came
	mailed time.Time // when it last carried a mail, or was made
	burden int       // what it bore beside mails that were taken: see worn
	reused bool      // at least one transaction was done on it
	dirty  bool      // a transaction was left half-way: RSET before the next MAIL
	dead   bool      // not to be used again
}

// doubt is how long a connection may be idle and yet be used unasked. A peer that
// closed it shows at once (guard.silent); one that vanished shows only when asked.
const doubt = 5 * time.Second

// endurance is how many commands beside mails, and mails not taken, a connection is asked to bear.
// Exim breaks off at the 11th such command (smtp_accept_max_nonmail), Postfix takes a second
// over each reply after 10 errors, or 100 commands, without a mail.
const endurance = 9

// worn tells whether the connection should be replaced before the relay tires of it.
func (c *conn) worn() bool { return c.burden >= endurance }

// farewell bounds QUIT and its answer.
const farewell = time.Second

// ready makes sure that the connection can take a mail: quickly where it was used
// a moment ago. An error kills the connection; it is a *Failure.
func (c *conn) ready(ctx context.Context) error {
	if c.dead || !c.guard.silent() {
		c.dead = true
		return &Failure{ReasonLost, errors.New("closed by the relay while idle")}
	}
	switch {
	case c.dirty:
		return c.ask(ctx, c.reset)
	case time.Since(c.used) > doubt:
		return c.ask(ctx, c.client.Noop)
	}
	return nil
}

// reset ends a transaction that was left half-way. go-smtp wants to greet anew after RSET, and
// would within the next MAIL: a refusal would pass for one of that mail.
func (c *conn) reset() error {
	if err := c.client.Reset(); err != nil {
		return err
	}
	return c.client.Hello(c.relay.Helo)
}

// ask runs a command, or the two of reset, under the command time-out. An error kills the connection.
func (c *conn) ask(ctx context.Context, command func() error) error {
	c.burden++
	c.guard.until(earliest(ctx, time.Now().Add(c.relay.CommandTimeout)))
	stop := context.AfterFunc(ctx, func() { c.guard.Close() })
	err := command()
	if !stop() {
		err = ctx.Err()
	}
	c.used = time.Now()
	if err != nil {
		c.dead = true
		return failureOf(err, ReasonUnfit)
	}
	c.dirty = false
	return nil
}

// quit takes leave (RFC 5321 §4.1.1.10) and closes.
func (c *conn) quit() {
	if !c.dead && c.guard.silent() {
		c.guard.until(time.Now().Add(farewell))
		c.client.Quit()
	}
	c.close()
}

func (c *conn) close() {
	c.dead = true
	c.guard.Close()
}

// deliver runs one transaction. Up to the final dot it ends at latest by
// handoverBy, so that time is left for another relay; from the dot on it waits for
// the answer as long as ctx and the data time-out allow. Where ctx's deadline ends that
// wait, pending is where the answer will be: until it is, the connection is in use.
func (c *conn) deliver(ctx context.Context, l *letter, handoverBy time.Time) (res Result, pending <-chan reply) {
	start := time.Now()
	stop := context.AfterFunc(ctx, func() { c.guard.Close() })
	body, at, err := c.transact(ctx, l, handoverBy)
	cut := !stop() // the socket is closed, or about to be
	if err == nil && cut {
		err = ctx.Err() // better not sent than unknown
	}
	if err != nil {
		res = c.result(l, reply{at: at, err: err})
	} else {
		res, pending = c.finish(ctx, l, body)
	}
	if cut {
		c.dead = true
		res.Err = ended(ctx, res)
	}
	c.used, c.reused = time.Now(), true
	c.mailed = c.used
	res.took = c.used.Sub(start)
	return res, pending
}

// reply is the last one of a transaction, and the stage that it answers.
type reply struct {
	words string
	at    stage
	err   error
}

// finish writes the final dot and awaits the answer until ctx ends.
func (c *conn) finish(ctx context.Context, l *letter, body *gosmtp.DataCommand) (Result, <-chan reply) {
	c.guard.until(time.Now().Add(c.relay.DataTimeout))
	c.guard.reading.Store(false) // a small mail is not written yet, and the last reply was the one to DATA
	answer := make(chan reply, 1)
	go func() { answer <- c.end(body) }()
	select {
	case r := <-answer:
		return c.result(l, r), nil
	case <-ctx.Done():
	}
	if c.guard.awaits() && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		res := Result{Relay: c.relay.Name, Outcome: handover.Unknown, again: true}
		res.Err = ended(ctx, res)
		return res, answer
	}
	c.guard.Close()
	res := c.result(l, <-answer)
	c.dead = true
	res.Err = ended(ctx, res)
	return res, nil
}

// end writes the final dot and reads the answer.
func (c *conn) end(body *gosmtp.DataCommand) reply {
	response, err := body.CloseWithResponse()
	switch {
	case err == nil:
		return reply{words: response.StatusText, at: stageDot}
	case c.guard.broken:
		return reply{at: stageData, err: err}
	}
	return reply{at: stageDot, err: err}
}

// ended tells the context's end as the cause of a result that it brought about. A
// deadline is the relay's fault, a cancellation is not.
func ended(ctx context.Context, res Result) error {
	switch {
	case res.Code != 0:
		return res.Err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("relay %s: %w", res.Relay, &Failure{ReasonTimeout, ctx.Err()})
	}
	return fmt.Errorf("relay %s: %w", res.Relay, ctx.Err())
}

// transact does all that comes ahead of the final dot. Its error is from the stage
// that it returns.
func (c *conn) transact(ctx context.Context, l *letter, handoverBy time.Time) (*gosmtp.DataCommand, stage, error) {
	c.step(ctx, handoverBy)
	if err := c.client.Mail(l.from.String(), c.mailOptions(l)); err != nil {
		return nil, stageMail, err
	}
	c.dirty = true
	c.step(ctx, handoverBy)
	if err := c.client.Rcpt(l.to.String(), c.rcptOptions(l)); err != nil {
		return nil, stageRcpt, err
	}
	c.step(ctx, handoverBy)
	body, err := c.client.Data()
	if err != nil {
		return nil, stageData, err
	}
	c.dead = true // until the reply to the dot: nothing but the rest of the mail may follow
	c.guard.until(earliest(ctx, sooner(handoverBy, time.Now().Add(c.relay.DataTimeout))))
	_, err = body.Write(l.data)
	return body, stageData, err
}

// step begins a command: it may take the command time-out at most.
func (c *conn) step(ctx context.Context, by time.Time) {
	c.guard.until(earliest(ctx, sooner(by, time.Now().Add(c.relay.CommandTimeout))))
}

func (c *conn) mailOptions(l *letter) *gosmtp.MailOptions {
	opts := &gosmtp.MailOptions{UTF8: l.utf8, Size: int64(len(l.data))}
	if c.dsn {
		opts.Return = gosmtp.DSNReturnHeaders // the text stays out of reports
		opts.EnvelopeID = l.id
	}
	return opts
}

func (c *conn) rcptOptions(l *letter) *gosmtp.RcptOptions {
	if !c.dsn {
		return nil
	}
	opts := &gosmtp.RcptOptions{
		Notify:                []gosmtp.DSNNotify{gosmtp.DSNNotifySuccess, gosmtp.DSNNotifyFailure, gosmtp.DSNNotifyDelayed},
		OriginalRecipientType: gosmtp.DSNAddressTypeRFC822,
		OriginalRecipient:     l.to.String(),
	}
	if l.to.utf8() {
		opts.OriginalRecipientType = gosmtp.DSNAddressTypeUTF8
	}
	return opts
}

// result judges how a transaction ended and marks the connection accordingly.
func (c *conn) result(l *letter, r reply) Result {
	res := Result{Relay: c.relay.Name}
	var refused *gosmtp.SMTPError
	switch {
	case r.err == nil:
		c.dead, c.dirty = false, false
		res.Outcome, res.Code = handover.Accepted, 250
		res.QueueID, res.Text = queueID(r.words), maskReply(r.words, l)
	case errors.As(r.err, &refused):
		c.replied(&res, l, refused, r.at)
	default:
		c.dead = true
		res.Outcome = handover.NotSent
		if r.at == stageDot {
			res.Outcome = handover.Unknown
		}
		res.again = true
		res.Err = fmt.Errorf("relay %s: %w", c.relay.Name, failureOf(r.err, ReasonProtocol))
	}
	return res
}

// replied fills in res from a reply that was not the one hoped for.
func (c *conn) replied(res *Result, l *letter, reply *gosmtp.SMTPError, at stage) {
	v := judge(reply, at)
	res.Outcome, res.Refusal = v.outcome, v.refusal
	res.Code, res.Enhanced = reply.Code, reply.EnhancedCode
	res.Text = maskReply(reply.Message, l)
	negative := reply.Code/100 == 4 || reply.Code/100 == 5
	if negative {
		c.burden++
	}
	if at == stageDot && (negative || v.outcome == handover.Accepted) {
		c.dead, c.dirty = false, false // the transaction is over (RFC 5321 §4.1.1.4)
	}
	err := replyError(reply.Code, res.Text)
	switch {
	case v.outcome == handover.Accepted:
		return
	case reply.Code == 421:
		c.dead, res.again = true, true
		err = &Failure{ReasonLost, err}
	case !negative:
		c.dead = true // replies and commands are out of step
		err = &Failure{ReasonProtocol, err}
	case v.ours:
		err = &Failure{ReasonUnfit, err}
	}
	res.Err = fmt.Errorf("relay %s: %w", c.relay.Name, err)
}

// earliest returns t, or the end of ctx where that comes first.
func earliest(ctx context.Context, t time.Time) time.Time {
	if deadline, ok := ctx.Deadline(); ok {
		return sooner(deadline, t)
	}
	return t
}

func sooner(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
