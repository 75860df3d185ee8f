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
// length octet included; false where it would not fit the message.
func HeaderLen(message []byte) (int, bool) {
	if len(message) == 0 || int(message[0])+1 > len(message) {
		return 0, false
	}
	return int(message[0]) + 1, true
}
