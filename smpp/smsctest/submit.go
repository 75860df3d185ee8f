package smsctest

import (
	"bytes"
	"encoding/binary"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"

	"straks/smpp/wire"
)

// Submit is a submit_sm, or a data_sm towards the network, as it came in, together with the
// decision about it.
type Submit struct {
	wire.Message
	Command  wire.CommandID // SubmitSM or DataSM
	Sequence uint32
	Bind     uint64 // ID of the bind that it came over, see Binds
	SystemID string
	At       time.Time // when the PDU was read

	Status    wire.Status // of its response, sent or withheld
	MessageID string      // as in the response; empty if it was refused

	alphabet Alphabet
}

// Taken reports whether the message was accepted.
func (s Submit) Taken() bool { return s.Status == wire.ESMEOK }

// Payload returns the message's octets, from short_message or message_payload, including
// the user data header.
func (s Submit) Payload() []byte {
	if p, ok := wire.Lookup(s.TLVs, wire.TagMessagePayload); ok {
		return p
	}
	return s.ShortMessage
}

// UserDataHeader returns the elements of the user data header without its length octet;
// nil if esm_class says that there is none (SMPP 3.4 §5.2.12).
func (s Submit) UserDataHeader() []byte {
	header, _ := s.split()
	return header
}

// split divides the payload into the user data header and the rest.
func (s Submit) split() (header, body []byte) {
	p := s.Payload()
	if s.ESMClass&esmUDHI == 0 || len(p) == 0 || int(p[0]) >= len(p) {
		return nil, p
	}
	n := 1 + int(p[0])
	return p[1:n], p[n:]
}

// Segment is the position of a submit in a long message.
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

// last reports whether no more parts follow.
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

// Text returns this part's text as a handset would show it. It is decoded on demand, with
// go-smpp: not the gateway's own code, so that one checks the other.
func (s Submit) Text() string {
	header, body := s.split()
	used := 0
	if header != nil {
		used = 1 + len(header)
	}
	return decodeText(s.DataCoding, s.alphabet, body, used)
}

// Values of data_coding (SMPP 3.4 §5.2.19) and esm_class (§5.2.12) in use here.
const (
	codingIA5    = 1
	codingLatin1 = 3
	codingUCS2   = 8

	esmReceipt      = 0x04
	esmIntermediate = 0x20
	esmUDHI         = 0x40
)

// decodeText reads the text of a message. used is the length of the user data header before
// it in octets: packed septets are aligned after the header.
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

// unpack turns octets into septets (3GPP TS 23.038 §6.1.2.1.1). After a header of used
// octets the text starts at the next multiple of seven bits. If the last seven bits are all
// zero they are padding, not an "@".
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

// encodeText uses GSM 03.38 if the text survives it unchanged, else UCS-2.
func encodeText(text string) (coding byte, octets []byte) {
	septets := pdutext.GSM7(text).Encode()
	plain := !bytes.ContainsFunc(septets, func(r rune) bool { return r >= utf8.RuneSelf })
	if plain && string(pdutext.GSM7(septets).Decode()) == text {
		return 0, septets
	}
	return codingUCS2, pdutext.UCS2(text).Encode()
}

// record keeps the newest submits.
type record struct {
	mu   sync.Mutex
	ring []Submit // the oldest is at next once it is full
	next int
	size int
}

func (r *record) add(s Submit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.size <= 0:
	case len(r.ring) < r.size:
		r.ring = append(r.ring, s)
	default:
		r.ring[r.next] = s
		r.next = (r.next + 1) % r.size
	}
}

// all returns a copy, in order of arrival.
func (r *record) all() []Submit {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(append([]Submit(nil), r.ring[r.next:]...), r.ring[:r.next]...)
}

func (r *record) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring, r.next = nil, 0
}
