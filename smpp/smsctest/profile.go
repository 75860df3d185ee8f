package smsctest

import (
	"cmp"
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"straks/smpp/wire"
)

// Profile says what kind of SMSC to be. The zero value is well-behaved: it accepts every
// bind, answers every message at once, and sends a receipt at once if one was asked for
// (DELIVRD, as text and as TLVs).
type Profile struct {
	// These are fixed by Listen; SetProfile does not change them.

	AllowRemote    bool                                    // listen on an address that is not loopback
	TLS            *tls.Config                             // nil means plain TCP
	Listen         func(addr string) (net.Listener, error) // in place of TCP, for a network in memory; the address must be whole
	Fast           bool                                    // use the gateway's codec, not go-smpp: see "Two codecs"
	Seed           uint64                                  // of every random choice; the same seed and order of events give the same choices
	FirstID        uint64                                  // number of the first message id; 0 means 170000001
	Record         int                                     // newest submits that Submits keeps; 0 means 10000, negative none
	OnSubmit       func(Submit)                            // called by the connection's reader for every submit; must not block
	MaxConnections int                                     // at a time; 0 means 1000

	// OnReceipt is called for every receipt, duplicates included, when its delay is over
	// and before its first delivery. It must not block.
	OnReceipt func(about Submit, state string)
	// OnAck is called for every deliver_sm and data_sm that was answered ESME_ROK, with
	// the time from writing it to the response. It must not block, nor change the message.
	OnAck func(m *wire.Message, took time.Duration)

	// These may be changed at any time.

	Version33  bool              // it knows SMPP 3.3 only: no transceiver, and no TLVs
	Accounts   map[string]string // system_id to password; an empty password is not checked. Nil accepts every bind
	BindStatus wire.Status       // command_status of every bind response; anything but 0 refuses the bind
	BindDelay  time.Duration     // before a bind is answered
	MaxBinds   int               // of a system_id at a time that transmit, and likewise that receive; 0 means any number
	BindsFull  wire.Status       // command_status of one bind more; 0 means ESME_RALYBND
	ChattyBind bool              // an enquire_link is sent before each bind response
	Enquire    time.Duration     // interval of our own enquire_link, for binds from now on; 0 means none
	DeadAfter  time.Duration     // a bind from which nothing came for this long is closed; 0 means never
	Window     int               // deliver_sm without a response, for each bind; 0 means 1000
	AckTimeout time.Duration     // a deliver_sm without a response is sent again after this time; 0 means 10 s
	Retry      time.Duration     // after a temporary error a deliver_sm is sent again after this time; 0 means 1 s
	MaxWaiting int               // deliver_sm waiting for a bind, for each system_id; 0 means 100000, more are dropped
	Alphabet   Alphabet          // what data_coding 0 stands for

	Behaviour        // towards every number that no rule matches
	Rules     []Rule // the longest matching suffix wins, the first among equals
}

// Rule is the behaviour towards numbers that end in Suffix. It replaces the Profile's as a
// whole: nothing is inherited. See [Profile.On].
type Rule struct {
	Suffix string
	Behaviour
}

// Behaviour is what happens to a message. "1 in N" is a chance: 0 means never, 1 always.
type Behaviour struct {
	Delay  time.Duration // before the response
	Jitter time.Duration // at most this much more, evenly distributed: responses overtake each other

	Status        wire.Status // command_status of responses; anything but 0 refuses the message
	StatusOneIn   int         // Status for 1 in N only; 0 means for all
	Throttle      int         // ESME_RTHROTTLED, 1 in N
	QueueFull     int         // ESME_RMSGQFUL, 1 in N
	Nack          int         // refused, and answered by generic_nack ESME_RSYSERR, 1 in N
	ThrottleFirst int         // a number's first N submits get ESME_RTHROTTLED, the next is accepted, and so on
	Rate          float64     // submits/s, in bursts of a tenth of a second; beyond it ESME_RTHROTTLED. 0 means any
	Congestion    byte        // TLV congestion_state of every response, 1..100; 0 leaves it out

	Lose      int           // accepted, but never answered, 1 in N
	Close     int           // accepted, and the connection closed in place of the response, 1 in N
	Twice     int           // answered twice, 1 in N
	Freeze    int           // the connection is neither read nor written from here on, 1 in N
	FreezeFor time.Duration // duration of Freeze; 0 means for ever, or until MaxConnections is reached
	Reorder   int           // responses are held until there are N (or 50 ms), the last goes first; below 2 means off

	Mischief      Mischief // what is written before the response
	MischiefOneIn int      // 1 in N

	AnswerID IDForm // form of message_id in responses
	IDReuse  uint64 // ids start again after this many; 0 means never

	Receipt Receipt
}

// Receipt is what follows an accepted message whose registered_delivery asks for it.
type Receipt struct {
	Delay  time.Duration // after the response
	Jitter time.Duration // at most this much more

	State string // as the text spells it: "DELIVRD" if empty, "UNDELIV", "EXPIRED", …
	Err   string // the text's err, "000" if empty; a decimal one is a network_error_code too

	Early        bool   // sent before the response; set a Delay if they travel over two binds
	Missing      int    // never sent, 1 in N
	Duplicate    int    // sent twice, 1 in N
	LastPart     bool   // of a long message, for its last part only
	Intermediate string // state of one more receipt, at the time of the response; empty means none

	DataSM        bool   // sent by data_sm, not deliver_sm
	Form          Form   // text, TLVs or both
	ID            IDForm // form of the message id
	EchoReference bool   // has the submit's user_message_reference
	EchoText      bool   // has the first 20 octets of the message, as with many SMSCs
}

// Form says which parts of a receipt have its content.
type Form uint8

const (
	TextAndTLV Form = iota
	TextOnly
	TLVOnly
)

// Alphabet is what data_coding 0 stands for at an SMSC.
type Alphabet uint8

const (
	GSM       Alphabet = iota // GSM 03.38, one septet an octet
	GSMPacked                 // GSM 03.38, eight septets in seven octets
	Latin1                    // ISO 8859-1
)

// On adds a rule for numbers that end in suffix: the profile's behaviour as it is now,
// after change.
func (p *Profile) On(suffix string, change func(*Behaviour)) {
	r := Rule{Suffix: suffix, Behaviour: p.Behaviour}
	change(&r.Behaviour)
	p.Rules = append(p.Rules, r)
}

// script is a profile ready for use: defaults filled in, rules sorted, and the rate limiters.
type script struct {
	Profile
	base  *scene
	rules []*scene
}

// scene is one behaviour and its state.
type scene struct {
	suffix string
	*Behaviour
	limiter *rate.Limiter // nil if the rate is not limited
}

func newScript(p Profile) *script {
	s := &script{Profile: p}
	s.Window = cmp.Or(p.Window, 1000)
	s.AckTimeout = cmp.Or(p.AckTimeout, 10*time.Second)
	s.Retry = cmp.Or(p.Retry, time.Second)
	s.MaxWaiting = cmp.Or(p.MaxWaiting, 100_000)
	s.BindsFull = cmp.Or(p.BindsFull, wire.ESMEAlyBnd)
	s.base = newScene("", p.Behaviour)
	for _, r := range p.Rules {
		s.rules = append(s.rules, newScene(r.Suffix, r.Behaviour))
	}
	slices.SortStableFunc(s.rules, func(a, b *scene) int { return len(b.suffix) - len(a.suffix) })
	return s
}

func newScene(suffix string, b Behaviour) *scene {
	sc := &scene{suffix: suffix, Behaviour: &b}
	if b.Rate > 0 {
		sc.limiter = rate.NewLimiter(rate.Limit(b.Rate), max(1, int(b.Rate/10)))
	}
	return sc
}

// towards returns the behaviour for a number.
func (s *script) towards(number string) *scene {
	for _, r := range s.rules {
		if strings.HasSuffix(number, r.suffix) {
			return r
		}
	}
	return s.base
}
