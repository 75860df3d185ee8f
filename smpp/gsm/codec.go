package gsm

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

var (
	// ErrNotInAlphabet: the encoding lacks a character of the text.
	ErrNotInAlphabet = errors.New("character not in the alphabet")
	// ErrInvalidText: the text is not UTF-8.
	ErrInvalidText = errors.New("text is not valid UTF-8")
	// ErrMalformed: the octets are not what the encoding allows.
	ErrMalformed = errors.New("malformed octets")
)

// Encode returns the text's octets. The error is ErrNotInAlphabet or
// ErrInvalidText and says where, counted in octets of the normalised text,
// but not what: a text must not get into a log.
func Encode(e Encoding, text string) ([]byte, error) { return Append(nil, e, text) }

// Append appends the text's octets to a user data header. Only GSM7Packed
// looks at how long the header is.
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

// Decode returns the text of a short message behind a user data header of that
// many octets (0 for none, else HeaderLen). UCS2 is read tolerantly: an odd octet at the end is left
// out, half a surrogate pair becomes U+FFFD.
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
