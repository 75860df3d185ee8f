package smtp

import (
	"regexp"
	"strings"
)

// queueIDs are the forms in which relays name the mail that they took. An id has one of these forms
// or is not kept: a relay's text may quote the mail.
var queueIDs = []*regexp.Regexp{
	regexp.MustCompile(`\b[Qq]ueued as ([0-9A-F]{6,16})\b`),                                                                       // Postfix: microseconds and inode
	regexp.MustCompile(`\b[Qq]ueued as ([0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]{1,16})\b`), // Postfix, enable_long_queue_ids: the inode has no z
	regexp.MustCompile(`\bid=([0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2})(?:\s|$)`),                                             // Exim before 4.97
	regexp.MustCompile(`\bid=([0-9A-Za-z]{6}-[0-9A-Za-z]{11}-[0-9A-Za-z]{4})(?:\s|$)`),                                            // Exim
	regexp.MustCompile(`^([0-9a-f]{8}) Message accepted for delivery`),                                                            // OpenSMTPD
	regexp.MustCompile(`^([0-9A-Za-x]{8}[0-9]{6}) Message accepted for delivery`),                                                 // sendmail: time and process
	regexp.MustCompile(`\[InternalId=([0-9]{10,20})[,\]]`),                                                                        // Exchange
	regexp.MustCompile(`\b[Qq]ueued \(([0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}\.[0-9]{1,3})\)`),              // Haraka
	regexp.MustCompile(`^Ok ([0-9a-f]{16}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-[0-9]{6})$`),               // Amazon SES
}

// queueID returns the relay's identifier of the mail; empty where its reply has none of a known form.
// A number alone may be a code: it is one only in Exchange's form. Nor is it a word of the mail.
func queueID(text string, l *letter) string {
	for _, form := range queueIDs {
		found := form.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		id := found[1]
		number := strings.Trim(id, "0123456789") == ""
		if number && !strings.Contains(found[0], "InternalId") || l.contains(id) {
			continue
		}
		return id
	}
	return ""
}

// contains reports whether the mail's subject or body contains the word, in any letter case.
func (l *letter) contains(word string) bool {
	return containsAny(l.message.Subject, strings.ToLower(word)) || containsAny(l.message.Body, strings.ToLower(word))
}
