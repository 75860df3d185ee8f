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

// extension is what septets mean after an escape (3GPP TS 23.038 §6.2.1.1).
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

// septets is the way back, for all characters but '€' (U+20AC), which would
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

// appendSeptets appends the text, one septet an octet.
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

// fromSeptets reads one septet an octet. After an escape, a septet that the
// extension table lacks means what it means without, and an escape at the
// end or before another is a blank: 3GPP TS 23.038 §6.2.1.1.
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
