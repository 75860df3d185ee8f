// Package wire is SMPP 3.4 as octets: frames, PDUs, and the numbers that the
// standard gives names to. Sessions use all of it; the simulated SMSC uses the frames,
// bodies and names, with go-smpp's codec.
//
//	frame.go    Reader: a stream to frames
//	decode.go   Decode: a frame to a body
//	append.go   Append: a body to a whole PDU, after every field was checked
//	pdu.go      the bodies, and the order of their mandatory fields
//	tlv.go      optional parameters
//	command.go  command_id
//	status.go   command_status
//
// # A PDU on the wire (SMPP 3.4 §3.2)
//
//	octets  0..3   command_length   of the whole PDU, these four included
//	        4..7   command_id       bit 31 marks a response
//	        8..11  command_status   0 in a request
//	       12..15  sequence_number  1..0x7FFFFFFF, chosen by the sender of the request
//	       16..    mandatory fields in fixed order, then TLVs
//
// Reading has two layers, because their errors reach differently far:
//
//   - An error of [Reader] ends the session: after a wrong command_length, the start of
//     the next PDU is unknown.
//   - An error of [Decode] costs that PDU only; a
//     [DecodeError] holds the command_status with which to answer it.
//
// Reading is tolerant. Lengths and values that break the standard but leave no doubt are
// accepted, and so are responses without the NUL after their id, or without a body.
//
// Writing is strict: [Append] checks every field against SMPP 3.4 §5.2 before it writes the
// first octet. So no text from outside can end a C-octet string early and spill
// into the next fields.
//
// # Why not go-smpp
//
// The mandatory fields of each body are in pdu.go, in one list for reading and writing. They
// were go-smpp's at first (v2's field lists over v1's pdufield). It makes a map and an allocation
// for each field, which was a twentieth of the cost of an order: the way of a message (submit_sm,
// its response, the receipt, its response) takes 0.9 microseconds and 16 allocations here, 5.7
// and 88 over go-smpp. A test still compares the two. Besides, go-smpp
//
//   - keeps TLVs in a map, which loses duplicates and order,
//   - reads frames of 4096 octets at most, where message_payload alone may
//     have 65535 (SMPP 3.4 §5.3.2.32),
//   - does not know data_sm,
//   - takes sm_length modulo 256, and checks nothing else either.
//
// Errors name the field and the rule, never the value: values are phone numbers
// and codes.
package wire
