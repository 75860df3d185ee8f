package smsctest

import (
	"encoding/binary"
	"time"

	"straks/smpp/wire"
)

// Submit is a submit_sm (or a data_sm towards the network) as it came in, and
// what was decided about it.
type Submit struct {
	wire.Message
	Command  wire.CommandID // SubmitSM or DataSM
	Sequence uint32
	Bind     uint64 // number of the bind that it came over, see Binds
	SystemID string
	At       time.Time // when the PDU had been read

	Status    wire.Status // of its answer, sent or withheld
	MessageID string      // as in the answer; empty where it was refused

	alphabet Alphabet
}

// Taken tells whether the message is on its way to the recipient.
func (s Submit) Taken() bool { return s.Status == wire.ESMEOK }

// Payload returns the message's octets, from short_message or message_payload,
// the user data header included.
func (s Submit) Payload() []byte {
	if p, ok := wire.Lookup(s.TLVs, wire.TagMessagePayload); ok {
		return p
	}
	return s.ShortMessage
}

// UserDataHeader returns the elements of the user data header without its
// length octet; nil where esm_class says that there is none (SMPP 3.4 §5.2.12).
func (s Submit) UserDataHeader() []byte {
	header, _ := s.split()
	return header
}

// split parts the payload into the user data header and what follows it.
func (s Submit) split() (header, body []byte) {
	p := s.Payload()
	if s.ESMClass&esmUDHI == 0 || len(p) == 0 || int(p[0]) >= len(p) {
		return nil, p
	}
	n := 1 + int(p[0])
	return p[1:n], p[n:]
}

// Segment says which part of a long message a submit is.
type Segment struct {
	Reference    uint16
	Total, Index int // Index counts from 1
}

// Segment reads the user data header (3GPP TS 23.040 §9.2.3.24.1 and .8) or the
// SAR TLVs (SMPP 3.4 §5.3.2.22..24). ok is false for a message in one piece.
func (s Submit) Segment() (seg Segment, ok bool) {
	for h := s.UserDataHeader(); len(h) >= 2 && len(h) >= 2+int(h[1]); h = h[2+int(h[1]):] {
		switch v := h[2 : 2+int(h[1])]; {
		case h[0] == 0x00 && len(v) == 3:
			return Segment{uint16(v[0]), int(v[1]), int(v[2])}, true
		case h[0] == 0x08 && len(v) == 4:
			return Segment{binary.BigEndian.Uint16(v), int(v[2]), int(v[3])}, true
		}
	}
	ref, ok1 := wire.Lookup(s.TLVs, wire.TagSARMsgRefNum)
	total, ok2 := wire.Lookup(s.TLVs, wire.TagSARTotalSegments)
	index, ok3 := wire.Lookup(s.TLVs, wire.TagSARSegmentSeqnum)
	if !ok1 || !ok2 || !ok3 || len(ref) != 2 || len(total) != 1 || len(index) != 1 {
		return Segment{}, false
	}
	return Segment{binary.BigEndian.Uint16(ref), int(total[0]), int(index[0])}, true
}

// last tells whether no more parts follow.
func (s Submit) last() bool {
	seg, ok := s.Segment()
	return !ok || seg.Index == seg.Total
}

// UserReference returns the TLV user_message_reference.
func (s Submit) UserReference() (ref uint16, ok bool) {
	v, ok := wire.Lookup(s.TLVs, wire.TagUserMessageReference)
	if !ok || len(v) != 2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(v), true
}

// Text returns this part's text as a handset would show it. Decoded on demand,
// by another implementation than the gateway's, so that one checks the other.
func (s Submit) Text() string {
	header, body := s.split()
	used := 0
	if header != nil {
		used = 1 + len(header)
	}
	return decodeText(s.DataCoding, s.alphabet, body, used)
}
