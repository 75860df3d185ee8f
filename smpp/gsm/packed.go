package gsm

// pack appends the codes of septets packed, eight in seven octets, the first in the low
// bits (3GPP TS 23.038 §6.1.2.1). dst may hold a user data header: fill bits
// bring the text to a septet boundary (3GPP TS 23.040 §9.2.3.24).
//
// Where seven bits of the last octet stay free, a receiver that counts octets
// sees one septet more, and zeros would be an '@'. A carriage return goes there
// instead, as 3GPP TS 23.038 §6.1.2.3.1 does it.
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

// unpack returns the septets behind a header of that many octets. A carriage
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
