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
// what relays quote of a mail: addresses, the recipient's name alone, and words
// of the text that bear a digit or a slash (codes, links).
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
		return word[:start] + "***" + word[strings.LastIndexByte(word, '@'):]
	}
	if l == nil {
		return word
	}
	bare := strings.Trim(word, `<>()[]{}"'.,:;!?`)
	if strings.EqualFold(bare, l.to.local) || strings.EqualFold(bare, l.from.local) {
		return "***"
	}
	if len(bare) >= 3 && strings.ContainsAny(bare, "0123456789/") && l.says(bare) {
		return "***"
	}
	return word
}
