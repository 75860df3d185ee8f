package smtp

import (
	"strings"
	"unicode"
)

// maxText bounds what is kept of a reply's words, in octets.
const maxText = 240

// maskAddress returns "***@example.org" for an address, "***" for anything else.
func maskAddress(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "***"
	}
	return "***" + s[at:]
}

// maskReply makes a relay's words fit for logs: one line, bounded, and without
// what relays quote of a mail: addresses, a local part alone, codes and links.
func maskReply(text string, l *letter) string {
	words := strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
	var out strings.Builder
	for _, word := range words {
		masked := maskWord(word, l)
		if out.Len()+1+len(masked) > maxText {
			out.WriteString(" …")
			break
		}
		if out.Len() > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(masked)
	}
	return strings.ToValidUTF8(out.String(), "?")
}

func maskWord(word string, l *letter) string {
	if first := strings.IndexByte(word, '@'); first >= 0 {
		start := strings.LastIndexAny(word[:first], "<(") + 1
		word = word[:start] + "***" + word[strings.LastIndexByte(word, '@'):]
	}
	if l != nil && (names(word, l.to) || names(word, l.from) || quotes(word, l)) {
		return "***"
	}
	return word
}

// names tells whether the word gives away the local part of an address. Those
// of one or two letters are in too many words.
func names(word string, a address) bool {
	local := strings.ToLower(a.local)
	return len(local) > 2 && strings.Contains(strings.ToLower(word), local)
}

// quotes tells whether the word has a code or a link of the mail in it.
func quotes(word string, l *letter) bool {
	bare := strings.Trim(word, "<>()[]{}\"'.,:;!?")
	if strings.Contains(bare, "/") && l.says(bare) {
		return true
	}
	for run := range strings.FieldsFuncSeq(word, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(run) > 2 && strings.ContainsFunc(run, unicode.IsDigit) && l.says(run) {
			return true
		}
	}
	return false
}
