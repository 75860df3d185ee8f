// Package wire is SMPP 3.4 as octets: frames, PDUs, and the numbers that the
// standard gives names to. The sessions use it for
// both ways; the simulated SMSC uses its frames, structs and names, with go-smpp's codec.
//
// # A PDU on the wire (SMPP 3.4 §3.2)
//
//	octets  0..3   command_length   of the whole PDU, these four included
//	        4..7   command_id       bit 31 marks a response
//	        8..11  command_status   0 in a request
//	       12..15  sequence_number  1..0x7FFFFFFF, chosen by who asks
//	       16..    mandatory fields in fixed order, then TLVs
//
// Reading has two layers, because their errors do not reach equally far:
//
//   - [Reader] cuts the stream into frames. Its errors end the session: after a
//     wrong command_length nobody knows where the next PDU starts.
//   - [Decode] reads one frame's body. Its errors cost that PDU only; a
//     [DecodeError] bears the command_status with which to answer it.
//
// Reading is tolerant. Lengths and values that break the standard but leave no doubt are
// taken as they are, and answers without the NUL behind their id, or without a body, are
// understood.
//
// Writing is not: [Append] checks every field against SMPP 3.4 §5.2 before it writes the
// first octet. So no text from outside can end a C-octet string early and spill
// into the fields behind it.
//
// # Why not go-smpp
//
// The mandatory fields of each body are in layout.go, one list for both ways. They were
// go-smpp's at first (v2's field lists over v1's pdufield). It makes a map and an allocation
// for each field, which was a twentieth of what an order costs: a message's way (submit_sm,
// its answer, the receipt, its answer) takes 0.9 microseconds and 16 allocations here, 5.7
// and 88 over go-smpp. A test still compares the two. Besides, go-smpp
//
//   - keeps TLVs in a map, which loses duplicates and order,
//   - reads frames of 4096 octets at most, where message_payload alone may
//     have 65535 (SMPP 3.4 §5.3.2.32),
//   - does not know data_sm, alert_notification and outbind,
//   - takes sm_length modulo 256, and checks nothing else either.
//
// Errors name the field and the rule, never the value: values are phone numbers
// and codes.
package wire
