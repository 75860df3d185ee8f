package smtp

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"straks/internal/handover"
)

// Late takes the answer to the final dot of a mail whose Send had ended as Unknown
// by then: Accepted, or Refused, as "not now" is a no now that nobody sends it
// again. message is Message.ID. It is called at most once for a mail, by the goroutine that
// waited; it must not block.
type Late func(message string, r Result)

// listen waits for a late answer on the connection, which keeps its slot until then:
// for Relay.DataTimeout after the dot at most, or until a mail needs the slot.
func (r *relay) listen(c *conn, l *letter, answer <-chan reply) {
	r.mu.Lock()
	late := r.late
	willing := late != nil && !r.ended
	if willing {
		r.listening = append(r.listening, c)
		r.joined.Add(1)
	}
	r.mu.Unlock()
	if !willing {
		c.guard.Close()
		<-answer
		r.release(c)
		return
	}
	l.data = nil // it has left
	go func() {
		defer r.joined.Done()
		res := c.result(l, <-answer)
		r.mu.Lock()
		r.listening = slices.DeleteFunc(r.listening, func(other *conn) bool { return other == c })
		r.mu.Unlock()
		c.used = time.Now()
		r.release(c)
		r.tell(late, l, res)
	}()
}

// tell passes a late answer on, if it is one.
func (r *relay) tell(late Late, l *letter, res Result) {
	r.metrics.lateReply(res)
	if res.Outcome == handover.NotSent && res.Code != 0 {
		res.Outcome, res.Refusal = handover.Refused, OtherRefusal
	}
	known := res.Outcome == handover.Accepted || res.Outcome == handover.Refused
	r.log.LogAttrs(context.Background(), slog.LevelInfo, "late answer awaited", slog.Any("mail", l.message), slog.Bool("came", known),
		slog.String("outcome", res.Outcome.String()), slog.Int("code", res.Code), slog.String("queue_id", res.QueueID), slog.Any("error", res.Err))
	if known {
		late(l.id, res)
	}
}

// lateYields is how long a mail waits for a slot until the connection that has
// awaited a late answer the longest is given up for it.
const lateYields = 100 * time.Millisecond

// slot takes one for a mail; false when ctx ends first.
func (r *relay) slot(ctx context.Context) bool {
	select {
	case r.slots <- struct{}{}:
		return true
	default:
	}
	pause := time.NewTicker(lateYields)
	defer pause.Stop()
	for {
		select {
		case r.slots <- struct{}{}:
			return true
		case <-pause.C:
			r.yield()
		case <-ctx.Done():
			return false
		}
	}
}

func (r *relay) yield() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.listening) > 0 {
		r.listening[0].guard.Close()
		r.listening = r.listening[1:]
	}
}

// silence gives up all that listen, and lets nobody begin to.
func (r *relay) silence() {
	r.mu.Lock()
	r.ended = true
	for _, c := range r.listening {
		c.guard.Close()
	}
	r.mu.Unlock()
	r.joined.Wait()
}
