package smsctest

import (
	"fmt"
	"time"
)

// Ending is a way to try a failure in the sandbox: whatever is sent to a number
// that ends in Suffix meets it. There are valid numbers with each, such as
// +4799999901; all other numbers get their message.
type Ending struct {
	Suffix string
	Quirks string // as ParseRule reads them behind the colon
	What   string // what becomes of a message
}

// Endings returns the agreed endings.
func Endings() []Ending {
	return []Ending{
		{"9901", "state=UNDELIV,err=027", "undeliverable: the handset can't be reached"},
		{"9902", "state=EXPIRED", "expires at the operator"},
		{"9903", "status=ESME_RSUBMITFAIL", "rejected at submit"},
		{"9904", "status=ESME_RINVDSTADR", "refused as an invalid recipient"},
		{"9905", "state=UNDELIV,err=013", "the receiver is barred"},
		{"9906", "delay=8s", "answered late, beyond the send deadline"},
		{"9907", "missing=1", "never a receipt"},
		{"9908", "early=true,delay=200ms", "the receipt comes before the answer"},
		{"9909", "throttle-first=1", "throttled once, then delivered"},
		{"9910", "receipt-delay=10s", "delivered, with a receipt after ten seconds"},
		{"9911", "close=1,missing=1", "the connection is closed in place of the answer; never a receipt"},
		{"9912", "state=REJECTD", "rejected by the network after it was accepted"},
		{"9913", "state=DELETED", "deleted at the operator"},
		{"9914", "duplicate=1", "delivered, with its receipt twice"},
		{"9915", "intermediate=ACCEPTD,receipt-delay=3s", "delivered after three seconds, with an intermediate receipt at once"},
		{"9916", "lose=1", "taken, but never answered; its receipt comes"},
	}
}

// Sandbox returns the profile of a network in fair weather: an answer after a
// few milliseconds, a receipt after a moment, and the agreed endings.
func Sandbox() Profile {
	p := Profile{Record: 1000, Behaviour: Behaviour{Delay: 2 * time.Millisecond, Jitter: 3 * time.Millisecond}}
	p.Receipt = Receipt{Delay: 500 * time.Millisecond, Jitter: 500 * time.Millisecond}
	if err := p.AddEndings(); err != nil {
		panic(err) // the table above; a test reads every line of it
	}
	return p
}

// AddEndings adds a rule for each of the agreed endings, on top of the
// profile's behaviour as it is.
func (p *Profile) AddEndings() error {
	for _, e := range Endings() {
		r, err := ParseRule(e.Suffix+":"+e.Quirks, p.Behaviour)
		if err != nil {
			return fmt.Errorf("ending: %w", err)
		}
		p.Rules = append(p.Rules, r)
	}
	return nil
}
