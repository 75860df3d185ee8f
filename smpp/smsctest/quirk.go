package smsctest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"straks/internal/suggest"
	"straks/smpp/wire"
)

// Setting is one quirk, as rules and the command line spell it.
type Setting struct {
	Name   string // "receipt-delay"
	Help   string // with its unit and default
	set    setter
	Switch bool // true or false; on the command line the name alone means true
}

// Settings returns every quirk that [Behaviour.Set] knows, in the order of the
// struct's fields.
func Settings() []Setting {
	return []Setting{
		{"delay", "before the response, like 50ms", duration(func(b *Behaviour) *time.Duration { return &b.Delay }), false},
		{"jitter", "at most this much more, like 10ms", duration(func(b *Behaviour) *time.Duration { return &b.Jitter }), false},
		{"status", "command_status of responses, by name (ESME_RSUBMITFAIL) or number (0x45)", setStatus, false},
		{"status-one-in", "that for 1 in N only", chance(func(b *Behaviour) *int { return &b.StatusOneIn }), false},
		{"throttle", "ESME_RTHROTTLED for 1 in N", chance(func(b *Behaviour) *int { return &b.Throttle }), false},
		{"queue-full", "ESME_RMSGQFUL for 1 in N", chance(func(b *Behaviour) *int { return &b.QueueFull }), false},
		{"nack", "1 in N is refused, and answered by generic_nack ESME_RSYSERR", chance(func(b *Behaviour) *int { return &b.Nack }), false},
		{"throttle-first", "ESME_RTHROTTLED for a number's first N submits, then one is accepted", chance(func(b *Behaviour) *int { return &b.ThrottleFirst }), false},
		{"rate", "submits/s; ESME_RTHROTTLED beyond it", setRate, false},
		{"congestion", "TLV congestion_state of every response, 1 to 100", setCongestion, false},
		{"lose", "1 in N is accepted but never answered", chance(func(b *Behaviour) *int { return &b.Lose }), false},
		{"close", "1 in N is accepted, and the connection closed in place of the response", chance(func(b *Behaviour) *int { return &b.Close }), false},
		{"twice", "1 in N is answered twice", chance(func(b *Behaviour) *int { return &b.Twice }), false},
		{"freeze", "1 in N freezes its connection", chance(func(b *Behaviour) *int { return &b.Freeze }), false},
		{"freeze-for", "duration of freeze, like 5s; for ever by default", duration(func(b *Behaviour) *time.Duration { return &b.FreezeFor }), false},
		{"reorder", "responses are held until there are N (or 50 ms); the last goes first", chance(func(b *Behaviour) *int { return &b.Reorder }), false},
		{"mischief", "what is sent before the response: " + names(mischiefs), named(mischiefs, func(b *Behaviour) *Mischief { return &b.Mischief }), false},
		{"mischief-one-in", "for 1 in N", chance(func(b *Behaviour) *int { return &b.MischiefOneIn }), false},
		{"id", "form of the message id in responses: " + names(idForms), named(idForms, func(b *Behaviour) *IDForm { return &b.AnswerID }), false},
		{"id-reuse", "message ids start again after N", setReuse, false},
		{"receipt-delay", "from the response to the receipt, like 1s", duration(func(b *Behaviour) *time.Duration { return &b.Receipt.Delay }), false},
		{"receipt-jitter", "at most this much more", duration(func(b *Behaviour) *time.Duration { return &b.Receipt.Jitter }), false},
		{"state", "of the receipt: UNDELIV, EXPIRED, REJECTD, …; DELIVRD by default", word(func(b *Behaviour) *string { return &b.Receipt.State }), false},
		{"err", "of the receipt, like 013", word(func(b *Behaviour) *string { return &b.Receipt.Err }), false},
		{"early", "the receipt is sent before the response", boolean(func(b *Behaviour) *bool { return &b.Receipt.Early }), true},
		{"missing", "1 in N gets no receipt", chance(func(b *Behaviour) *int { return &b.Receipt.Missing }), false},
		{"duplicate", "1 in N gets its receipt twice", chance(func(b *Behaviour) *int { return &b.Receipt.Duplicate }), false},
		{"last-part", "a long message gets a receipt for its last part only", boolean(func(b *Behaviour) *bool { return &b.Receipt.LastPart }), true},
		{"intermediate", "state of one more receipt, at the response: ENROUTE, ACCEPTD", word(func(b *Behaviour) *string { return &b.Receipt.Intermediate }), false},
		{"data-sm", "receipts by data_sm in place of deliver_sm", boolean(func(b *Behaviour) *bool { return &b.Receipt.DataSM }), true},
		{"form", "parts of the receipt with its content: " + names(forms), named(forms, func(b *Behaviour) *Form { return &b.Receipt.Form }), false},
		{"receipt-id", "form of the message id in receipts: " + names(idForms), named(idForms, func(b *Behaviour) *IDForm { return &b.Receipt.ID }), false},
		{"echo-reference", "receipts have the user_message_reference", boolean(func(b *Behaviour) *bool { return &b.Receipt.EchoReference }), true},
		{"echo-text", "receipts have the start of the message", boolean(func(b *Behaviour) *bool { return &b.Receipt.EchoText }), true},
	}
}

// forms are the names in rules and flags.
var forms = map[string]Form{"both": TextAndTLV, "text": TextOnly, "tlv": TLVOnly}

// Set changes the quirk with that name (see [Settings]).
func (b *Behaviour) Set(name, value string) error {
	settings := Settings()
	i := slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		return fmt.Errorf("there is no quirk %q%s", name, suggestion(name, settings))
	}
	if err := settings[i].set(b, value); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func suggestion(name string, settings []Setting) string {
	var names []string
	for _, s := range settings {
		names = append(names, s.Name)
	}
	if near := suggest.For(name, names); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// ParseRule reads "SUFFIX:name=value,name=value", such as
// "01:state=UNDELIV,err=011". Quirks that it does not name are as in base.
func ParseRule(rule string, base Behaviour) (Rule, error) {
	suffix, quirks, ok := strings.Cut(rule, ":")
	if !ok || suffix == "" || strings.Trim(suffix, "0123456789") != "" {
		return Rule{}, fmt.Errorf("rule %q: must be like 01:state=UNDELIV,err=011", rule)
	}
	r := Rule{Suffix: suffix, Behaviour: base}
	for quirk := range strings.SplitSeq(quirks, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(quirk), "=")
		if !ok {
			return Rule{}, fmt.Errorf("rule %q: %q must be name=value", rule, quirk)
		}
		if err := r.Set(name, value); err != nil {
			return Rule{}, fmt.Errorf("rule %q: %w", rule, err)
		}
	}
	return r, nil
}

type setter = func(*Behaviour, string) error

func duration(field func(*Behaviour) *time.Duration) setter {
	return func(b *Behaviour, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < 0 {
			return fmt.Errorf("%q is not a duration like 50ms or 2s", value)
		}
		*field(b) = d
		return nil
	}
}

func chance(field func(*Behaviour) *int) setter {
	return func(b *Behaviour, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a number from 0", value)
		}
		*field(b) = n
		return nil
	}
}

func boolean(field func(*Behaviour) *bool) setter {
	return func(b *Behaviour, value string) error {
		v, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		*field(b) = v
		return nil
	}
}

func word(field func(*Behaviour) *string) setter {
	return func(b *Behaviour, value string) error {
		*field(b) = value
		return nil
	}
}

func named[T any](values map[string]T, field func(*Behaviour) *T) setter {
	return func(b *Behaviour, value string) error {
		v, ok := values[value]
		if !ok {
			return fmt.Errorf("%q is none of %s", value, names(values))
		}
		*field(b) = v
		return nil
	}
}

func names[T any](values map[string]T) string {
	return strings.Join(slices.Sorted(maps.Keys(values)), ", ")
}

func setStatus(b *Behaviour, value string) error {
	for status, name := range wire.Statuses() {
		if name == value {
			b.Status = status
			return nil
		}
	}
	n, err := strconv.ParseUint(value, 0, 32)
	if err != nil {
		return fmt.Errorf("%q is not a command_status", value)
	}
	b.Status = wire.Status(n)
	return nil
}

func setRate(b *Behaviour, value string) error {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || !(v >= 0 && v <= 1e6) {
		return fmt.Errorf("%q is not a number from 0 to 1000000", value)
	}
	b.Rate = v
	return nil
}

func setCongestion(b *Behaviour, value string) error {
	v, err := strconv.ParseUint(value, 10, 8)
	if err != nil || v > 100 {
		return fmt.Errorf("%q is not a number from 0 to 100", value)
	}
	b.Congestion = byte(v)
	return nil
}

func setReuse(b *Behaviour, value string) error {
	v, err := strconv.ParseUint(value, 10, 64)
	if err != nil {
		return fmt.Errorf("%q is not a number from 0", value)
	}
	b.IDReuse = v
	return nil
}

// Ending is a failure to try in the sandbox: it happens to every message to a number that
// ends in Suffix. Each ending has valid numbers, such as +4799999901. Messages to all other
// numbers are delivered.
type Ending struct {
	Suffix string
	Quirks string // as ParseRule reads them after the colon
	What   string // what happens to a message
}

// Endings returns the agreed endings.
func Endings() []Ending {
	return []Ending{
		{"9901", "state=UNDELIV,err=027", "undeliverable: the handset can't be reached"},
		{"9902", "state=EXPIRED", "expires at the operator"},
		{"9903", "status=ESME_RSUBMITFAIL", "rejected at submit"},
		{"9904", "status=ESME_RINVDSTADR", "refused as an invalid recipient"},
		{"9905", "state=UNDELIV,err=013", "the receiver is barred"},
		{"9906", "delay=8s", "answered late, after the send deadline"},
		{"9907", "missing=1", "never a receipt"},
		{"9908", "early=true,delay=200ms", "the receipt comes before the response"},
		{"9909", "throttle-first=1", "throttled once, then delivered"},
		{"9910", "receipt-delay=10s", "delivered, with a receipt after ten seconds"},
		{"9911", "close=1,missing=1", "the connection is closed in place of the response; never a receipt"},
		{"9912", "state=REJECTD", "rejected by the network after it was accepted"},
		{"9913", "state=DELETED", "deleted at the operator"},
		{"9914", "duplicate=1", "delivered, with its receipt twice"},
		{"9915", "intermediate=ACCEPTD,receipt-delay=3s", "delivered after three seconds, with an intermediate receipt at once"},
		{"9916", "lose=1", "accepted, but never answered; its receipt comes"},
		{"9917", "status=ESME_RSYSERR", "never taken: the order gets 503 at the send deadline"},
		{"9918", "delay=3s", "answered after three seconds: the order gets its 201 late"},
	}
}

// Sandbox returns the profile of a healthy network: a response after a few milliseconds, a
// receipt within a second, and the agreed endings.
func Sandbox() Profile {
	p := Profile{Record: 1000, Behaviour: Behaviour{Delay: 2 * time.Millisecond, Jitter: 3 * time.Millisecond}}
	p.Receipt = Receipt{Delay: 500 * time.Millisecond, Jitter: 500 * time.Millisecond}
	if err := p.AddEndings(); err != nil {
		panic(err) // the table above; a test reads every line of it
	}
	return p
}

// AddEndings adds a rule for each agreed ending, based on the profile's present behaviour.
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
