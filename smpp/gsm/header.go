package gsm

// Octets of the user data headers that UDH8 and UDH16 return, their length octet included.
const (
	UDH8Len  = 6
	UDH16Len = 7
)

// UDH8 returns the header of one part of a long message, with an 8-bit
// reference (3GPP TS 23.040 §9.2.3.24.1). index counts from 0; on the wire,
// parts count from 1.
//
//	05 00 03 ref total index+1
func UDH8(ref byte, total, index int) []byte {
	return []byte{5, 0x00, 3, ref, byte(total), byte(index + 1)}
}

// UDH16 is UDH8 with a 16-bit reference (3GPP TS 23.040 §9.2.3.24.8).
//
//	06 08 04 ref-high ref-low total index+1
func UDH16(ref uint16, total, index int) []byte {
	return []byte{6, 0x08, 4, byte(ref >> 8), byte(ref), byte(total), byte(index + 1)}
}

// HeaderLen returns the length of the user data header at the start of a
// message whose esm_class says that it has one (SMPP 3.4 §5.2.12, bit 6), its
// length octet included; false if it is longer than the message.
func HeaderLen(message []byte) (int, bool) {
	if len(message) == 0 || int(message[0])+1 > len(message) {
		return 0, false
	}
	return int(message[0]) + 1, true
}

// Concat is the place of a part in a long message.
type Concat struct {
	Ref   uint16 // the same in all parts
	Wide  bool   // Ref has 16 bits; else 8
	Total int    // parts of the message
	Index int    // from 0
}

// ParseConcat reads the place of a part in the user data header at the start of a message
// (3GPP TS 23.040 §9.2.3.24.1, §9.2.3.24.8); false if it has none, or an impossible one, which
// the standard says to ignore. Of several the last counts.
func ParseConcat(message []byte) (c Concat, ok bool) {
	n, whole := HeaderLen(message)
	if !whole {
		return c, false
	}
	for rest := message[1:n]; len(rest) >= 2 && len(rest) >= 2+int(rest[1]); rest = rest[2+int(rest[1]):] {
		id, v := rest[0], rest[2:2+int(rest[1])]
		var found Concat
		switch {
		case id == 0x00 && len(v) == 3:
			found = Concat{Ref: uint16(v[0]), Total: int(v[1]), Index: int(v[2]) - 1}
		case id == 0x08 && len(v) == 4:
			found = Concat{Ref: uint16(v[0])<<8 | uint16(v[1]), Wide: true, Total: int(v[2]), Index: int(v[3]) - 1}
		default:
			continue
		}
		if found.Index >= 0 && found.Index < found.Total {
			c, ok = found, true
		}
	}
	return c, ok
}
