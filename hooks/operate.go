package hooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// What a webhook is doing.
const (
	Up       = "up"       // it sends, or there is nothing to send
	Failing  = "failing"  // the last attempt failed, another follows
	Stopped  = "stopped"  // until an operator resumes it
	Starting = "starting" // its cursor is not read yet
)

// State is what operators see of a webhook. It has no secret, and of the URL the host only.
type State struct {
	Organisation string    `json:"organisation"`
	Name         string    `json:"name"`
	Host         string    `json:"host"`
	Changes      string    `json:"changes"`
	State        string    `json:"state"`
	Reason       string    `json:"reason,omitempty"`          // of the last failure, or of the stop
	Since        time.Time `json:"since,omitzero"`            // when the failures or the stop began
	Seq          uint64    `json:"seq"`                       // of the last entry that was taken or passed over
	Waiting      time.Time `json:"waitingSince,omitzero"`     // when the oldest entry came that waits
	Next         time.Time `json:"nextAttempt,omitzero"`      // while it is failing
	LastAttempt  time.Time `json:"lastAttempt,omitzero"`      // since the start
	LastStatus   int       `json:"lastStatus,omitempty"`      // of HTTP
	LastTook     float64   `json:"lastTookSeconds,omitempty"` // from the request to the answer's headers
	Delivered    uint64    `json:"delivered"`                 // since the start
	PassedOver   uint64    `json:"passedOver"`                // since the start
}

// States returns the state of each webhook, in the order of the configuration.
func (d *Dispatcher) States() []State {
	states := make([]State, 0, len(d.subscriptions))
	for _, s := range d.subscriptions {
		states = append(states, s.state())
	}
	return states
}

func (s *Subscription) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{Organisation: s.hook.Organisation, Name: s.hook.Name, Host: s.host, Changes: "all", State: Up, Seq: s.cursor.Seq, Waiting: s.waiting,
		LastAttempt: s.lastAt, LastStatus: s.last.status, LastTook: s.last.took.Seconds(), Delivered: s.sent, PassedOver: s.skipped}
	if s.hook.FinalOnly {
		st.Changes = "final"
	}
	switch c := s.cursor; {
	case !c.StoppedAt.IsZero():
		st.State, st.Reason, st.Since = Stopped, c.StopReason, c.StoppedAt
	case !s.loaded:
		st.State = Starting
	case !c.FailingSince.IsZero():
		st.State, st.Reason, st.Since, st.Next = Failing, s.last.reason, c.FailingSince, s.next
	}
	return st
}

// From is where a webhook goes on.
type From string

const (
	Newest From = "newest" // with the next entry that comes
	Oldest From = "oldest" // with the oldest one that is kept
)

// ErrUnknown: there is no such webhook.
var ErrUnknown = errors.New("no webhook has that name")

func (d *Dispatcher) find(organisation, name string) (*Subscription, error) {
	for _, s := range d.subscriptions {
		if s.hook.Organisation == organisation && s.hook.Name == name {
			return s, nil
		}
	}
	return nil, ErrUnknown
}

// Resume goes on with a webhook that is stopped, and tries one that is failing at once. from, unless it is empty,
// moves the cursor: entries between are not sent, or sent again.
func (d *Dispatcher) Resume(organisation, name string, from From) error {
	if from != "" && from != Newest && from != Oldest {
		return fmt.Errorf("from is %q, must be %q or %q", from, Newest, Oldest)
	}
	s, err := d.find(organisation, name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.cursor.StoppedAt, s.cursor.StopReason, s.dirty = time.Time{}, "", true
	s.from = from
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
	d.flushSoon()
	s.log.Info("webhook resumed by an operator", "host", s.host, "from", from)
	return nil
}

// Trial is what came of a test.
type Trial struct {
	ID        string  `json:"id"`               // of the request
	Delivered bool    `json:"delivered"`        // the answer was 2xx
	Status    int     `json:"status,omitempty"` // of the answer; absent: there was none
	Reason    string  `json:"reason,omitempty"` // of the failure
	Seconds   float64 `json:"seconds"`          // from the request to the answer
}

// Test sends a signed event of the type TypeTest, whose data is made up, and returns what came of it. It changes
// nothing.
func (d *Dispatcher) Test(ctx context.Context, organisation, name string) (Trial, error) {
	s, err := d.find(organisation, name)
	if err != nil {
		return Trial{}, err
	}
	now := time.Now()
	ev := event{id: organisation + ".test-" + uuid.NewString()}
	ev.body = body(TypeTest, now, s.source.Sample(organisation, now))
	out := s.attempt(ctx, ev)
	return Trial{ev.id, out.result == delivered, out.status, out.reason, out.took.Seconds()}, nil
}
