package gsm

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// MaxParts is how many parts a message may have.
const MaxParts = 16

// messageOctets is the length of the user data of one short message, header included
// (3GPP TS 23.040 §9.2.3.24).
const messageOctets = 140

// MaxOctets bounds a text in UTF-8. A longer one is refused before it is normalised and split, which would take time
// without need: in MaxParts, no character that a unit can hold takes more than nine octets (a Hangul syllable
// in three letters, 1,072 of them), and of GSM 03.38 more than three (2,448).
const MaxOctets = MaxParts << 10

// ErrTooLong matches a *TooLongError.
var ErrTooLong = errors.New("message too long")

// TooLongError holds how many parts a text would need; 0 beyond MaxOctets.
type TooLongError struct {
	Needed int
}

func (e *TooLongError) Error() string {
	if e.Needed == 0 {
		return fmt.Sprintf("message too long: at most %d parts are allowed, which have %d characters", MaxParts, MaxParts*GSM7.capacity(UDH8Len))
	}
	return fmt.Sprintf("message too long: it needs %d parts, at most %d are allowed", e.Needed, MaxParts)
}

// Is makes errors.Is(err, ErrTooLong) true.
func (e *TooLongError) Is(target error) bool { return target == ErrTooLong }

// Split splits a text into parts: one if it fits a short
// message by itself, else parts that leave room for a user data header of the given
// octets (UDH8Len, UDH16Len; UDH8Len for SAR TLVs too). An empty text is
// one empty part. The joined parts are Normalize(text).
//
// Errors: *TooLongError, and those of Encode.
func Split(e Encoding, text string, header int) ([]string, error) {
	ends, text, err := cuts(e, text, header)
	if err != nil {
		return nil, err
	}
	parts, start := make([]string, len(ends)), 0
	for i, end := range ends {
		parts[i], start = text[start:end], end
	}
	return parts, nil
}

// capacity is how many units of the encoding fit a short message beside a header.
func (e Encoding) capacity(header int) int {
	octets := messageOctets - header
	switch e {
	case UCS2:
		return octets / 2
	case Latin1:
		return octets
	}
	return octets * 8 / 7
}

// cuts returns where the parts of the normalised text end.
func cuts(e Encoding, text string, header int) (ends []int, normal string, err error) {
	if !utf8.ValidString(text) {
		return nil, "", ErrInvalidText
	}
	if len(text) > MaxOctets {
		return nil, "", &TooLongError{}
	}
	text = Normalize(text)
	total := 0
	for i, r := range text {
		size := e.size(r)
		if size == 0 {
			return nil, "", lacks(e, i)
		}
		total += size
	}
	if total <= e.capacity(0) {
		return []int{len(text)}, text, nil
	}
	ends = cutAt(e, text, header)
	if len(ends) > MaxParts {
		return nil, "", &TooLongError{Needed: len(ends)}
	}
	return ends, text, nil
}

// cutAt fills each part with as many clusters as fit beside a header, except where packed septets
// would be followed by a filler.
func cutAt(e Encoding, text string, header int) (ends []int) {
	capacity := e.capacity(header)
	start, used := 0, 0 // of the part that is being filled
	end, fits := 0, 0   // the last place where it may end, and its units there
	for at := 0; at < len(text); {
		length, units := cluster(e, text[at:])
		if used+units > capacity {
			if end == start {
				end, fits = at, used // no place is good
			}
			ends = append(ends, end)
			start, used = end, used-fits
		}
		used += units
		at += length
		if e != GSM7Packed || !filled(header, used, text[at-1]) {
			end, fits = at, used
		}
	}
	return evenLast(e, text, header, append(ends, len(text)))
}

// filled reports whether a part of packed septets that ends with this octet would have a filler
// after it, or lose its end to a reader that takes a carriage return there for one (see pack). With
// room for UDH8 its septets may begin after that header, or in the first bit: then the SMSC writes
// the header, since it got SAR TLVs.
func filled(header, septets int, last byte) bool {
	return fillerAfter(fillBits(header)+7*septets, last) || header == UDH8Len && fillerAfter(7*septets, last)
}

func fillerAfter(bits int, last byte) bool {
	left := (8 - bits%8) % 8
	return left == 7 || left == 0 && last == carriageReturn
}

// evenLast moves the last cut forward in the text, if the last part would end with a filler and can
// be made longer by this. A filler at the end of a whole message is a carriage return that no reader
// sees; but a reader's copy of the text would have one character more.
func evenLast(e Encoding, text string, header int, ends []int) []int {
	n := len(ends)
	if e != GSM7Packed || n < 2 || !filled(header, unitsOf(e, text[ends[n-2]:]), text[len(text)-1]) {
		return ends
	}
	start := 0
	if n > 2 {
		start = ends[n-3]
	}
	best, used := 0, 0
	for at := start; at < ends[n-2]; {
		length, units := cluster(e, text[at:])
		used += units
		at += length
		rest := unitsOf(e, text[at:])
		if at < ends[n-2] && rest <= e.capacity(header) && !filled(header, used, text[at-1]) && !filled(header, rest, text[len(text)-1]) {
			best = at
		}
	}
	if best > 0 {
		ends[n-2] = best
	}
	return ends
}

func unitsOf(e Encoding, text string) (units int) {
	for _, r := range text {
		units += e.size(r)
	}
	return units
}

const (
	zeroWidthJoiner = '\u200D'

	// maxCluster bounds the units that are kept together. The longest emoji in use, a family
	// with skin tones, has 22. Beyond the bound a cut does less harm than a part that stays half empty.
	maxCluster = 32
)

// cluster returns the octets and the encoded units of the first character in the
// text, as a reader sees it. It follows the rules of extended
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

// joined reports whether r is read as one with the character before it.
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

// regional reports whether r is one half of a flag.
func regional(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }
