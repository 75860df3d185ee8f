package smtp

import (
	"regexp"
	"slices"
	"strings"
)

// subject is what a 5yz before the final dot is about.
type subject uint8

const (
	aboutNothingSaid subject = iota // the reply does not say: it may be about anything but MAIL's recipient
	aboutRecipient                  // the recipient does not exist, or can't get mail
	aboutSender                     // the sender's address or domain. Callers choose senders: the relay is not in trouble
	aboutUs                         // our host, login, account or session, or the relay's own state
)

// subjectOf returns what a 5yz before the dot is about, by its codes first and its text second. Many
// relays refuse our host or the sender at RCPT only (smtpd_delay_reject of Postfix), with a reply code that
// could also be about the recipient. At MAIL no reply can be about the recipient: the relay
// does not know it.
func subjectOf(r *reply, at stage) subject {
	code := [2]int{r.enhanced[1], r.enhanced[2]}
	switch {
	case isOurCode(r):
		return aboutUs
	case senderCodes[code]:
		return aboutSender
	case says(r.text, sessionPhrases...), connectionLimit(r):
		return aboutUs
	case says(r.text, senderPhrases...):
		return aboutSender
	case at == stageMail && (code[0] == 3 || code[0] == 6 || r.code == 552): // too large, or needs SMTPUTF8
		return aboutNothingSaid
	case at == stageMail:
		return aboutSender
	case recipientCodes[code]:
		return aboutRecipient
	case says(r.text, "sender"):
		return aboutSender
	case r.code == 551, says(r.text, mailboxPhrases...), says(r.text, fullPhrases...):
		return aboutRecipient
	}
	return aboutNothingSaid
}

// connectionLimit reports whether a 5yz is about a limit of this connection.
func connectionLimit(r *reply) bool {
	return r.enhanced == [3]int{5, 5, 3} || says(r.text, limitPhrases...)
}

// ourReplyCodes are about us or the session, whatever the text.
var ourReplyCodes = []int{
	500, 502, 503, 504, 555, // command or parameter not understood (RFC 5321 §4.2.4)
	525, 530, 534, 535, 538, // login required or refused (RFC 4954 §6)
}

// isOurCode reports whether the codes alone say that a 5yz is about us or the relay.
func isOurCode(r *reply) bool {
	if slices.Contains(ourReplyCodes, r.code) {
		return true
	}
	if r.enhanced[0] != 5 {
		return false
	}
	detail := r.enhanced[2]
	if r.enhanced[1] == 7 && (detail >= 606 && detail <= 649 || detail >= 700 && detail <= 749) {
		return true // Exchange Online: our addresses are banned, our tenant is blocked
	}
	return ourCodes[[2]int{r.enhanced[1], detail}]
}

// Subject and detail of enhanced codes of class 5: RFC 3463 §3, IANA's additions, and those of Exchange
// Online.
var (
	ourCodes = map[[2]int]bool{
		{1, 90}: true,                             // Exchange: daily limit of recipients
		{3, 1}:  true, {3, 2}: true, {3, 5}: true, // the relay is full, closing, misconfigured
		{4, 5}: true,               // congestion; Google: sending limit of the account
		{5, 1}: true, {5, 3}: true, // command out of order; too many recipients
		{7, 3}: true, {7, 4}: true, {7, 8}: true, {7, 9}: true, {7, 10}: true, {7, 11}: true, {7, 13}: true, // login, encryption
		{7, 25}: true,                                               // our address has no reverse DNS (RFC 7372)
		{7, 57}: true, {7, 64}: true, {7, 68}: true, {7, 139}: true, // Exchange: login or relaying
		{7, 232}: true, {7, 233}: true, // Exchange: limit of the tenant
		{7, 501}: true, {7, 502}: true, {7, 503}: true, {7, 506}: true, {7, 508}: true, {7, 510}: true, {7, 511}: true, // Exchange: we are banned
	}
	senderCodes = map[[2]int]bool{
		{1, 7}: true, {1, 8}: true, // RFC 3463 §3.2
		{2, 252}: true,                                                             // Exchange: sender throttled
		{7, 20}:  true, {7, 21}: true, {7, 22}: true, {7, 23}: true, {7, 24}: true, // DKIM, SPF (RFC 7372)
		{7, 26}: true, {7, 27}: true, // authentication of the sender's domain, null MX (RFC 7505)
		{7, 60}: true, {7, 509}: true, {7, 750}: true, // Exchange: send as, DMARC, unregistered domain
	}
	recipientCodes = map[[2]int]bool{
		{1, 1}: true, {1, 2}: true, {1, 3}: true, {1, 4}: true, {1, 6}: true, {1, 10}: true,
		{2, 1}: true, {2, 2}: true, {2, 3}: true, {2, 4}: true,
	}
)

// The phrases that say what a reply is about where its codes do not, in lower case. A phrase is
// all that logs show of a reply's text.
var (
	sessionPhrases = []string{
		"relay access denied", "relaying denied", "not permitted to relay", "unable to relay", "relay not permitted",
		"relay denied", "relaying not allowed", "relaying not permitted", "relay not allowed", "relaying is prohibited", "do not relay", "allowed rcpthosts",
		"not authenticated", "authentication required", "authentication is required", "authenticate first", "must authenticate", "log in first",
		"invalid credentials", "smtp auth", "starttls", "tls required", "encryption required",
		"client host", "blocked using", "helo command rejected", "bad helo", "banned send", "is listed", "listed at", "listed by", "spamhaus", "spamcop", "dnsbl",
		"your ip", "this ip", "sending ip", "unauthorized ip", "ip address", "your host", "your network", "their network", "reverse dns", "rdns", "ptr record", "reputation",
		"sending limit", "relay limit", "daily limit", "hourly limit", "rate limit", "sending rate", "sending quota", "message quota", "daily quota", "limit for message recipients", "credits exceeded", "throttl",
		"too many connections", "too many concurrent", "too many sessions",
		"your account", "smtp account", "sending paused", "sending disabled", "sending is disabled", "tenantattribution", "tenant has exceeded",
	}
	// limitPhrases are about this connection: the next one begins to count at zero.
	limitPhrases = []string{
		"too many recipients", "too many messages", "too many mails", "too many emails", "too many errors", "too many commands",
		"per connection", "per session", "this session",
	}
	senderPhrases = []string{
		"not owned by user", "not logged in", "sender verify", "sender verification", "sender address", "sender domain", "sender rejected", "sender denied",
		"sender not", "sender is not", "invalid sender", "bad sender", "bad outbound sender", "unauthenticated sender", "verified sender", "domain of sender", "envelope sender", "envelope from", "return path", "return-path",
		"mail from", "from address", "from domain", "send as", "sendas", "address is not verified", "domain not verified", "domain is not verified", "not allowed to send", "not authorized to send", "not authorised to send",
		"spf", "dkim", "dmarc",
	}
	contentPhrases = []string{"spam", "blocked", "policy", "blacklist", "blocklist", "content rejected", "virus"}
	mailboxPhrases = []string{
		"user unknown", "unknown user", "no such user", "does not exist", "mailbox unavailable", "no such mailbox", "no mailbox", "mailbox not found",
		"user not found", "recipient not found", "unknown recipient", "recipient unknown", "no such recipient", "invalid recipient", "invalid mailbox",
		"user does not", "user doesn't", "doesn't exist", "no such address", "address unknown", "unknown address", "unknown local", "not listed in", "unrouteable address",
	}
	fullPhrases = []string{"mailbox full", "mailbox is full", "over quota", "overquota", "quota exceeded", "exceeded storage", "out of storage"}
)

// addresses matches what a relay quotes: a phrase in there says nothing.
var addresses = regexp.MustCompile(`<[^<>\n]*>|\S*@\S*`)

// knownPhrase returns the first phrase that a line of the text contains; empty where it contains none.
func knownPhrase(text string) string {
	text = addresses.ReplaceAllString(text, " ")
	for _, phrase := range slices.Concat(sessionPhrases, limitPhrases, senderPhrases, mailboxPhrases, fullPhrases, contentPhrases) {
		if containsAny(text, phrase) {
			return phrase
		}
	}
	return ""
}

// says reports whether a reply's text contains a phrase, in any letter case. The phrase may be spread
// over two lines.
func says(text string, phrases ...string) bool {
	text = addresses.ReplaceAllString(text, " ")
	return containsAny(strings.ReplaceAll(text, "\n", " "), phrases...)
}

// containsAny reports whether text contains a phrase, in any letter case. Phrases are lower case.
func containsAny(text string, phrases ...string) bool {
	text = strings.ToLower(text)
	for _, phrase := range phrases {
		if strings.Contains(text, phrase) {
			return true
		}
	}
	return false
}
