package daemon

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"straks/hooks"
	"straks/internal/printable"
	"straks/internal/pumping"
	"straks/orders"
	"straks/smpp"
	"straks/smtp"
)

// Status is what /status serves and "straks status" prints.
type Status struct {
	Version  string              `json:"version"`
	Ready    bool                `json:"ready"`
	Reason   string              `json:"reason,omitempty"`     // why it is not ready
	Store    bool                `json:"store"`                // orders can be stored
	Send     bool                `json:"send"`                 // messages of each channel can be sent, here or by another node
	Handed   string              `json:"handedOver,omitempty"` // what only other nodes can send
	Node     *NodeState          `json:"node,omitempty"`       // where several nodes share the journal
	Silent   string              `json:"silent,omitempty"`     // carriers that do not answer, while it is ready with others
	InFlight int                 `json:"inFlight"`             // orders between request and outcome
	SMSC     []smpp.BindState    `json:"smsc"`
	Relay    []smtp.RelayState   `json:"relay"`
	Webhook  []hooks.State       `json:"webhook"`
	Cost     *Cost               `json:"cost,omitempty"`    // absent: nothing has a price
	Pumping  []pumping.Suspicion `json:"pumping,omitempty"` // suspected now
	Journal  any                 `json:"journal"`           // of the engine: bolt.Stats
}

// carriers returns the states of all carriers.
func (d *Daemon) carriers() Status {
	s := Status{SMSC: []smpp.BindState{}, Relay: []smtp.RelayState{}}
	if d.gateway != nil {
		s.SMSC = d.gateway.States()
	}
	if d.pool != nil {
		s.Relay = d.pool.States()
	}
	return s
}

// Status returns what /status serves now.
func (d *Daemon) Status() Status {
	version, _, _ := Version()
	s := d.carriers()
	s.Version, s.InFlight = version, d.service.InFlight()
	if err := d.Ready(); err != nil {
		s.Reason = err.Error() + d.nextAttempt(time.Now(), orders.SMS, orders.Email)
	}
	s.Ready = s.Reason == ""
	s.Store, s.Send = d.canStore() == nil, true
	for _, channel := range d.inUse() {
		_, why := d.canSend(channel)
		s.Send = s.Send && why == nil
	}
	s.Handed, s.Node = d.handedOver(), d.nodeState()
	if s.Ready {
		s.Silent = silentCarriers(s.SMSC, s.Relay)
	}
	s.Journal, s.Webhook, s.Cost, s.Pumping = d.journal.Levels(), d.hooks.States(), d.cost(), d.pumping.Suspicions()
	return s
}

// nextAttempt continues the reason why the channels can't send: "; next attempt to connect in 56 s". It is empty where none
// is planned.
func (d *Daemon) nextAttempt(now time.Time, channels ...orders.Channel) string {
	var first time.Time
	consider := func(next time.Time) {
		if !next.IsZero() && (first.IsZero() || next.Before(first)) {
			first = next
		}
	}
	states := d.carriers()
	for _, c := range channels {
		if err := d.service.ReadyFor(c); err == nil || errors.Is(err, orders.ErrNoChannel) {
			continue
		}
		if c == orders.Email {
			for _, r := range states.Relay {
				consider(r.Next)
			}
			continue
		}
		for _, b := range states.SMSC {
			consider(b.Next)
		}
	}
	if first.IsZero() || d.draining.Load() {
		return ""
	}
	return fmt.Sprintf("; next attempt to connect in %d s", int(math.Ceil(max(first.Sub(now).Seconds(), 1))))
}

// silentCarriers returns what the carriers that do not answer say of themselves; empty if there are none.
func silentCarriers(smscs []smpp.BindState, relays []smtp.RelayState) string {
	var all []string
	for _, b := range smscs {
		if b.Overdue > 0 && !slices.Contains(all, b.Reason) { // each of its binds says so
			all = append(all, b.Reason)
		}
	}
	for _, r := range relays {
		if r.Overdue > 0 {
			all = append(all, r.Reason)
		}
	}
	return strings.Join(all, "; ")
}

// UnderWay returns "1 order under way", "2 orders under way".
func UnderWay(orders int) string {
	if orders == 1 {
		return "1 order under way"
	}
	return fmt.Sprintf("%d orders under way", orders)
}

// statusLine is what systemctl shows. It must never block: systemd restarts a
// daemon that cannot say how it is.
func (d *Daemon) statusLine() string {
	line := UnderWay(d.service.InFlight())
	if err := d.Ready(); err != nil {
		return line + "; not ready: " + printable.Line(err.Error())
	}
	s := d.carriers()
	if silent := silentCarriers(s.SMSC, s.Relay); silent != "" {
		return line + "; ready, but " + printable.Line(silent)
	}
	return line + "; ready"
}
