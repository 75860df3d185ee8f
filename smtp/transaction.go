package smtp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"straks/internal/handover"
)

// conn is one open connection to a relay. It belongs to one goroutine at a time.
type conn struct {
	*client
	relay   Relay
	used    time.Time // when the last reply arrived
	mailed  time.Time // when it last carried a mail, or was made
	until   time.Time // when it is too old
	mails   int       // transactions that were begun
	dotAt   time.Time // when the dot was written
	dotBy   time.Time // when the wait for the reply to the dot ends
	reuse   int       // commands besides mails, and mails not accepted: see exhausted
	carried bool      // at least one transaction was made on it
	dirty   bool      // a transaction was left half-way: RSET before the next MAIL
	dead    bool      // must not be used again
}

// maxIdle is how long a connection may be idle and yet be used without a NOOP. A peer that
// closed it is noticed at once (client.silent); a peer that vanished only by a NOOP.
const maxIdle = 5 * time.Second

// maxReuse bounds the commands besides mails, and the mails not accepted, on one connection.
// Exim breaks off at the 11th such command (smtp_accept_max_nonmail). Postfix delays each
// reply by a second after 10 errors, or 100 commands without a mail.
const maxReuse = 9

// exhausted reports whether the connection should be replaced before the relay breaks off, or is too old.
func (c *conn) exhausted() bool {
	return c.reuse >= maxReuse || c.mails >= c.relay.MaxMails || !time.Now().Before(c.until)
}

// quitTime bounds QUIT and its reply.
const quitTime = time.Second

// ready makes sure that the connection can take a mail; without a command where it was used a
// moment ago. An error is a *Failure, and the connection is dead.
func (c *conn) ready(ctx context.Context) error {
	if c.dead || !c.silent() {
		c.dead = true
		return &Failure{ReasonLost, errors.New("closed by the relay while idle")}
	}
	if c.dirty || time.Since(c.used) > maxIdle {
		return c.ping(ctx)
	}
	return nil
}

// ping has the relay reply to a NOOP, or to an RSET where a transaction was left half-way,
// within the command time-out. An error is a *Failure, and the connection is dead.
func (c *conn) ping(ctx context.Context) error {
	c.reuse++
	command := "NOOP"
	if c.dirty {
		command = "RSET"
	}
	_, err := c.ask(ctx, time.Now().Add(c.relay.CommandTimeout), 250, command)
	c.used = time.Now()
	if err != nil {
		c.dead = true
		return failureOf(err, ReasonUnfit)
	}
	c.dirty = false
	return nil
}

// leave sends QUIT where the relay still listens, and closes the connection.
func (c *conn) leave() {
	if !c.dead && c.silent() {
		c.ask(context.Background(), time.Now().Add(quitTime), 221, "QUIT")
	}
	c.abandon()
}

// abandon closes the connection for good.
func (c *conn) abandon() {
	c.dead = true
	c.close()
}

// deliver makes one transaction. Up to the final dot it ends at handoverBy, so that time is
// left for another relay. From then on it waits for the reply until Relay.DataTimeout, or
// the end of ctx. Where the deadline of ctx ends the wait, late is true: awaitLate goes on waiting.
// written is called when the dot was written.
func (c *conn) deliver(ctx context.Context, l *letter, handoverBy time.Time, written func(time.Time)) (res Result, late bool) {
	start := time.Now()
	c.mails++
	times := Times{Connection: start}
	at, r, err := c.transact(ctx, l, handoverBy)
	if err == nil {
		times.Written = time.Now()
		written(times.Written)
		c.dotAt, c.dotBy = times.Written, times.Written.Add(c.relay.DataTimeout)
		at = stageDot
		r, err = c.read(ctx, c.dotBy, 250)
		late = errors.Is(err, context.DeadlineExceeded)
	}
	res = c.result(l, at, r, err)
	c.used, c.carried = time.Now(), true
	c.mailed = c.used
	res.took = c.used.Sub(start)
	if res.Times = times; r != nil {
		res.Times.Answered = c.used
	}
	return res, late
}

// awaitLate waits for the reply to the dot after deliver has ended without it.
func (c *conn) awaitLate(l *letter) Result {
	r, err := c.read(context.Background(), c.dotBy, 250)
	c.used = time.Now()
	return c.result(l, stageDot, r, err)
}

// step is a command of a transaction.
type step struct {
	at      stage
	want    int
	command string
}

// transact makes all of a transaction up to the final dot. r is the last reply. An error is
// from the stage at.
func (c *conn) transact(ctx context.Context, l *letter, handoverBy time.Time) (at stage, r *reply, err error) {
	steps := []step{{stageMail, 250, c.mail(l)}, {stageRcpt, 25, c.rcpt(l)}, {stageData, 354, "DATA"}}
	if c.ext.offers("PIPELINING") && !c.relay.NoPipelining {
		at, r, err = c.flight(ctx, steps, handoverBy)
	} else {
		at, r, err = c.oneByOne(ctx, steps, handoverBy)
	}
	if err != nil {
		return at, r, err
	}
	c.dead = true // until the reply to the dot: only the rest of the mail may follow
	err = c.body(ctx, sooner(handoverBy, c.relay.DataTimeout), time.Now().Add(c.relay.DataTimeout), l.data)
	return stageData, nil, err
}

// oneByOne awaits the reply to each command before the next is sent.
func (c *conn) oneByOne(ctx context.Context, steps []step, handoverBy time.Time) (at stage, r *reply, err error) {
	for _, s := range steps {
		r, err = c.ask(ctx, sooner(handoverBy, c.relay.CommandTimeout), s.want, s.command)
		if err != nil {
			return s.at, r, err
		}
		c.dirty = true
	}
	return stageData, r, nil
}

// unable returns why the relay can't take the letter, by what it offered in EHLO; nil if it can.
func (c *conn) unable(l *letter) error {
	if l.utf8 && !c.ext.offers("SMTPUTF8") {
		return errNoUTF8
	}
	if limit := c.ext.size(); limit > 0 && int64(len(l.data)) > limit {
		return fmt.Errorf("%w: %d octets, its SIZE is %d", errTooLarge, len(l.data), limit)
	}
	return nil
}

// sooner returns by, or the end of the time-out that begins now if that is earlier.
func sooner(by time.Time, timeout time.Duration) time.Time {
	if t := time.Now().Add(timeout); t.Before(by) {
		return t
	}
	return by
}

// asksForReports reports whether the relay is asked for reports (RFC 3461).
func (c *conn) asksForReports(l *letter) bool {
	return l.message.Reports && !c.relay.NoDSN && c.ext.offers("DSN")
}

// mail returns the MAIL command with the parameters that the relay offers.
func (c *conn) mail(l *letter) string {
	command := "MAIL FROM:<" + l.returnPath + ">"
	if c.ext.offers("8BITMIME") {
		command += " BODY=8BITMIME" // RFC 6152
	}
	if c.ext.offers("SIZE") {
		command += fmt.Sprintf(" SIZE=%d", len(l.data)) // RFC 1870
	}
	if l.utf8 {
		command += " SMTPUTF8" // RFC 6531
	}
	if c.asksForReports(l) {
		command += " RET=HDRS ENVID=" + l.id // HDRS: the text of the mail stays out of reports
	}
	return command
}

// xtext and unitext encode an address in ORCPT: RFC 3461 §4, RFC 6533 §3. parseAddress lets no
// other character through that must be encoded.
var (
	xtext   = strings.NewReplacer("+", "+2B", "=", "+3D")
	unitext = strings.NewReplacer("+", `\x{2B}`, "=", `\x{3D}`)
)

// rcpt returns the RCPT command.
func (c *conn) rcpt(l *letter) string {
	to := l.to.String()
	command := "RCPT TO:<" + to + ">"
	switch {
	case !c.asksForReports(l):
		return command
	case l.to.utf8():
		return command + " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=utf-8;" + unitext.Replace(to)
	}
	return command + " NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;" + xtext.Replace(to)
}

// result turns the last reply of a transaction, or the error instead of it, into a Result, and marks
// the connection accordingly.
func (c *conn) result(l *letter, at stage, r *reply, err error) Result {
	if r != nil {
		return c.replied(l, at, r)
	}
	c.dead = true
	res := Result{Relay: c.relay.Name, Outcome: handover.NotSent, Reports: c.asksForReports(l), again: true}
	if at == stageDot {
		res.Outcome = handover.Unknown
	}
	if !errors.Is(err, context.Canceled) { // a cancellation is not the relay's fault
		err = failureOf(err, ReasonProtocol)
	}
	res.Err = fmt.Errorf("relay %s: %w", c.relay.Name, err)
	return res
}

// replied returns the Result of a reply.
func (c *conn) replied(l *letter, at stage, r *reply) Result {
	d := classify(r, at)
	res := Result{Relay: c.relay.Name, Outcome: d.outcome, Code: r.code, Enhanced: r.enhanced, Reports: c.asksForReports(l)}
	if d.outcome == handover.Refused {
		res.Refusal = d.refusal
	} else if r.is(5) {
		res.declined, res.otherwise = true, d.refusal
		res.fresh = connectionLimit(r)
	}
	if r.negative() {
		c.reuse++
	}
	if at == stageRcpt {
		res.deferral = deferral(r)
	}
	c.dead = c.dead || res.fresh || at == stageRcpt && r.enhanced == postscreened
	if at == stageDot && (r.negative() || d.outcome == handover.Accepted) {
		c.dead, c.dirty = false, false // the transaction is over (RFC 5321 §4.1.1.4)
	}
	var err error = r
	switch {
	case d.outcome == handover.Accepted:
		res.QueueID = queueID(r.text, l)
		return res
	case r.code == 421:
		c.dead, res.again = true, true
		err = &Failure{ReasonLost, err}
	case !r.negative():
		c.dead = true // replies and commands are out of step
		err = &Failure{ReasonProtocol, err}
	case d.ours:
		err = &Failure{ReasonUnfit, err}
	}
	res.Err = fmt.Errorf("relay %s: %w", c.relay.Name, err)
	return res
}
