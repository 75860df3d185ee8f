package gsm

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Encoding is a way to write text in a short message.
type Encoding uint8

const (
	GSM7       Encoding = iota // GSM 03.38, one septet per octet: most SMSCs expect it
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

// Normalize returns the text in composed form (NFC). All functions of this package use it.
func Normalize(text string) string { return norm.NFC.String(text) }

// Choose returns the first of the wanted encodings that has every character of
// the text, or UCS2. Without any wanted it tries GSM7. Of a text beyond MaxOctets, which can't be
// sent, only so many are looked at.
func Choose(text string, wanted ...Encoding) Encoding {
	if len(wanted) == 0 {
		wanted = []Encoding{GSM7}
	}
	text = Normalize(text[:min(len(text), MaxOctets)])
	for _, e := range wanted {
		if e.has(text) {
			return e
		}
	}
	return UCS2
}

// has reports whether every character of the normalised text can be encoded.
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

var (
	// ErrNotInAlphabet: the encoding lacks a character of the text.
	ErrNotInAlphabet = errors.New("character not in the alphabet")
	// ErrInvalidText: the text is not UTF-8.
	ErrInvalidText = errors.New("text is not valid UTF-8")
	// ErrMalformed: the encoding does not allow these octets.
	ErrMalformed = errors.New("malformed octets")
)

// Encode returns the text's octets. The error is ErrNotInAlphabet or
// ErrInvalidText. It names the position, counted in octets of the normalised text,
// but not the character: a text must not get into a log.
func Encode(e Encoding, text string) ([]byte, error) { return Append(nil, e, text) }

// Append appends the text's octets to a user data header. The length of the header matters
// to GSM7Packed only.
func Append(header []byte, e Encoding, text string) ([]byte, error) {
	if !utf8.ValidString(text) {
		return nil, ErrInvalidText
	}
	text = Normalize(text)
	switch e {
	case GSM7:
		return appendSeptets(header, text)
	case GSM7Packed:
		codes, err := appendSeptets(nil, text)
		if err != nil {
			return nil, err
		}
		return pack(header, codes), nil
	case UCS2:
		for _, r := range text {
			header = appendUTF16(header, r)
		}
		return header, nil
	case Latin1:
		return appendLatin1(header, text)
	}
	return nil, fmt.Errorf("gsm: no encoding %d", e)
}

// Decode returns the text of a short message after its user data header, whose length is in
// octets (0 for none, else HeaderLen). UCS2 is read tolerantly: an odd octet at the end is
// dropped, half a surrogate pair becomes U+FFFD.
func Decode(e Encoding, message []byte, header int) (string, error) {
	if header < 0 || header > len(message) {
		return "", malformed(e, len(message))
	}
	body := message[header:]
	switch e {
	case GSM7:
		return fromSeptets(body)
	case GSM7Packed:
		return fromSeptets(unpack(message, header))
	case UCS2:
		return fromUTF16(body), nil
	case Latin1:
		return fromLatin1(body), nil
	}
	return "", fmt.Errorf("gsm: no encoding %d", e)
}

func appendUTF16(dst []byte, r rune) []byte {
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return append(dst, byte(high>>8), byte(high), byte(low>>8), byte(low))
	}
	return append(dst, byte(r>>8), byte(r))
}

func fromUTF16(body []byte) string {
	units := make([]uint16, len(body)/2)
	for i := range units {
		units[i] = uint16(body[2*i])<<8 | uint16(body[2*i+1])
	}
	return string(utf16.Decode(units))
}

func appendLatin1(dst []byte, text string) ([]byte, error) {
	for i, r := range text {
		if r > 0xFF {
			return nil, lacks(Latin1, i)
		}
		dst = append(dst, byte(r))
	}
	return dst, nil
}

func fromLatin1(body []byte) string {
	text := make([]rune, len(body))
	for i, octet := range body {
		text[i] = rune(octet)
	}
	return string(text)
}

func lacks(e Encoding, at int) error {
	return fmt.Errorf("%s: octet %d: %w", e, at, ErrNotInAlphabet)
}

func malformed(e Encoding, at int) error {
	return fmt.Errorf("%s: octet %d: %w", e, at, ErrMalformed)
}
