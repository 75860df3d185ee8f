package daemon

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"straks/console"
	"straks/internal/audit"
	"straks/internal/recent"
	"straks/orders"
	"straks/smpp"
	"straks/smtp"
)

// operable are carriers of one kind that an operator can control.
type operable interface {
	Pause(name string) error
	Drain(name string) error
	Resume(name string) error
	TryNow(name string) error
}

// What stands before the name of a carrier for an operator, where an SMSC and a relay have the same: no name has a colon.
const (
	smscKind  = "smsc:"
	relayKind = "relay:"
)

// named returns the carriers that have the one of that name, and its name among them.
func (d *Daemon) named(name string) (c operable, own string, err error) {
	kind, own := "", name
	for _, k := range []string{smscKind, relayKind} {
		if rest, ok := strings.CutPrefix(name, k); ok {
			kind, own = k, rest
		}
	}
	states := d.carriers()
	smsc := kind != relayKind && slices.ContainsFunc(states.SMSC, func(b smpp.BindState) bool { return b.SMSC == own })
	relay := kind != smscKind && slices.ContainsFunc(states.Relay, func(r smtp.RelayState) bool { return r.Name == own })
	switch {
	case smsc && relay:
		return nil, "", errRequest(fmt.Sprintf("an SMSC and a relay are called %q: say %s%s or %s%s", own, smscKind, own, relayKind, own))
	case smsc:
		return d.gateway, own, nil
	case relay:
		return d.pool, own, nil
	}
	return nil, "", noCarrier(name)
}

// operate has the carrier of that name do what an operator asks for.
func (d *Daemon) operate(carrier, what string) error {
	c, name, err := d.named(carrier)
	if err != nil {
		return err
	}
	switch console.Action(what) {
	case console.Pause:
		return c.Pause(name)
	case console.Drain:
		return c.Drain(name)
	case console.Resume:
		return c.Resume(name)
	case console.TryNow:
		return c.TryNow(name)
	}
	return errRequest(fmt.Sprintf("the action is %q, want pause, drain, resume or try", what))
}

// noCarrier is the error for a name that no carrier has.
type noCarrier string

func (e noCarrier) Error() string { return fmt.Sprintf("no SMSC or relay is called %q", string(e)) }

// Is reports whether the console takes the error for this one.
func (e noCarrier) Is(target error) bool { return target == console.ErrNone }

// operateCarrier is POST /carriers/{name}/{what}, for "straks carrier". Each is a line in the log, with who and why.
func (d *Daemon) operateCarrier(w http.ResponseWriter, r *http.Request) {
	name, what := r.PathValue("name"), r.PathValue("what")
	err := d.operate(name, what)
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	q := r.URL.Query()
	d.operated(r, audit.Event{Action: audit.ChangeCarrier, Object: name + " " + what, Outcome: outcome, Reason: q.Get("reason")}, q.Get("by"))
	d.log.Info("carrier changed by an operator", "carrier", cut(name), "what", cut(what), "outcome", outcome,
		"by", cut(q.Get("by")), "reason", cut(q.Get("reason")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	writeJSON(w, struct{}{})
}

// Do implements console.Carriers.
func (s *consoleSource) Do(name string, what console.Action) error {
	return s.operate(name, string(what))
}

// Carrier implements console.Carriers. Of an SMSC and a relay with the same name, the name alone is the SMSC's.
func (s *consoleSource) Carrier(name string) (console.Carrier, error) {
	for _, c := range s.carrierStates() {
		if c.Name == name || c.Name == smscKind+name {
			return c, nil
		}
	}
	return console.Carrier{}, console.ErrNone
}

// carrierStates returns all carriers, the SMSCs first, in the order of the configuration.
func (s *consoleSource) carrierStates() (all []console.Carrier) {
	states := s.carriers()
	for i := 0; i < len(states.SMSC); {
		n := i
		for n < len(states.SMSC) && states.SMSC[n].SMSC == states.SMSC[i].SMSC {
			n++
		}
		all = append(all, s.smscOf(states.SMSC[i:n]))
		i = n
	}
	for _, r := range states.Relay {
		all = append(all, s.relayOf(r))
	}
	named := make(map[string]int)
	for _, c := range all {
		named[c.Name]++
	}
	for i := range all {
		c := &all[i]
		full := smscKind + c.Name
		if c.Channel == orders.Email.String() {
			full = relayKind + c.Name
		}
		c.Minutes, c.Hour = s.carrierTraffic(recent.Minutes, full), s.carrierTraffic(recent.Hour, full)
		c.LastSuccess = s.recent.Changed("carrier/" + full + "/accepted")
		if named[c.Name] > 1 {
			c.Name = full
		}
	}
	return all
}

// smscOf shows an SMSC: the sum of its binds.
func (s *consoleSource) smscOf(binds []smpp.BindState) console.Carrier {
	c := console.Carrier{CarrierNow: console.CarrierNow{Name: binds[0].SMSC, Channel: orders.SMS.String(), State: smscState(binds)}, Routes: true}
	answers := make(map[string]uint64)
	for _, b := range binds {
		c.Connections = append(c.Connections, console.Connection{Name: b.Bind, Mode: b.Mode, Address: b.Addr, State: string(b.State), Since: b.Since,
			Next: b.Next, Reason: b.Reason, InFlight: b.InFlight, Window: b.Window, Rate: b.Rate, ResponseTime: b.ResponseTime, Connects: b.Binds})
		c.InFlight, c.Window = c.InFlight+b.InFlight, c.Window+b.Window
		for code, n := range b.Answers {
			answers[code] += n
		}
		if !usable(b) {
			c.Reason = cmp.Or(c.Reason, b.Reason)
		}
		if b.Since.After(c.Since) {
			c.Since = b.Since
		}
		if c.NextAttempt.IsZero() || !b.Next.IsZero() && b.Next.Before(c.NextAttempt) {
			c.NextAttempt = b.Next
		}
	}
	switch c.State {
	case console.Up:
		c.Reason = ""
	case console.Paused:
		c.Reason, c.Since = "", pausedSince(binds)
	}
	for _, code := range slices.Sorted(maps.Keys(answers)) {
		c.Answers = append(c.Answers, console.Code{Code: code, Reading: s.gateway.Reading(c.Name, code), Count: answers[code]})
	}
	counts, last := s.sms.Receipts(c.Name)
	c.LastReceipt = last
	for _, said := range counts {
		code := console.Code{Code: cmp.Or(said.Said, "–"), Count: said.Count}
		if said.Status.Valid() {
			code.Reading = said.Status.String()
		}
		c.Receipts = append(c.Receipts, code)
	}
	return c
}

// smscState returns the state of an SMSC as a whole.
func smscState(binds []smpp.BindState) console.CarrierState {
	count := func(is func(smpp.BindState) bool) (n int) {
		for _, b := range binds {
			if is(b) {
				n++
			}
		}
		return n
	}
	in := func(state smpp.State) int { return count(func(b smpp.BindState) bool { return b.State == state }) }
	up, elsewhere := count(usable), in(smpp.StateElsewhere)
	switch paused := !pausedSince(binds).IsZero(); {
	case paused && in(smpp.StateClosed) == len(binds):
		return console.Drained
	case paused && in(smpp.StateClosing) > 0:
		return console.Draining
	case paused:
		return console.Paused
	case count(func(b smpp.BindState) bool { return b.Overdue > 0 }) > 0:
		return console.Silent
	case elsewhere == len(binds):
		return console.Elsewhere
	case up == len(binds)-elsewhere:
		return console.Up
	case up > 0:
		return console.Partly
	case in(smpp.StateRefused) > 0:
		return console.Refused
	}
	return console.Down
}

// usable reports whether a bind is up, and answers.
func usable(b smpp.BindState) bool {
	return b.State == smpp.StateBound || b.State == smpp.StateStalled && b.Overdue == 0
}

// pausedSince returns when an operator paused the SMSC; zero while it is not paused. A bind that only receives does
// not say so.
func pausedSince(binds []smpp.BindState) (at time.Time) {
	for _, b := range binds {
		if !b.Paused.IsZero() {
			at = b.Paused
		}
	}
	return at
}

// relayOf shows a relay.
func (s *consoleSource) relayOf(r smtp.RelayState) console.Carrier {
	c := console.Carrier{CarrierNow: console.CarrierNow{Name: r.Name, Channel: orders.Email.String(), Since: r.Since, Reason: r.Reason,
		NextAttempt: r.Next, InFlight: r.InUse, Window: r.MaxConns}}
	state := "down"
	switch {
	case !r.Paused.IsZero() && r.Open == 0:
		c.State, c.Reason = console.Drained, ""
	case !r.Paused.IsZero():
		c.State, state, c.Since = console.Paused, "bound", r.Paused
	case r.Overdue > 0:
		c.State, state = console.Silent, "stalled"
	case r.Up && r.Troubled:
		c.State, state = console.Partly, "bound"
	case r.Up:
		c.State, state, c.Reason = console.Up, "bound", ""
	default:
		c.State = console.Down
	}
	c.Connections = []console.Connection{{Name: r.Name, Address: r.Addr, State: state, Since: r.Since, Next: r.Next, Reason: c.Reason, InFlight: r.InUse, Window: r.MaxConns}}
	for class, n := range s.replies(r.Name) {
		c.Answers = append(c.Answers, console.Code{Code: class, Reading: class, Count: n})
	}
	slices.SortFunc(c.Answers, func(a, b console.Code) int { return strings.Compare(a.Code, b.Code) })
	return c
}

// Route implements console.Carriers.
func (s *consoleSource) Route(q console.RouteQuestion) (console.RouteAnswer, error) {
	if s.sms == nil || !s.config().Has(q.Organisation) {
		return console.RouteAnswer{}, errRequest("no organisation has that name")
	}
	number, err := s.config().NumberRules()[q.Organisation].Parse(q.Number)
	if err != nil {
		return console.RouteAnswer{}, errRequest("the number " + err.Error())
	}
	plan := s.sms.Explain(orders.Message{Organisation: q.Organisation, To: orders.Recipient(number), From: q.Sender, Body: "Your code is 123456", Expires: time.Now().Add(time.Hour)})
	answer := console.RouteAnswer{Route: plan.Route}
	for _, f := range plan.Faults {
		answer.Faults = append(answer.Faults, fmt.Sprintf("%s: %s", f.Field, f.Message))
	}
	for _, p := range plan.SMSCs {
		one := console.RouteSMSC{Name: p.Name, Sender: cmp.Or(p.Source, "–"), Encoding: string(p.Encoding), Parts: p.Parts}
		for _, f := range p.Faults {
			one.Faults = append(one.Faults, fmt.Sprintf("%s: %s", f.Field, f.Message))
		}
		answer.SMSCs = append(answer.SMSCs, one)
	}
	return answer, nil
}
