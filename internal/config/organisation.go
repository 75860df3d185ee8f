package config

import (
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"straks/api"
	"straks/internal/cost"
	"straks/internal/faults"
	"straks/internal/limits"
	"straks/internal/numbers"
	"straks/orders/sms"
	"straks/smpp"
	"straks/smtp"
)

// SMS is the part of every organisation's SMS.
type SMS struct {
	// DefaultSender is the sender of an order that names none, where neither its
	// organisation, nor its route, nor its SMSC has one: "straks". At most 11
	// characters of the GSM alphabet, a short code, or an international number with
	// '+'. Phones show an alphanumeric sender as it is, and nobody can answer it;
	// many countries ask for it to be registered. "": the SMSC puts in its own.
	DefaultSender string
	// DrainTime is how long a shutdown waits for the responses to submitted messages:
	// 5s. A message without a response by then ends as unknown.
	DrainTime time.Duration
	// StopWords are the inbound messages that put a number on the block list of the
	// organisation whose inbound_numbers they were sent to. Orders to that number then
	// end as SMS_Failed_RecipientReserved. Letter case and surrounding blanks do not count.
	StopWords []string
	// StartWords remove a number from that list again.
	StartWords []string
}

func (s *SMS) setDefaults() {
	*s = SMS{
		DefaultSender: "straks",
		DrainTime:     smpp.Config{}.WithDefaults().DrainTime,
		StopWords:     []string{"STOP", "STOPP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "AVSLUTT"},
		StartWords:    []string{"START", "UNSTOP"},
	}
}

func (s *SMS) check(c *checker) {
	c.sender("default_sender", s.DefaultSender)
	c.Duration("drain_time", s.DrainTime, time.Millisecond, 5*time.Minute)
	c.words("start_words", s.StartWords)
	c.words("stop_words", s.StopWords)
	for i, w := range s.StopWords {
		c.Unless(w == "" || !slices.Contains(s.StartWords, w), faults.Index("stop_words", i), "is %q, which is among start_words too", w)
	}
}

// words changes the words to capitals without surrounding blanks. A blank word would match
// every message that cannot be read.
func (c *checker) words(key string, words []string) {
	for i, w := range words {
		words[i] = strings.ToUpper(strings.TrimSpace(w))
		c.Unless(words[i] != "", faults.Index(key, i), "is blank: give a word, or leave it out")
	}
}

// Email is the part of every organisation's e-mail.
type Email struct {
	// DefaultSender is the From address of an order that names none, where its
	// organisation has none either. Empty: "no-reply@" and this machine's name,
	// which a relay may refuse: set it to an address of a domain whose SPF and DKIM
	// are yours.
	DefaultSender string
}

func (e *Email) check(c *checker) {
	if e.DefaultSender == "" {
		e.DefaultSender = "no-reply@" + machineName()
	}
	c.mailAddress("default_sender", e.DefaultSender)
}

var domainForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// machineName returns this machine's name as the domain of an address. A name that is not
// fully qualified, or not a domain name, becomes one that nobody owns.
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

// Organisation is a client, or several clients that see each other's shipments.
type Organisation struct {
	Name          string // in logs, metrics and the journal: letters, digits, '.', '-', '_'; never change it. Required
	SMSSender     string // of its SMS that name none. Empty: sms.default_sender
	EmailSender   string // From of its mails that name none. Empty: email.default_sender
	EmailName     string // its name, shown with From, in all of its mails: at most 70 characters. Empty: the address alone
	EmailReplyTo  string // address for replies to all of its mails. Empty: replies go to From
	App           string // what stands for {app} in the texts of verification codes. Empty: name
	Transliterate bool   // true: typographic quotes, dashes and similar characters are replaced where that saves a message from UCS-2 (153 instead of 67 characters a part): false
	// Rate is the number of orders a second that it may place in the long run, and Burst
	// the number at once; further orders get 429. Default 0: no limit.
	Rate  float64
	Burst int // default: one second's worth
	// EmailSenderDomains are the domains that a request may give in senderEmailAddress; each
	// stands for those below it too. Other addresses get 400, except the organisation's default
	// sender. Default: any.
	EmailSenderDomains []string
	// SMSSenders are the senders that a request may give in smsSettings.sender, beside SMSSender. Other senders get 400.
	// Default: any.
	SMSSenders []string
	// Channels are those that it uses: "sms", "email". Orders of another one get 400. Default: both.
	Channels []string
	// OrdersPerDay and OrdersPerMonth bound its orders in a day and in a month of UTC. Default 0: no limit.
	OrdersPerDay   int
	OrdersPerMonth int
	// BudgetPerMonth bounds what its messages cost in a month of UTC, by the prices of [[price]] and cost.email: "5000.00".
	// Default 0: no limit.
	BudgetPerMonth cost.Amount
	// RecipientLimits bound its orders to one recipient, as limits.recipient does; []: none. Default: those of limits.recipient.
	RecipientLimits *[]string
	// Retention is how long its orders, idempotencyIds and feed entries are kept: 3d at least, and not longer than those of
	// others. Default: journal.retention.
	Retention time.Duration
	// Pumping is "off", "alarm" or "stop", for it alone. Default: limits.pumping.
	Pumping string
	// Countries are those to which it sends SMS, like numbers.home: ["NO", "+46"]. Other numbers get 400. Default: numbers.home.
	Countries []string
	// DenyNumbers are prefixes of numbers that it sends nothing to, as in numbers.deny; no other rule lets them in. Default none.
	DenyNumbers []string
	// InboundNumbers are the numbers and short codes whose inbound messages are for it:
	// stop words sent there block the sender's number for this organisation. Default none.
	InboundNumbers []string
	// Feed is what its feed shows where a request does not say: "final", an entry for each shipment when
	// its status is final, as Altinn's; or "all", every change from acceptance on: "final".
	Feed string
	// Identities are the organisation's names at issuers of JSON web tokens, by the issuer's name: none.
	Identities map[string][]string
	// Mode is which of its messages leave: "live", all; "allowlist", those to AllowedRecipients; "simulate", none.
	// Others look delivered to the client: "live".
	Mode string
	// AllowedRecipients are numbers, addresses and domains ("@example.org") for the mode "allowlist".
	AllowedRecipients []string
	// ClientCAFiles are PEM files of authorities that vouch for the certificates of this organisation alone, in the place of
	// those under api. ClientCRLFiles are their lists of revoked certificates. Default: those of api.
	ClientCAFiles  []string
	ClientCRLFiles []string
	Tokens         []Token       `toml:"token"`       // without tokens, certificates and identities nobody can send for it
	Certificates   []Certificate `toml:"certificate"` // client certificates that stand for it. Default none
	// PrefixLimits bound its orders to numbers with a prefix or of a country. Default none.
	PrefixLimits []PrefixLimit `toml:"prefix_limit"`
	// Webhooks are the receivers to which its feed is sent, 16 at most. Default none.
	Webhooks []Webhook `toml:"webhook"`

	ownRetention    bool // it is not that of the journal
	recipientLimits []limits.Window
	sharedLimits    bool // they are those of limits.recipient
	denied          []numbers.Rule
}

func (o *Organisation) setDefaults() { o.Feed, o.Mode = FeedFinal, ModeLive }

// What an organisation sends.
const (
	ChannelSMS   = "sms"
	ChannelEmail = "email"
)

func (o *Organisation) uses(channel string) bool {
	return len(o.Channels) == 0 || slices.Contains(o.Channels, channel)
}

// What a feed shows.
const (
	FeedFinal = "final"
	FeedAll   = "all"
)

// maxRate is the highest rate that makes sense, in orders a second.
const maxRate = 1e6

func (o *Organisation) check(c *checker) {
	c.Name("name", o.Name)
	c.sender("sms_sender", o.SMSSender)
	for i, s := range o.SMSSenders {
		c.sender(faults.Index("sms_senders", i), s)
		c.Unless(s != "", faults.Index("sms_senders", i), "is empty: a request without a sender has the default one in any case")
	}
	for i, channel := range o.Channels {
		c.OneOf(faults.Index("channels", i), channel, ChannelSMS, ChannelEmail)
	}
	o.checkLimits(c)
	c.countries("countries", o.Countries)
	o.denied = c.numberRules("deny_numbers", o.DenyNumbers, true)
	c.OneOf("feed", o.Feed, FeedFinal, FeedAll)
	if o.EmailSender != "" {
		c.mailAddress("email_sender", o.EmailSender)
	}
	if o.EmailReplyTo != "" {
		c.mailAddress("email_reply_to", o.EmailReplyTo)
	}
	if err := smtp.CheckName(o.EmailName); err != nil {
		c.Add("email_name", "%v", err)
	}
	smtp.CheckListedDomains(c.List, "email_sender_domains", o.EmailSenderDomains)
	c.Unless(o.Rate >= 0 && o.Rate <= maxRate && o.Burst >= 0 && (o.Rate > 0 || o.Burst == 0), "rate",
		"is %v with burst %d; both are positive, the rate %d at most, or 0 for no limit", o.Rate, o.Burst, int(maxRate))
	for i, number := range o.InboundNumbers {
		bare := sms.BareNumber(number)
		c.Unless(bare != "" && strings.Trim(bare, "0123456789") == "", faults.Index("inbound_numbers", i),
			"is %q, must be digits, with or without a '+' before them", number)
	}
	if o.Burst == 0 {
		o.Burst = int(math.Ceil(o.Rate))
	}
	if len(o.Tokens) == 0 && len(o.Identities) == 0 && len(o.Certificates) == 0 {
		c.warn("token", "there is none, so nobody can send for %q; \"straks token new -org %s\" makes one", o.Name, o.Name)
	}
	seen := make(map[string]string)
	for i := range o.Tokens {
		at := c.at("token", i)
		o.Tokens[i].check(at)
		at.Unique("name", o.Tokens[i].Name, seen)
	}
	c.Unless(len(o.Webhooks) <= maxWebhooks, "webhook", "are %d, at most %d are possible", len(o.Webhooks), maxWebhooks)
	hooks := make(map[string]string)
	for i := range o.Webhooks {
		at := c.at("webhook", i)
		o.Webhooks[i].check(at)
		at.Unique("name", o.Webhooks[i].Name, hooks)
	}
}

// Token is a bearer token of the organisation, made with "straks token new".
type Token struct {
	Name    string    // in logs. Required
	SHA256  Digest    // of the token, 64 hexadecimal digits. Required
	Expires time.Time // it is refused from then on; an offset date-time, or a date (its first moment in UTC). Absent: never
	// Scopes are what it may be used for: "create" (orders, and what became of them), "read" (shipments and the
	// feed), "support" (one shipment at a time): ["create"].
	Scopes []string
}

func (t *Token) setDefaults() { t.Scopes = []string{"create"} }

// tokenScopes are the scopes of package api, by the names that the file has for them.
var tokenScopes = map[string]string{"create": api.ScopeCreate, "read": api.ScopeRead, "support": api.ScopeSupport}

// TokenScopes returns the names of all scopes.
func TokenScopes() []string { return []string{"create", "read", "support"} }

func (t *Token) check(c *checker) {
	c.Name("name", t.Name)
	c.Unless(t.SHA256 != Digest{}, "sha256", "is missing")
	c.scopes("token", t.Scopes)
	switch end := t.Expires.Format(time.RFC3339); {
	case t.Expires.IsZero():
	case t.Expires.Before(c.file.now):
		c.warn("expires", "has passed (%s): the token is refused", end)
	case t.Expires.Before(c.file.now.Add(Renewal)):
		c.warn("expires", "is soon (%s): make the next token (straks token new), and give it to the client before", end)
	}
}

// scopes checks the scopes of a token or certificate.
func (c *checker) scopes(of string, scopes []string) {
	c.Unless(len(scopes) > 0, "scopes", "is empty, so that the %s may do nothing: remove the %[1]s, or give a scope (%[2]s)", of, strings.Join(TokenScopes(), ", "))
	for i, scope := range scopes {
		c.OneOf(faults.Index("scopes", i), scope, TokenScopes()...)
	}
}

// apiScopes returns the scopes of package api that stand in the file by their names.
func apiScopes(names []string) []string {
	scopes := make([]string, len(names))
	for i, name := range names {
		scopes[i] = tokenScopes[name]
	}
	return scopes
}
