package smsctest

import (
	"bytes"
	"unicode/utf8"

	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
)

// Values of data_coding (SMPP 3.4 §5.2.19) and esm_class (§5.2.12) in use here.
const (
	codingIA5    = 1
	codingLatin1 = 3
	codingUCS2   = 8

	esmReceipt      = 0x04
	esmIntermediate = 0x20
	esmUDHI         = 0x40
)

// decodeText reads a message body. used is the length of the user data header
// before it in octets, since packed septets are aligned behind it.
func decodeText(coding byte, alphabet Alphabet, body []byte, used int) string {
	switch {
	case coding == codingUCS2:
		return string(pdutext.UCS2(body).Decode())
	case coding == codingLatin1, coding == 0 && alphabet == Latin1:
		return latin1(body)
	case coding == codingIA5:
		return string(body)
	case alphabet == GSMPacked:
		return string(pdutext.GSM7(unpack(body, used)).Decode())
	}
	return string(pdutext.GSM7(body).Decode())
}

func latin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// unpack turns octets into septets (3GPP TS 23.038 §6.1.2.1.1). Behind a header
// of used octets the text starts at the next multiple of seven bits. Where the
// last seven bits are all zero they are filling, not an "@".
func unpack(b []byte, used int) []byte {
	var septets []byte
	start := (7 - used*8%7) % 7
	for bit := start; bit+7 <= len(b)*8; bit += 7 {
		v := uint(b[bit/8]) >> (bit % 8)
		if bit%8 > 1 {
			v |= uint(b[bit/8+1]) << (8 - bit%8)
		}
		septets = append(septets, byte(v&0x7F))
	}
	if n := len(septets); n > 0 && septets[n-1] == 0 && (start+7*n) == len(b)*8 {
		septets = septets[:n-1]
	}
	return septets
}

// encodeText chooses GSM 03.38 where the text comes back from it unchanged,
// else UCS-2.
func encodeText(text string) (coding byte, octets []byte) {
	septets := pdutext.GSM7(text).Encode()
	plain := !bytes.ContainsFunc(septets, func(r rune) bool { return r >= utf8.RuneSelf })
	if plain && string(pdutext.GSM7(septets).Decode()) == text {
		return 0, septets
	}
	return codingUCS2, pdutext.UCS2(text).Encode()
}
