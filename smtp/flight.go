package smtp

import (
	"context"
	"errors"
	"time"
)

// flight sends MAIL, RCPT and DATA in one piece, where the relay offers PIPELINING (RFC 2920), and reads their
// replies in order: one round trip in place of three. The first reply that is not as it should be is
// the last that counts.
//
// A relay may reply 354 to DATA although it has refused the recipient (RFC 2920 §3.1). A lone dot would end that
// data, but some relays would deliver an empty mail: so the connection is closed instead.
func (c *conn) flight(ctx context.Context, steps []step, handoverBy time.Time) (at stage, r *reply, err error) {
	c.dead = true // until each command has its reply
	commands := make([]string, len(steps))
	for i, s := range steps {
		commands[i] = s.command
	}
	if err := c.write(ctx, sooner(handoverBy, c.relay.CommandTimeout), commands...); err != nil {
		return stageMail, nil, err
	}
	for i, s := range steps {
		r, err = c.read(ctx, sooner(handoverBy, c.relay.CommandTimeout), s.want)
		if err == nil {
			c.dirty = true
			continue
		}
		if r != nil && r.negative() && r.code != 421 {
			if err := c.rest(ctx, steps[i+1:], handoverBy); err != nil {
				return s.at, nil, err
			}
		}
		return s.at, r, err
	}
	return stageData, r, nil
}

// errOutOfStep: after a refusal, a relay can't have taken DATA.
var errOutOfStep = &Failure{ReasonProtocol, errors.New("the relay refused a command and took the next")}

// rest reads the replies to the commands after a refused one. The connection can be used again when all of them
// are refusals. An error means that it is not certain which command was refused: a reply is missing, or there
// is one more than there are commands.
func (c *conn) rest(ctx context.Context, steps []step, handoverBy time.Time) error {
	usable := true
	for _, s := range steps {
		r, err := c.read(ctx, sooner(handoverBy, c.relay.CommandTimeout), s.want)
		switch {
		case r == nil && ctx.Err() == nil && failureOf(err, ReasonProtocol).Reason == ReasonLost:
			return nil // closed after the refusal, which counts all the same
		case r == nil:
			return err
		case r.negative():
			c.reuse++
			usable = usable && r.code != 421
		case s.at == stageData && r.code != 354:
			return errOutOfStep
		default: // it takes a recipient without a sender, or awaits a mail now
			usable = false
		}
	}
	c.dead = !usable
	return nil
}
