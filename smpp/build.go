package smpp

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"straks/smpp/gsm"
	"straks/smpp/wire"
)

// build is a message as one SMSC wants it, except what is known only
// when a part is written.
type build struct {
	base     wire.Message // the fields that all parts share
	parts    [][]byte     // user data header and text of each part
	payload  bool         // the only part goes into message_payload
	ref      uint16       // of the concatenation
	expires  time.Time
	from     kind
	encoding gsm.Encoding
	segments int // short messages that reach the phone; more than parts for a payload
}

// build makes the parts of a message. ref is their concatenation reference.
// Its errors are faults of the message.
func (s *smsc) build(m *Message, from string, ref uint16) (*build, []Fault) {
	var faults []Fault
	to, err := parseRecipient(m.To)
	if err != nil {
		faults = append(faults, Fault{FieldRecipient, err.Error()})
	}
	senderKind, source, err := parseSender(from)
	if err != nil {
		faults = append(faults, Fault{FieldSender, err.Error()})
	}
	b := &build{ref: ref, expires: m.Expires, from: senderKind}
	if err := b.fill(s, m.Text); err != nil {
		faults = append(faults, Fault{FieldBody, err.Error()})
	}
	b.base = wire.Message{
		ServiceType:        s.ServiceType,
		Source:             source,
		Dest:               to,
		ESMClass:           b.base.ESMClass,
		RegisteredDelivery: 1, // a receipt for success and failure (SMPP 3.4 §5.2.17)
		DataCoding:         b.base.DataCoding,
	}
	b.base.SourceTON, b.base.SourceNPI = s.numbering(senderKind)
	b.base.DestTON, b.base.DestNPI = byte(s.Address.Destination.TON), byte(s.Address.Destination.NPI)
	return b, faults
}

// udhi marks a short_message that starts with a user data header (SMPP 3.4 §5.2.12).
const udhi = 0x40

// fill chooses the encoding and splits the text.
func (b *build) fill(s *smsc, text string) error {
	if text == "" {
		return errors.New("message is empty")
	}
	b.encoding = gsm.Choose(text, s.Alphabet.Encoding())
	b.base.DataCoding = b.encoding.DataCoding()
	if b.encoding != gsm.UCS2 {
		b.base.DataCoding = byte(*s.DataCoding)
	}
	headerLen := gsm.UDH8Len // with SAR TLVs and message_payload the SMSC writes that header
	if s.LongMessages == LongUDH16 {
		headerLen = gsm.UDH16Len
	}
	texts, err := gsm.Split(b.encoding, text, headerLen)
	if err != nil {
		return err
	}
	b.segments = len(texts)
	if len(texts) > 1 && s.LongMessages == LongPayload {
		b.payload = true
		texts = []string{text}
	}
	for i, text := range texts {
		header := s.header(b.ref, len(texts), i)
		if header != nil {
			b.base.ESMClass = udhi
		}
		part, err := gsm.Append(header, b.encoding, text)
		if err != nil {
			return err
		}
		b.parts = append(b.parts, part)
	}
	return nil
}

// header returns the user data header of a part, nil where it has none.
func (s *smsc) header(ref uint16, total, index int) []byte {
	switch {
	case total == 1:
		return nil
	case s.LongMessages == LongUDH8:
		return gsm.UDH8(byte(ref), total, index)
	case s.LongMessages == LongUDH16:
		return gsm.UDH16(ref, total, index)
	}
	return nil
}

// part returns the submit_sm of one part, without what finish adds.
func (b *build) part(s *smsc, index int, userRef uint16) *wire.Message {
	m := b.base
	if !b.payload {
		m.ShortMessage = b.parts[index]
	}
	if s.InterfaceVersion != Version33 {
		m.TLVs = b.tlvs(s, index, userRef)
	}
	return &m
}

// tlvs returns the optional parameters of one part.
func (b *build) tlvs(s *smsc, index int, userRef uint16) []wire.TLV {
	tlvs := append(make([]wire.TLV, 0, 4), wire.ShortTLV(wire.TagUserMessageReference, userRef))
	switch {
	case b.payload:
		return append(tlvs, wire.TLV{Tag: wire.TagMessagePayload, Value: b.parts[index]})
	case len(b.parts) > 1 && s.LongMessages == LongSAR:
		return append(tlvs,
			wire.ShortTLV(wire.TagSARMsgRefNum, b.ref),
			wire.OctetTLV(wire.TagSARTotalSegments, byte(len(b.parts))),
			wire.OctetTLV(wire.TagSARSegmentSeqnum, byte(index+1)))
	}
	return tlvs
}

// finish completes a part at the moment when it is written: the time to live that is
// left becomes its validity period. Too little is an error.
func (b *build) finish(s *smsc, m *wire.Message, now time.Time) error {
	if b.expires.IsZero() {
		return nil
	}
	if b.expires.Sub(now) < s.MinRest {
		return errTooLate
	}
	m.Validity = s.validityPeriod(now, b.expires)
	return nil
}

// numbering returns type of number and numbering plan for a kind of sender.
func (s *SMSC) numbering(k kind) (ton, npi byte) {
	var n Numbering
	switch k {
	case alphanumeric:
		n = *s.Address.Alphanumeric
	case shortCode:
		n = *s.Address.ShortCode
	case international:
		n = *s.Address.International
	}
	return byte(n.TON), byte(n.NPI)
}

// characters counts code points of the composed text: about what a reader would count.
func characters(text string) int { return utf8.RuneCountInString(gsm.Normalize(text)) }

// ValidityMode is how the SMSC is given a message's time to live.
type ValidityMode string

const (
	// ValidityRelative counts from when the SMSC accepts the message, so that
	// wrong clocks and time zones on either side do no harm.
	ValidityRelative ValidityMode = "relative"
	// ValidityAbsolute is a time in UTC, for SMSCs that do not know relative
	// times. Both clocks must be right.
	ValidityAbsolute ValidityMode = "absolute"
	// ValidityNone leaves it to the SMSC, often days: a code may arrive long
	// after it expired.
	ValidityNone ValidityMode = "none"
)

// maxRelative is the longest relative time. Its months and years have no
// fixed length, so days are the longest unit that is used.
const maxRelative = 99*24*time.Hour - time.Second

// validityPeriod returns the validity_period (SMPP 3.4 §7.1.1) of a message that
// is written now and worth delivering until expires, rounded down to whole
// seconds. It is at least one second.
//
//	relative  YYMMDDhhmmss000R    000000000500000R is five minutes
//	absolute  YYMMDDhhmmss000+   in UTC: no tenths, offset 00+
func (s *SMSC) validityPeriod(now, expires time.Time) string {
	if s.Validity == ValidityNone {
		return ""
	}
	left := max(expires.Sub(now), s.ValidityFloor)
	if s.ValidityCeiling > 0 {
		left = min(left, s.ValidityCeiling)
	}
	left = min(max(left, time.Second), maxRelative)
	if s.Validity == ValidityAbsolute {
		return now.Add(left).UTC().Format("060102150405") + "000+"
	}
	secs := int(left / time.Second)
	return fmt.Sprintf("0000%02d%02d%02d%02d000R", secs/86400, secs/3600%24, secs/60%60, secs%60)
}
