package smsctest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"straks/smpp/wire"
)

// states are the numbers of message_state (SMPP 3.4 §5.2.28).
var states = map[string]byte{
	"ENROUTE": 1, "DELIVRD": 2, "EXPIRED": 3, "DELETED": 4, "UNDELIV": 5,
	"ACCEPTD": 6, "UNKNOWN": 7, "REJECTD": 8, "SKIPPED": 9,
}

// receipts sends the receipts of an accepted message, the final one after wait.
func (p *play) receipts(wait time.Duration) {
	r := &p.Receipt
	state := cmp.Or(r.State, "DELIVRD")
	if !p.wanted(state) || r.LastPart && !p.submit.last() || p.smsc.dice.oneIn(r.Missing) {
		return
	}
	if r.Intermediate != "" {
		p.receipt(0, r.Intermediate, esmIntermediate)
	}
	p.receipt(wait, state, esmReceipt)
	if p.smsc.dice.oneIn(r.Duplicate) {
		p.receipt(wait, state, esmReceipt)
	}
}

// wanted reports whether registered_delivery asks for a receipt (SMPP 3.4 §5.2.17).
func (p *play) wanted(state string) bool {
	switch p.submit.RegisteredDelivery & 3 {
	case 1:
		return p.submit.Taken()
	case 2:
		return p.submit.Taken() && state != "DELIVRD"
	}
	return false
}

func (p *play) receipt(wait time.Duration, state string, class byte) {
	p.smsc.n.count(&p.smsc.n.Receipts)
	p.smsc.n.add(&p.smsc.n.WaitingNow, 1)
	a := p.bound()
	p.smsc.clock.after(wait, func() {
		if observe := p.smsc.script().OnReceipt; observe != nil {
			observe(p.submit, state)
		}
		d := &delivery{command: wire.DeliverSM, msg: p.receiptMessage(state, class)}
		if p.Receipt.DataSM {
			d.command = wire.DataSM
			textToPayload(d.msg)
		}
		a.deliver(d)
	})
}

// textToPayload moves the text to message_payload, since data_sm has no short_message.
func textToPayload(m *wire.Message) {
	if len(m.ShortMessage) > 0 {
		m.TLVs = append(m.TLVs, wire.TLV{Tag: wire.TagMessagePayload, Value: m.ShortMessage})
		m.ShortMessage = nil
	}
}

// receiptMessage goes from the recipient to the sender (SMPP 3.4 Appendix B).
func (p *play) receiptMessage(state string, class byte) *wire.Message {
	s := &p.submit
	m := &wire.Message{
		SourceTON: s.DestTON, SourceNPI: s.DestNPI, Source: s.Dest,
		DestTON: s.SourceTON, DestNPI: s.SourceNPI, Dest: s.Source,
		ESMClass: class,
	}
	if p.Receipt.Form != TLVOnly {
		m.ShortMessage = p.receiptText(state)
	}
	if p.smsc.script().Version33 {
		return m
	}
	if p.Receipt.Form != TextOnly {
		m.TLVs = p.receiptTLVs(state)
	}
	if ref, ok := s.UserReference(); ok && p.Receipt.EchoReference {
		m.TLVs = append(m.TLVs, wire.ShortTLV(wire.TagUserMessageReference, ref))
	}
	return m
}

func (p *play) receiptText(state string) []byte {
	delivered := 0
	if state == "DELIVRD" {
		delivered = 1
	}
	var echo []byte
	if p.Receipt.EchoText {
		_, body := p.submit.split()
		echo = body[:min(20, len(body))]
	}
	const minute = "0601021504"
	return fmt.Appendf(nil, "id:%s sub:001 dlvrd:%03d submit date:%s done date:%s stat:%s err:%s text:%s",
		p.Receipt.ID.write(p.number), delivered, p.submit.At.UTC().Format(minute),
		time.Now().UTC().Format(minute), state, cmp.Or(p.Receipt.Err, "000"), echo)
}

func (p *play) receiptTLVs(state string) []wire.TLV {
	var tlvs []wire.TLV
	if id := p.Receipt.ID.write(p.number); id != "" {
		tlvs = append(tlvs, wire.TLV{Tag: wire.TagReceiptedMessageID, Value: append([]byte(id), 0)})
	}
	if n, ok := states[state]; ok {
		tlvs = append(tlvs, wire.OctetTLV(wire.TagMessageState, n))
	}
	if code, err := strconv.ParseUint(p.Receipt.Err, 10, 16); err == nil && code > 0 {
		const gsm = 3 // network type (SMPP 3.4 §5.3.2.31)
		tlvs = append(tlvs, wire.TLV{Tag: wire.TagNetworkErrorCode,
			Value: binary.BigEndian.AppendUint16([]byte{gsm}, uint16(code))})
	}
	return tlvs
}

// IDForm is how a message id is written. Some SMSCs write it one way in the response and
// another in the receipt.
type IDForm uint8

const (
	IDDecimal       IDForm = iota
	IDHex                  // lower case
	IDHexUpper             // upper case
	IDDecimalPadded        // with zeros to 12 digits
	IDHexPadded            // with zeros to 10 digits, lower case
	IDUUID                 // lower case
	IDUUIDUpper            // upper case
	IDNone                 // empty
)

// idForms are the names in rules and flags.
var idForms = map[string]IDForm{
	"decimal": IDDecimal, "hex": IDHex, "HEX": IDHexUpper,
	"padded": IDDecimalPadded, "hex-padded": IDHexPadded,
	"uuid": IDUUID, "UUID": IDUUIDUpper, "none": IDNone,
}

// write returns the n-th message id in this form.
func (f IDForm) write(n uint64) string {
	switch f {
	case IDHex:
		return strconv.FormatUint(n, 16)
	case IDHexUpper:
		return fmt.Sprintf("%X", n)
	case IDDecimalPadded:
		return fmt.Sprintf("%012d", n)
	case IDHexPadded:
		return fmt.Sprintf("%010x", n)
	case IDUUID:
		return numberedUUID(n).String()
	case IDUUIDUpper:
		return fmt.Sprintf("%X-%X-%X-%X-%X", split(numberedUUID(n))...)
	case IDNone:
		return ""
	}
	return strconv.FormatUint(n, 10)
}

// numberedUUID spreads n over a version 4 UUID, the same for the same n.
func numberedUUID(n uint64) uuid.UUID {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:8], n*0x9E3779B97F4A7C15)
	binary.BigEndian.PutUint64(u[8:], n)
	u[6] = u[6]&0x0F | 0x40
	u[8] = u[8]&0x3F | 0x80
	return u
}

func split(u uuid.UUID) []any { return []any{u[:4], u[4:6], u[6:8], u[8:10], u[10:]} }
