package config

import (
	"math"
	"net/mail"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"straks/orders/sms"
	"straks/smpp"
)

// SMS is what holds for every organisation's SMS.
type SMS struct {
	// DefaultSender is the sender of an order that names none, where neither its
	// organisation, nor its route, nor its SMSC has one: "straks". At most 11
	// characters of the GSM alphabet, a short code, or an international number with
	// '+'. Phones show an alphanumeric sender as it is and nobody can answer it;
	// many countries ask for it to be registered. "": the SMSC puts in its own.
	DefaultSender string
	// DrainTime is how long a shutdown waits for the answers to what was
	// submitted: 5s. What is not answered by then ends as unknown.
	DrainTime time.Duration
	// StopWords are the inbound messages that put a number on the block list of
	// the organisation whose inbound_numbers they were sent to, so that orders to it
	// end as SMS_Failed_RecipientReserved. Capitals and blanks around do not count.
	StopWords []string
	// StartWords take a number off that list again.
	StartWords []string
}

const fallbackSender = "straks"

func (s *SMS) setDefaults() {
	*s = SMS{
		DefaultSender: fallbackSender,
		DrainTime:     5 * time.Second,
		StopWords:     []string{"STOP", "STOPP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "AVSLUTT"},
		StartWords:    []string{"START", "UNSTOP"},
	}
}

func (s *SMS) check(c *checker) {
	c.sender("default_sender", s.DefaultSender)
	c.between("drain_time", s.DrainTime, time.Millisecond, 5*time.Minute)
	c.words("start_words", s.StartWords)
	c.words("stop_words", s.StopWords)
	for i, w := range s.StopWords {
		if w != "" && slices.Contains(s.StartWords, w) {
			c.fault(indexed("stop_words", i), "is %q, which is among start_words too", w)
		}
	}
}

// words makes capitals of the words, without blanks around. A blank one would be every message
// that can't be read.
func (c *checker) words(key string, words []string) {
	for i, w := range words {
		if words[i] = strings.ToUpper(strings.TrimSpace(w)); words[i] == "" {
			c.fault(indexed(key, i), "is blank: give a word, or leave it out")
		}
	}
}

// Email is what holds for every organisation's e-mail.
type Email struct {
	// DefaultSender is the From address of an order that names none, where its
	// organisation has none either. Empty: "no-reply@" and this machine's name,
	// which a relay may well refuse: set it to an address of a domain whose SPF
	// and DKIM are yours.
	DefaultSender string
}

func (e *Email) check(c *checker) {
	if e.DefaultSender == "" {
		e.DefaultSender = "no-reply@" + machineName()
	}
	c.mailAddress("default_sender", e.DefaultSender)
}

var domainForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// machineName is this machine's name as the domain of an address. Where it is
// not fully qualified, or no domain name, it is made one that nobody owns.
func machineName() string {
	name, err := os.Hostname()
	name = strings.ToLower(name)
	switch {
	case err != nil || !domainForm.MatchString(name):
		return "localhost.localdomain"
	case !strings.Contains(name, "."):
		return name + ".localdomain"
	}
	return name
}

// Organisation is a client, or several that see each other's shipments.
type Organisation struct {
	Name          string // in logs, metrics and the journal: letters, digits, '.', '-', '_'; never change it. Required
	SMSSender     string // of its SMS that name none. Empty: sms.default_sender
	EmailSender   string // From of its mails that name none. Empty: email.default_sender
	Transliterate bool   // true: curly quotes, dashes and the like become their plain twins where that spares a message UCS-2 (153 instead of 67 characters a part): false
	// Rate is how many orders a second it may place in the long run, and Burst how
	// many at once; beyond it they get 429. Default 0: no limit.
	Rate  float64
	Burst int // default: one second's worth
	// InboundNumbers are the numbers and short codes whose inbound messages are meant
	// for it: stop words sent there block the sender's number for this organisation. Default none.
	InboundNumbers []string
	Tokens         []Token `toml:"token"` // none: nobody can speak for it
}

// maxRate is the highest rate that means anything, in orders a second.
const maxRate = 1e6

func (o *Organisation) check(c *checker) {
	c.name("name", o.Name)
	c.sender("sms_sender", o.SMSSender)
	if o.EmailSender != "" {
		c.mailAddress("email_sender", o.EmailSender)
	}
	if !(o.Rate >= 0 && o.Rate <= maxRate) || o.Burst < 0 || o.Rate == 0 && o.Burst > 0 {
		c.fault("rate", "is %v with burst %d; both are positive, the rate %d at most, or 0 for no limit", o.Rate, o.Burst, int(maxRate))
	}
	for i, number := range o.InboundNumbers {
		if bare := sms.BareNumber(number); bare == "" || strings.Trim(bare, "0123456789") != "" {
			c.fault(indexed("inbound_numbers", i), "is %q: must be digits, with or without a '+' before them", number)
		}
	}
	if o.Burst == 0 {
		o.Burst = int(math.Ceil(o.Rate))
	}
	if len(o.Tokens) == 0 {
		c.warn("token", "there is none, so nobody can send for %q; \"straks token new -org %s\" makes one", o.Name, o.Name)
	}
	seen := make(map[string]string)
	for i := range o.Tokens {
		at := c.at("token", i)
		o.Tokens[i].check(at)
		at.unique("name", o.Tokens[i].Name, seen)
	}
}

// Token is a bearer token that speaks for the organisation. Make one with
// "straks token new".
type Token struct {
	Name    string    // what logs call it. Required
	SHA256  Digest    // of the token, 64 hexadecimal digits. Required
	Expires time.Time // from then on it is refused; an offset date-time, or a date (its first moment in UTC). Absent: never
}

func (t *Token) check(c *checker) {
	c.name("name", t.Name)
	if t.SHA256 == (Digest{}) {
		c.fault("sha256", "is missing")
	}
	if !t.Expires.IsZero() && t.Expires.Before(c.now) {
		c.warn("expires", "has passed (%s): token %q is refused", t.Expires.Format(time.RFC3339), t.Name)
	}
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ValidName tells whether an organisation, a token or a carrier may be called so.
func ValidName(s string) bool { return nameForm.MatchString(s) }

// name checks what appears in logs and labels, and in the journal's keys.
func (c *checker) name(key, s string) {
	if c.required(key, s) && !ValidName(s) {
		c.fault(key, "is %q; letters, digits, '.', '-' and '_' only, 64 at most", s)
	}
}

// sender checks an SMS sender, by the gateway's rules.
func (c *checker) sender(key, s string) {
	if err := smpp.CheckSender(s); err != nil {
		c.fault(key, "is %q: %v", s, err)
	}
}

func (c *checker) mailAddress(key, s string) {
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s {
		c.fault(key, "is %q, not an address like no-reply@example.org", s)
	}
}
