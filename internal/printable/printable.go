// Package printable makes text from outside harmless to a terminal, and to
// protocols in which a line means something.
//
// A character is printable if strconv.IsPrint says so: a letter, mark, number,
// punctuation, symbol or the ASCII space. Others are controls (C0, DEL and C1, which
// begin escape sequences, ECMA-48 §5.3), format characters (which turn the direction of
// what follows round, UAX #9), other spaces, and octets that are not UTF-8 (of which a
// terminal for Latin-1 reads 0x9B as the beginning of a sequence).
package printable

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns s, quoted if it has a character that is not printable.
func Text(s string) string {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unprintable) {
		return strconv.Quote(s)
	}
	return s
}

// Line returns the lines of s on one line, separated by "; ". A peer may have
// written part of s, a name in its certificate for example.
func Line(s string) string { return Text(strings.ReplaceAll(s, "\n", "; ")) }

// Lines returns s with each character that is not printable as an escape of Go (\x1b,
// \u202e), except line breaks.
func Lines(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if invalid := r == utf8.RuneError && size == 1; r != '\n' && (invalid || unprintable(r)) {
			b.WriteString(strings.Trim(strconv.Quote(s[:size]), `"`))
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// JSON returns a JSON text with each character that is not printable as an escape
// (RFC 8259 §7): another spelling of the same values. Spaces and line breaks between
// values stay.
func JSON(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r < ' ' || r != utf8.RuneError && !unprintable(r): // valid JSON has controls of C0 between values only
			out = append(out, text[:size]...)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[size:]
	}
	return out
}

func unprintable(r rune) bool { return !strconv.IsPrint(r) }
