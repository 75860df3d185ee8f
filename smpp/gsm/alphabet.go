package gsm

import "slices"

// basic is the default alphabet, septets 0x00 to 0x7F in order (3GPP TS 23.038
// §6.2.1). 0x1B escapes to the extension table and stands for no character.
const basic = "@£$¥èéùìòÇ\nØø\rÅå" +
	"Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ" +
	" !\"#¤%&'()*+,-./" +
	"0123456789:;<=>?" +
	"¡ABCDEFGHIJKLMNO" +
	"PQRSTUVWXYZÄÖÑÜ§" +
	"¿abcdefghijklmno" +
	"pqrstuvwxyzäöñüà"

const (
	escape         = 0x1B
	carriageReturn = 0x0D
	euro           = 0x65 // in the extension table
)

// extension has the characters of septets after an escape (3GPP TS 23.038 §6.2.1.1).
var extension = [128]rune{
	0x0A: '\f', 0x14: '^', 0x28: '{', 0x29: '}', 0x2F: '\\',
	0x3C: '[', 0x3D: '~', 0x3E: ']', 0x40: '|', euro: '€',
}

// alphabet is basic by septet.
var alphabet = [128]rune([]rune(basic))

const (
	known    = 0x80  // set in every entry of septets that stands for a character
	extended = 0x100 // the septet follows an escape
)

// septets has the septet of every character except '€' (U+20AC), which would
// make the table eight times as long.
var septets = invert()

func invert() (table [0x400]uint16) {
	for septet, r := range alphabet {
		if septet != escape {
			table[r] = uint16(septet) | known
		}
	}
	for septet, r := range extension {
		if r != 0 && septet != euro {
			table[r] = uint16(septet) | known | extended
		}
	}
	return table
}

// septet returns the septet of a character and whether it follows an escape.
func septet(r rune) (code byte, escaped, ok bool) {
	if r == '€' {
		return euro, true, true
	}
	if r < 0 || int(r) >= len(septets) {
		return 0, false, false
	}
	entry := septets[r]
	return byte(entry) &^ known, entry&extended != 0, entry != 0
}

// appendSeptets appends the text, one septet per octet.
func appendSeptets(dst []byte, text string) ([]byte, error) {
	dst = slices.Grow(dst, len(text))
	for i, r := range text {
		code, escaped, ok := septet(r)
		if !ok {
			return nil, lacks(GSM7, i)
		}
		if escaped {
			dst = append(dst, escape)
		}
		dst = append(dst, code)
	}
	return dst, nil
}

// fromSeptets reads one septet per octet. After an escape, a septet that the
// extension table lacks has its basic meaning, and an escape at the
// end or before another is a blank (3GPP TS 23.038 §6.2.1.1).
func fromSeptets(data []byte) (string, error) {
	text := make([]rune, 0, len(data))
	escaped := false
	for i, code := range data {
		switch {
		case code > 0x7F:
			return "", malformed(GSM7, i)
		case escaped && code != escape && extension[code] != 0:
			text, escaped = append(text, extension[code]), false
		case code == escape && !escaped:
			escaped = true
		case code == escape:
			text, escaped = append(text, ' '), false
		default:
			text, escaped = append(text, alphabet[code]), false
		}
	}
	if escaped {
		text = append(text, ' ')
	}
	return string(text), nil
}

// pack appends the codes of septets packed, eight in seven octets, the first in the low
// bits (3GPP TS 23.038 §6.1.2.1). dst may hold a user data header: fill bits
// bring the text to a septet boundary (3GPP TS 23.040 §9.2.3.24).
//
// Where seven bits of the last octet stay free, a receiver that counts octets
// reads one septet more, and zeros would be an '@'. So a carriage return goes there
// (3GPP TS 23.038 §6.1.2.3.1).
func pack(dst, codes []byte) []byte {
	offset := fillBits(len(dst))
	bits := offset + 7*len(codes)
	if (8-bits%8)%8 == 7 {
		codes, bits = append(codes, carriageReturn), bits+7
	}
	start := len(dst)
	dst = append(dst, make([]byte, (bits+7)/8)...)
	for i, code := range codes {
		at := offset + 7*i
		shifted := uint16(code) << (at % 8)
		dst[start+at/8] |= byte(shifted)
		if high := byte(shifted >> 8); high != 0 {
			dst[start+at/8+1] |= high
		}
	}
	return dst
}

// unpack returns the septets after a header, whose length is in octets. A carriage
// return that ends with the last octet is taken for the filler of pack.
func unpack(data []byte, header int) []byte {
	offset := fillBits(header)
	body := data[header:]
	codes := make([]byte, max(8*len(body)-offset, 0)/7)
	for i := range codes {
		at := offset + 7*i
		pair := uint16(body[at/8])
		if at/8+1 < len(body) {
			pair |= uint16(body[at/8+1]) << 8
		}
		codes[i] = byte(pair>>(at%8)) & 0x7F
	}
	n := len(codes)
	if n > 0 && codes[n-1] == carriageReturn && offset+7*n == 8*len(body) {
		codes = codes[:n-1]
	}
	return codes
}

// fillBits is how many bits lie between a header and the next septet boundary.
func fillBits(header int) int { return (7 - header*8%7) % 7 }
