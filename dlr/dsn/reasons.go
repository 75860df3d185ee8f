package dsn

import "strings"

// byCode maps subject and detail of class 5 (RFC 3463 §3 and IANA's additions). Package smtp has the same
// table for replies. A code that is not listed goes by its subject.
var byCode = map[[2]int]Verdict{
	{1, 1}:  NoSuchMailbox, // bad destination mailbox address
	{1, 2}:  NoSuchMailbox, // bad destination system address: no such domain
	{1, 3}:  BadAddress,    // bad destination mailbox address syntax
	{1, 6}:  NoSuchMailbox, // destination mailbox has moved
	{1, 7}:  BadAddress,    // bad sender's mailbox address syntax
	{1, 8}:  Bounced,       // bad sender's system address
	{1, 10}: NoSuchMailbox, // recipient address has null MX (RFC 7505); Exchange: no such recipient
	{2, 1}:  NoSuchMailbox, // mailbox disabled, not accepting messages
	{4, 7}:  Transient,     // delivery time expired: useful as a transient error only (RFC 3463 §3.5)
	{6, 7}:  BadAddress,    // non-ASCII addresses not permitted (RFC 6531)
	{6, 10}: BadAddress,    // the same, for the other party
}

// The phrases that say what a failure is about where its codes do not, in lower case.
var (
	expiryPhrases  = []string{"retry timeout exceeded", "envelope expired", "message expired", "queue.expired", "in the queue too long", "delivery time expired"}
	mailboxPhrases = []string{
		"user unknown", "unknown user", "no such user", "does not exist", "no such mailbox", "mailbox not found",
		"no mailbox here by that name", "unknown recipient", "recipient not found", "recipientnotfound", "recipnotfound",
		"not listed in domino directory", "not listed in public name & address book",
	}
	contentPhrases = []string{"quarantine", "spam", "blocked", "policy", "blacklist", "blocklist", "content rejected", "virus"}
	fullPhrases    = []string{"mailbox full", "mailbox is full", "over quota", "quota exceeded"}

	// deniedPhrase is what Exchange Online writes with 5.4.1 for an address that its directory lacks.
	deniedPhrase = "recipient address rejected: access denied"
)

// reason returns why a mail failed, and the phrase that says so. class is that of Status, which may be
// all that is said.
func reason(f finding, class int) (Verdict, string) {
	text := withoutAddresses(f.text)
	mailbox, content := find(text, mailboxPhrases), find(text, contentPhrases)
	switch {
	case f.code[0] == 4:
		return Transient, find(text, expiryPhrases)
	case f.code == Code{5, 4, 1} && strings.Contains(text, deniedPhrase):
		return NoSuchMailbox, deniedPhrase
	case f.code != Code{}:
		if v, ok := byCode[[2]int{f.code[1], f.code[2]}]; ok {
			return v, mailbox
		}
		if f.code[1] == 7 {
			return Filtered, content
		}
		if (f.code[1] == 1 || f.code[1] == 5) && mailbox != "" { // 5.1.0, 5.5.0: other address or protocol status
			return NoSuchMailbox, mailbox
		}
		return Bounced, find(text, fullPhrases)
	case f.reply/100 == 4:
		return Transient, find(text, expiryPhrases)
	case f.reply == 0 && find(text, expiryPhrases) != "":
		return Transient, find(text, expiryPhrases)
	case f.reply == 0 && class == 4:
		return Transient, ""
	case mailbox != "":
		return NoSuchMailbox, mailbox
	case f.reply != 0 && content != "": // without a reply, the server's own words may have such a word
		return Filtered, content
	}
	return Bounced, find(text, fullPhrases)
}

// find returns the first phrase that the text contains; empty for none.
func find(text string, phrases []string) string {
	for _, phrase := range phrases {
		if strings.Contains(text, phrase) {
			return phrase
		}
	}
	return ""
}

// withoutAddresses returns the text in lower case, its blanks as one space each, and without words with
// '@' in them: spam@bank.example is no verdict on the mail.
func withoutAddresses(text string) string {
	var out strings.Builder
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		if !strings.Contains(word, "@") {
			out.WriteString(word)
			out.WriteByte(' ')
		}
	}
	return out.String()
}
