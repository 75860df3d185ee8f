package codes

import (
	"crypto/subtle"
	"encoding/binary"
	"strings"
	"unicode"

	"github.com/google/uuid"
)

// Alphabet is what codes are made of.
type Alphabet string

const (
	// Digits is the alphabet that every keypad has.
	Digits Alphabet = "digits"
	// Letters are those of RFC 8628 §6.1: no vowels, so that no code is a word, and none that looks like another
	// letter. Their case does not matter.
	Letters Alphabet = "letters"
)

// Alphabets are the names of all alphabets.
func Alphabets() []string { return []string{string(Digits), string(Letters)} }

// characters returns those of the alphabet.
func (a Alphabet) characters() string {
	if a == Letters {
		return "BCDFGHJKLMNPQRSTVWXZ"
	}
	return "0123456789"
}

// codeOf derives the code of a verification. subject stands for its recipient. An octet of the MAC that would favour some
// characters is left out; the counter gives more octets where they run short. So all codes are equally likely.
func (k *Key) codeOf(id uuid.UUID, subject []byte, a Alphabet, length int) string {
	characters := a.characters()
	limit := 256 / len(characters) * len(characters)
	code := make([]byte, 0, length)
	for counter := uint32(0); ; counter++ {
		for _, octet := range mac(k.code, id[:], subject, binary.BigEndian.AppendUint32(nil, counter)) {
			if len(code) == length {
				return string(code)
			}
			if int(octet) < limit {
				code = append(code, characters[int(octet)%len(characters)])
			}
		}
	}
}

// Normal returns a code as a person typed it without what people and phones put into codes: blanks, hyphens and dashes of
// all kinds, invisible marks. Letters become capitals, and other digits ASCII.
func Normal(typed string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r), unicode.Is(unicode.Cf, r), r == '\u2212':
			return -1
		case unicode.IsDigit(r):
			return digit(r)
		}
		return unicode.ToUpper(r)
	}, typed)
}

// zeros are those of the digits that keyboards have beside ASCII's: Arabic, Persian and full-width ones.
var zeros = [...]rune{'\u0660', '\u06f0', '\uff10'}

// digit returns the ASCII digit of a decimal digit.
func digit(r rune) rune {
	for _, zero := range zeros {
		if r >= zero && r <= zero+9 {
			return '0' + r - zero
		}
	}
	return r
}

// same reports whether a code that was typed is the code, in a time that says nothing about where they differ.
func same(code, typed string) bool {
	return subtle.ConstantTimeCompare([]byte(code), []byte(Normal(typed))) == 1
}
