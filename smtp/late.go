package smtp

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"straks/internal/handover"
)

// Handler takes what relays say beyond the result of a Send. Its functions must not block.
type Handler struct {
	// Late takes the reply to the final dot of a mail whose Send had ended as Unknown: Accepted,
	// or Refused. A 4yz is Refused, since nobody sends the mail again. message is Message.ID. It is
	// called at most once for a mail, by the goroutine that waited. nil: late replies are not awaited.
	Late func(message string, r Result)

	// Words takes each reply of a relay, word for word, for an operator's eyes only: a reply may quote
	// the mail or the password. nil: nobody wants them.
	Words func(relay string, verbatim func() string)
}

// listen waits for the late reply on the connection, which keeps its slot: until
// Relay.DataTimeout after the dot, or until a mail needs the slot.
func (r *relay) listen(c *conn, l *letter) {
	r.mu.Lock()
	late := r.handler.Late
	wanted := late != nil && !r.ended
	if wanted {
		r.waiting = append(r.waiting, c)
		r.listeners.Add(1)
	}
	r.mu.Unlock()
	if !wanted {
		r.missed()
		r.release(c) // dead: it is closed
		return
	}
	l.data = nil // it was written
	go func() {
		defer r.listeners.Done()
		res := c.awaitLate(l)
		if res.Code != 0 {
			r.answered(c, res)
		} else {
			r.missed()
		}
		r.mu.Lock()
		r.waiting = slices.DeleteFunc(r.waiting, func(other *conn) bool { return other == c })
		r.mu.Unlock()
		r.release(c)
		r.handLate(late, l, res)
	}()
}

// handLate passes a late reply on, if there is one.
func (r *relay) handLate(late func(string, Result), l *letter, res Result) {
	r.metrics.late.WithLabelValues(class(res.Code)).Inc()
	if res.Outcome == handover.NotSent && res.Code != 0 {
		res.Outcome, res.Refusal = handover.Refused, OtherRefusal
	}
	known := res.Outcome == handover.Accepted || res.Outcome == handover.Refused
	r.log.LogAttrs(context.Background(), slog.LevelInfo, "waited for a late reply", slog.Any("mail", l.message), slog.Bool("came", known),
		slog.String("outcome", res.Outcome.String()), slog.Int("code", res.Code), slog.String("queue_id", res.QueueID), slog.Any("error", res.Err))
	if known {
		late(l.id, res)
	}
}

// yieldAfter is how long a mail waits for a slot until the connection that has waited longest for
// a late reply is closed for it.
const yieldAfter = 100 * time.Millisecond

// slot takes a slot for a mail; false when ctx ends first.
func (r *relay) slot(ctx context.Context) bool {
	select {
	case r.slots <- struct{}{}:
		return true
	default:
	}
	yield := time.NewTicker(yieldAfter)
	defer yield.Stop()
	for {
		select {
		case r.slots <- struct{}{}:
			return true
		case <-yield.C:
			r.yield()
		case <-ctx.Done():
			return false
		}
	}
}

// yield ends the oldest wait for a late reply.
func (r *relay) yield() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 {
		r.waiting[0].close()
		r.waiting = r.waiting[1:]
	}
}

// endLate ends all waits for late replies, and allows no new ones.
func (r *relay) endLate() {
	r.mu.Lock()
	r.ended = true
	for _, c := range r.waiting {
		c.close()
	}
	r.mu.Unlock()
	r.listeners.Wait()
}
