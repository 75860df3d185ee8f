package gsm

import (
	"unicode"
	"unicode/utf8"
)

const (
	zeroWidthJoiner = '\u200D'

	// maxCluster is how many units are kept together at most. The longest emoji in use, a family
	// with skin tones, has 22; beyond this a cut does less harm than a part that stays half empty.
	maxCluster = 32
)

// cluster returns the octets and the encoded units of the first thing in the
// text that a reader sees as one character. It follows the rules of extended
// grapheme clusters (UAX #29 §3.1.1) as far as short messages need them:
// Hangul syllables, for one, are composed already.
func cluster(e Encoding, text string) (length, units int) {
	previous, n := utf8.DecodeRuneInString(text)
	length, units = n, e.size(previous)
	flag := regional(previous)
	for length < len(text) {
		r, n := utf8.DecodeRuneInString(text[length:])
		if !joined(previous, r) && !(flag && regional(r)) {
			break
		}
		if units+e.size(r) > maxCluster {
			break
		}
		flag = false // a flag is two regional indicators; a third begins the next
		length, units, previous = length+n, units+e.size(r), r
	}
	return length, units
}

// joined tells whether r is read as one with what is before it.
func joined(previous, r rune) bool {
	switch {
	case r < 0x300: // no marks so far down: the common case
		return previous == '\r' && r == '\n'
	case previous == '\r' || previous == '\n':
		return false
	case previous == zeroWidthJoiner, r == zeroWidthJoiner:
		return true
	case r >= 0x1F3FB && r <= 0x1F3FF: // skin tones
		return true
	case r >= 0xE0020 && r <= 0xE007F: // tags, in the flags of regions
		return true
	}
	return unicode.Is(unicode.M, r) // variation selectors too
}

// regional tells whether r is one half of a flag.
func regional(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }
