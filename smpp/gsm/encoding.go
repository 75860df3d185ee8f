package gsm

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Encoding is a way to write text in a short message.
type Encoding uint8

const (
	GSM7       Encoding = iota // GSM 03.38, one septet an octet: what most SMSCs want
	GSM7Packed                 // GSM 03.38, eight septets in seven octets
	UCS2                       // UTF-16, big-endian, without byte order mark
	Latin1                     // ISO 8859-1
)

var encodingNames = [...]string{GSM7: "gsm", GSM7Packed: "gsm-packed", UCS2: "ucs2", Latin1: "latin1"}

// String returns the encoding as settings spell it: "gsm", "gsm-packed", "ucs2" or "latin1".
func (e Encoding) String() string {
	if int(e) >= len(encodingNames) {
		return "invalid"
	}
	return encodingNames[e]
}

// DataCoding returns the usual data_coding (SMPP 3.4 §5.2.19). For both GSM
// forms that is the SMSC's default alphabet.
func (e Encoding) DataCoding() byte {
	switch e {
	case UCS2:
		return 0x08
	case Latin1:
		return 0x03
	}
	return 0x00
}

// Normalize returns the text in composed form (NFC), as all functions of this package see it.
func Normalize(text string) string { return norm.NFC.String(text) }

// Choose returns the first of the wanted encodings that has every character of
// the text, and UCS2 where none has. Without any wanted it tries GSM7.
func Choose(text string, wanted ...Encoding) Encoding {
	if len(wanted) == 0 {
		wanted = []Encoding{GSM7}
	}
	text = Normalize(text)
	for _, e := range wanted {
		if e.has(text) {
			return e
		}
	}
	return UCS2
}

// has tells whether every character of the normalised text can be encoded.
func (e Encoding) has(text string) bool {
	if !utf8.ValidString(text) {
		return false
	}
	for _, r := range text {
		if e.size(r) == 0 {
			return false
		}
	}
	return true
}

// size returns how many units (septets, 16-bit units, octets) a character takes; 0 where the encoding lacks it.
func (e Encoding) size(r rune) int {
	switch e {
	case UCS2:
		return max(utf16.RuneLen(r), 0)
	case Latin1:
		if r > 0xFF {
			return 0
		}
		return 1
	}
	_, escaped, ok := septet(r)
	switch {
	case !ok:
		return 0
	case escaped:
		return 2
	}
	return 1
}
