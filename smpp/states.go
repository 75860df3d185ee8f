package smpp

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// State is the state of a bind.
type State string

const (
	StateConnecting State = "connecting" // being bound, or about to be
	StateBound      State = "bound"
	StateStalled    State = "stalled" // bound, but responses are overdue; used when there is nothing else
	StateDown       State = "down"    // the last attempt to bind failed
	StateRefused    State = "refused" // it failed because the SMSC refused our credentials
	StateClosing    State = "closing"
	StateClosed     State = "closed"

	// While processes share the binds of an account.
	StateElsewhere  State = "elsewhere"   // another process has the bind
	StateTakingOver State = "taking_over" // it was another's, whose session the SMSC still counts
)

var states = []State{StateConnecting, StateBound, StateStalled, StateDown, StateRefused, StateClosing, StateClosed, StateElsewhere, StateTakingOver}

// BindState is the state of one bind, with its numbers.
type BindState struct {
	SMSC     string    `json:"smsc"`
	Bind     string    `json:"bind"` // like "telco/1"; with separate binds "telco/1t" and "telco/1r"
	Mode     string    `json:"mode"` // "transceiver", "transmitter" or "receiver"
	Addr     string    `json:"addr"` // of the last attempt
	State    State     `json:"state"`
	Reason   string    `json:"reason,omitempty"` // why it is not bound
	Since    time.Time `json:"since"`            // of the last change between the states
	Next     time.Time `json:"next,omitzero"`    // of the next attempt to bind; zero while none is planned
	Paused   time.Time `json:"paused,omitzero"`  // since when no message starts on the SMSC, by an operator; zero: it is not so
	InFlight int       `json:"inFlight"`         // slots of the window in use
	Window   int       `json:"window"`           // 0 for a receiver
	Rate     float64   `json:"rate"`             // submits per second that are allowed now; 0 for no limit
	Ceiling  float64   `json:"ceiling"`          // the configured one; 0 for none

	// Overdue is for how long the SMSC has not answered any submit, whichever bind it was on; 0 while it
	// answers. Nanoseconds in JSON.
	Overdue time.Duration `json:"overdue,omitempty"`

	Binds        uint64            `json:"binds"`        // how often it was bound
	Answers      map[string]uint64 `json:"answers"`      // responses by command_status: "ESME_ROK", "ESME_RTHROTTLED", …
	ResponseTime time.Duration     `json:"responseTime"` // moving mean; nanoseconds in JSON
}

// States returns the state of every bind, in the configuration's order.
func (g *Gateway) States() []BindState {
	now := time.Now()
	var all []BindState
	for _, c := range g.smscs() {
		for _, b := range c.binds {
			all = append(all, g.slots.fill(b, g.shown(b), now))
		}
		for _, b := range c.receivers {
			all = append(all, g.shown(b))
		}
	}
	return all
}

// shown returns the state of a bind, with the reason of one that is another process's.
func (g *Gateway) shown(b *bind) BindState {
	state := b.shown()
	if state.State == StateElsewhere {
		state.Reason = cmp.Or(g.shared.WhoHas(b.smsc.Name, b.share.n), state.Reason)
	}
	return state
}

func (b *bind) shown() BindState {
	b.mu.Lock()
	defer b.mu.Unlock()
	state := b.state
	state.Answers = maps.Clone(b.responses)
	return state
}

// fill adds the numbers of a bind that submits.
func (s *slots) fill(b *bind, state BindState, now time.Time) BindState {
	state.Window, state.Ceiling, state.Rate = b.smsc.Window, b.smsc.Rate, b.pacer.current(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	state.InFlight = b.inFlight
	if b.smsc.paused {
		state.Paused = b.smsc.pausedAt
	}
	if state.State != StateBound {
		return state
	}
	if b.leaving {
		state.State, state.Reason = StateClosing, givenUp
		return state
	}
	silence := &b.smsc.silence
	if state.Overdue = silence.Overdue(now); state.Overdue > 0 {
		state.State, state.Reason, state.Since = StateStalled, silence.NewError(b.smsc.Name, now).Error(), silence.Since()
	} else if b.stalled(now) {
		state.State, state.Reason, state.Since = StateStalled, "responses are overdue", b.progress
	}
	return state
}

// queued returns how many messages wait for a slot, by SMSC.
func (s *slots) queued(all []*smsc) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := make(map[string]int, len(all))
	for _, c := range all {
		n[c.Name] = c.queue.Len()
	}
	return n
}

// Ready returns nil when at least one bind can submit, to an SMSC that answers; else the state
// of each.
func (g *Gateway) Ready() error {
	var silent, down []string
	for _, b := range g.States() {
		switch {
		case b.Window == 0:
		case !b.Paused.IsZero():
			silent = append(silent, b.SMSC+" is paused by an operator")
		case b.Overdue > 0:
			silent = append(silent, b.Reason)
		case b.State == StateBound || b.State == StateStalled:
			return nil
		case b.State == StateRefused:
			silent = append(silent, fmt.Sprintf("%s refuses our account (%s): check system_id, the password and system_type", b.SMSC, b.Reason))
		default:
			down = append(down, strings.TrimSuffix(fmt.Sprintf("%s is %s: %s", b.Bind, b.State, b.Reason), ": "))
		}
	}
	why := slices.Compact(silent)
	if len(down) > 0 {
		why = append(why, "no bind is up: "+strings.Join(down, "; "))
	}
	return errors.New(strings.Join(why, "; "))
}
