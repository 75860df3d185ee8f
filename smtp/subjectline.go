package smtp

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of an encoded word. A line that has one may have 76 characters (RFC 2047 §2), and so the first may
// have fewer than 75 after the field's name. A longer word of a subject is encoded, since it can't be
// folded.
const (
	maxEncodedWord = 75
	maxPlainWord   = 60
)

// encoded returns a subject as the header has it (RFC 2047): as it is, where any reader shows it so after
// folding, else as encoded words, each of whole characters.
func encoded(subject string) string {
	if isPlain(subject) {
		return subject
	}
	return shortest("Subject", subject)
}

// shortest returns the text in encoded words of the encoding that makes it shorter.
func shortest(field, text string) string {
	room := maxEncodedWord + 1 - len(field+": ")
	q, b := encodedWords(room, text, 'q', qEncode), encodedWords(room, text, 'b', base64.StdEncoding.EncodeToString)
	if len(q) < len(b) {
		return q
	}
	return b
}

// isPlain reports whether a subject arrives as written without encoding. Readers decode what looks like an encoded
// word, trim space at the ends, and may change runs of space where the line is folded.
func isPlain(subject string) bool {
	if !isASCII(subject) || strings.Contains(subject, "=?") || strings.Contains(subject, "  ") || strings.TrimSpace(subject) != subject {
		return false
	}
	for word := range strings.SplitSeq(subject, " ") {
		if len(word) > maxPlainWord {
			return false
		}
	}
	return true
}

// encodedWords returns the text in encoded words, the first with room for that many characters, with a space between
// them, which readers leave out.
func encodedWords(room int, text string, encoding rune, encode func([]byte) string) string {
	var words []string
	for start := 0; start < len(text); room = maxEncodedWord {
		word, end := "", start
		for end < len(text) {
			_, size := utf8.DecodeRuneInString(text[end:])
			longer := fmt.Sprintf("=?utf-8?%c?%s?=", encoding, encode([]byte(text[start:end+size])))
			if len(longer) > room {
				break
			}
			word, end = longer, end+size
		}
		words = append(words, word)
		start = end
	}
	return strings.Join(words, " ")
}

// qEncode encodes for the Q encoding, with the characters that are safe in any field (RFC 2047 §5).
func qEncode(text []byte) string {
	var out strings.Builder
	for _, c := range text {
		switch {
		case c == ' ':
			out.WriteByte('_')
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'z', strings.IndexByte("!*+-/", c) >= 0:
			out.WriteByte(c)
		default:
			fmt.Fprintf(&out, "=%02X", c)
		}
	}
	return out.String()
}
