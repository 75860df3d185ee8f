package smtp

import (
	"strings"

	gosmtp "github.com/emersion/go-smtp"

	"straks/internal/handover"
)

// stage is how far a transaction has come.
type stage uint8

const (
	stageMail stage = iota // MAIL FROM
	stageRcpt              // RCPT TO
	stageData              // DATA and the body, short of the final dot
	stageDot               // the final dot was written
)

// verdict is what a reply means for the mail.
type verdict struct {
	outcome handover.Outcome
	refusal Refusal
	ours    bool // the relay has trouble with itself or with us, not with the mail
}

// judge tells what a reply at a stage means. See the package comment.
func judge(reply *gosmtp.SMTPError, at stage) verdict {
	switch reply.Code / 100 {
	case 2:
		if at == stageDot {
			return verdict{outcome: handover.Accepted}
		}
	case 4:
		return verdict{outcome: handover.NotSent, ours: relayTrouble(reply)}
	case 5:
		switch {
		case at == stageDot:
		case sessionFault(reply):
			return verdict{outcome: handover.NotSent, ours: true}
		case senderFault(reply, at):
			return verdict{outcome: handover.NotSent}
		}
		return verdict{outcome: handover.Refused, refusal: refusalOf(reply, at)}
	}
	// An answer that belongs to no question, or is none.
	if at == stageDot {
		return verdict{outcome: handover.Unknown, ours: true}
	}
	return verdict{outcome: handover.NotSent, ours: true}
}

// relayTrouble tells whether a 4yz is about the relay and not the recipient:
// closing (421) or short of something (4.3.x, RFC 3463 §3.4).
func relayTrouble(reply *gosmtp.SMTPError) bool {
	return reply.Code == 421 || reply.Code == 452 && reply.EnhancedCode[1] != 2 || reply.EnhancedCode[1] == 3
}

// sessionFault tells whether a 5yz is about us or the session: another relay, or
// this one once the operator has set it right, will take the mail. Many relays say so at
// RCPT only (Postfix' smtpd_delay_reject), with a code that as well could be about the mail.
func sessionFault(reply *gosmtp.SMTPError) bool {
	switch reply.Code {
	case 500, 502, 503, 504, // not understood here (RFC 5321 §4.2.4)
		530, 534, 535, 538: // login wanted (RFC 4954 §6)
		return true
	}
	if reply.EnhancedCode == (gosmtp.EnhancedCode{5, 5, 1}) {
		return true
	}
	return containsAny(reply.Message,
		"relay access denied", "relaying denied", "not permitted to relay", "unable to relay", "relay not permitted",
		"client host", "blocked using", "helo command rejected", "not authenticated", "authentication required")
}

// senderFault tells whether a 5yz is about the sender, whom another relay may let us
// use: a policy that was applied before there was a recipient, or says so. Callers may choose
// senders, so it is nothing against the relay.
func senderFault(reply *gosmtp.SMTPError, at stage) bool {
	return at == stageMail && reply.EnhancedCode[0] == 5 && reply.EnhancedCode[1] == 7 ||
		containsAny(reply.Message, "not owned by user", "not logged in")
}

// byEnhancedCode maps RFC 3463 §3 codes (and IANA's additions) of class 5. What is
// not listed goes by its subject, the second number.
var byEnhancedCode = map[[2]int]Refusal{
	{1, 0}:  OtherRefusal,  // other address status
	{1, 1}:  NoSuchMailbox, // bad destination mailbox address
	{1, 2}:  NoSuchMailbox, // bad destination system address: no such domain
	{1, 3}:  BadAddress,    // bad destination mailbox address syntax
	{1, 4}:  OtherRefusal,  // destination mailbox address ambiguous
	{1, 6}:  NoSuchMailbox, // destination mailbox has moved
	{1, 7}:  BadAddress,    // bad sender's mailbox address syntax
	{1, 8}:  OtherRefusal,  // bad sender's system address
	{1, 9}:  OtherRefusal,  // message relayed to non-compliant mailer
	{1, 10}: NoSuchMailbox, // recipient address has null MX (RFC 7505)
	{2, 1}:  NoSuchMailbox, // mailbox disabled, not accepting messages
	{6, 7}:  BadAddress,    // non-ASCII addresses not permitted (RFC 6531)
	{6, 10}: BadAddress,    // the same, for the other party
}

// refusalOf tells why a mail was refused: by the enhanced code where there is
// one, else by the reply code and the words that servers use.
func refusalOf(reply *gosmtp.SMTPError, at stage) Refusal {
	code := reply.EnhancedCode
	if code[0] == 5 && code != (gosmtp.EnhancedCode{5, 0, 0}) {
		if r, ok := byEnhancedCode[[2]int{code[1], code[2]}]; ok {
			return r
		}
		if code[1] == 7 {
			return Filtered
		}
		return OtherRefusal
	}
	switch {
	case containsAny(reply.Message, "spam", "blocked", "policy", "blacklist", "blocklist", "content rejected", "virus"):
		return Filtered
	case at == stageRcpt && (reply.Code == 550 || reply.Code == 551):
		return NoSuchMailbox // RFC 5321 §4.2.3: mailbox unavailable, user not local
	case at != stageDot && (reply.Code == 501 || reply.Code == 553):
		return BadAddress // syntax in the parameter, mailbox name not allowed
	case containsAny(reply.Message, "user unknown", "unknown user", "no such user", "does not exist"):
		return NoSuchMailbox
	}
	return OtherRefusal
}

// containsAny looks for the phrases, which are lower case, in any case.
func containsAny(text string, phrases ...string) bool {
	text = strings.ToLower(text)
	for _, phrase := range phrases {
		if strings.Contains(text, phrase) {
			return true
		}
	}
	return false
}

// queueID finds the name that a relay gave the mail, in the forms of Postfix
// ("Ok: queued as 4XY"), Exim ("OK id=1abC-00"), and whoever follows them.
func queueID(text string) string {
	for _, mark := range []string{"queued as ", "id=", "Queued as ", "queued with id ", "Message-Id: "} {
		if _, after, ok := strings.Cut(text, mark); ok {
			id, _, _ := strings.Cut(after, " ")
			id = strings.Trim(id, "<>.,;()[]")
			if id != "" && len(id) <= 64 && isASCII(id) && !strings.Contains(id, "@") {
				return id
			}
		}
	}
	return ""
}
