package inbox

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// condition is how a carrier is for a while.
type condition struct {
	Name  string // in a form
	Label string // of the button
	What  string // what it does; %s is the carrier
}

// slowBy is how long a slow carrier takes.
const slowBy = 3 * time.Second

// conditions are those of both carriers, the healthy one first.
func conditions() []condition {
	return []condition{
		{"normal", "Normal", "%s takes messages at once."},
		{"throttles", "Throttles", "%s refuses everything for now: orders get 503."},
		{"slow", "Slow", "%s answers after three seconds: orders get their 201 late."},
		{"down", "Down", "%s is not there: orders get 503."},
	}
}

// carriers changes the condition of the simulated carriers.
type carriers struct {
	mu     sync.Mutex
	smsc   *smsctest.SMSC
	relay  *relaytest.Relay
	fair   smsctest.Profile // of the SMSC in its normal condition
	states map[string]string
}

// Names of the carriers.
const (
	carrierSMSC  = "smsc"
	carrierRelay = "relay"
)

func newCarriers(smsc *smsctest.SMSC, relay *relaytest.Relay) *carriers {
	return &carriers{smsc: smsc, relay: relay, fair: smsc.Profile(), states: map[string]string{carrierSMSC: "normal", carrierRelay: "normal"}}
}

func (c *carriers) state(carrier string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.states[carrier]
}

// set changes a carrier's condition. Its error says that there is no such carrier or
// condition.
func (c *carriers) set(carrier, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.states[carrier] == "" {
		return fmt.Errorf("there is no carrier %q", carrier)
	}
	if !slices.ContainsFunc(conditions(), func(known condition) bool { return known.Name == name }) {
		return fmt.Errorf("there is no condition %q", name)
	}
	c.states[carrier] = name
	if carrier == carrierRelay {
		c.relay.SetTrouble(relaytest.Trouble{Busy: name == "throttles", Down: name == "down", Delay: delayOf(name)})
		return nil
	}
	c.smsc.SetProfile(ailing(c.fair, name))
	if name == "down" {
		c.smsc.Down()
		return nil
	}
	return c.smsc.Up()
}

// delayOf is before each reply of the relay, which has three for a mail.
func delayOf(name string) time.Duration {
	if name == "slow" {
		return slowBy / 3
	}
	return 0
}

// ailing returns the profile with a condition, which holds for all numbers.
func ailing(p smsctest.Profile, name string) smsctest.Profile {
	p.Rules = slices.Clone(p.Rules)
	all := []*smsctest.Behaviour{&p.Behaviour}
	for i := range p.Rules {
		all = append(all, &p.Rules[i].Behaviour)
	}
	for _, b := range all {
		switch name {
		case "throttles":
			b.Throttle, b.Status = 1, 0
		case "slow":
			b.Delay = max(b.Delay, slowBy)
		}
	}
	return p
}

// condition: POST /carriers/{carrier} with condition.
func (s *Server) condition(w http.ResponseWriter, r *http.Request) {
	if err := s.carriers.set(r.PathValue("carrier"), r.PostFormValue("condition")); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.box.Touch()
	back(w, r, "/try")
}
