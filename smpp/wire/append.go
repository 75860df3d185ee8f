package wire

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Append checks the body and appends the whole PDU to dst. On an error dst is
// returned as it was. h.Length is computed.
//
// body is a *Message (submit_sm, deliver_sm, data_sm), *MessageResp, *Bind or
// *BindResp, as the command needs, or nil for a PDU that is only a
// header: enquire_link, unbind, their responses, generic_nack, and any
// response with an error (SMPP 3.4 §4.1.2, §4.4.2).
func Append(dst []byte, h Header, body any) ([]byte, error) {
	start := len(dst)
	out, err := appendBody(appendHeader(dst, h), h, body)
	if err != nil {
		return dst[:start], err
	}
	n := len(out) - start
	if n > MaxFrame {
		return dst[:start], &FieldError{Field: "command_length", Rule: fmt.Sprintf("must be at most %d", MaxFrame), Status: ESMEInvCmdLen}
	}
	binary.BigEndian.PutUint32(out[start:], uint32(n))
	return out, nil
}

func appendBody(dst []byte, h Header, v any) ([]byte, error) {
	switch p := v.(type) {
	case nil:
		return appendNothing(dst, h)
	case *Message:
		return appendMessage(dst, h.ID, p)
	case *MessageResp:
		if h.ID != SubmitSMResp && h.ID != DeliverSMResp && h.ID != DataSMResp {
			break
		}
		return appendFields(dst, p.fields, p.TLVs, p.check())
	case *Bind:
		if h.ID != BindTransceiver && h.ID != BindTransmitter && h.ID != BindReceiver {
			break
		}
		return appendFields(dst, p.fields, nil, p.Check())
	case *BindResp:
		if h.ID != BindTransceiverResp && h.ID != BindTransmitterResp && h.ID != BindReceiverResp {
			break
		}
		return appendFields(dst, p.fields, p.TLVs, p.check())
	}
	return nil, fmt.Errorf("smpp: %v cannot have a body of type %T", h.ID, v)
}

func appendNothing(dst []byte, h Header) ([]byte, error) {
	switch h.ID {
	case EnquireLink, EnquireLinkResp, Unbind, UnbindResp, GenericNack:
		return dst, nil
	}
	if h.ID.IsResponse() && h.Status != ESMEOK {
		return dst, nil
	}
	return nil, fmt.Errorf("smpp: %v needs a body", h.ID)
}

func appendMessage(dst []byte, id CommandID, m *Message) ([]byte, error) {
	switch id {
	case SubmitSM, DeliverSM:
		return appendFields(dst, m.message, m.TLVs, m.Check())
	case DataSM:
		return appendFields(dst, m.data, m.TLVs, m.CheckData())
	}
	return nil, fmt.Errorf("smpp: %v cannot have a body of type %T", id, m)
}

// appendFields writes mandatory fields, then TLVs, if there is no fault.
func appendFields(dst []byte, fields func(*coder), tlvs []TLV, fault error) ([]byte, error) {
	if fault != nil {
		return nil, fault
	}
	c := coder{b: dst}
	fields(&c)
	return appendTLVs(c.b, tlvs), nil
}

// FieldError is a field that SMPP 3.4 does not allow to be sent. It names the
// rule, not the value.
type FieldError struct {
	Field  string // as the standard spells it
	Rule   string // like "must be 0 to 6"
	Status Status // with which an SMSC would answer
}

func (e *FieldError) Error() string { return "smpp: " + e.Field + " " + e.Rule }

// checker keeps the first fault of a body.
type checker struct{ err *FieldError }

func (c *checker) require(ok bool, field, rule string, status Status) {
	if !ok && c.err == nil {
		c.err = &FieldError{Field: field, Rule: rule, Status: status}
	}
}

// cstring checks a C-octet string. Only the coder writes its NUL, so the value must
// contain none.
func (c *checker) cstring(s string, most int, field string, status Status) {
	if len(s) > most {
		c.require(false, field, fmt.Sprintf("must have at most %d octets", most), status)
	}
	c.require(strings.IndexByte(s, 0) < 0, field, "must not contain NUL", status)
}

// address checks type of number, numbering plan and digits (§5.2.5..§5.2.9).
func (c *checker) address(ton, npi byte, addr string, most int, field string, statuses [3]Status) {
	c.require(ton <= 6, field+"_ton", "must be 0 to 6", statuses[0])
	c.require(validNPI(npi), field+"_npi", "is not in SMPP 3.4 §5.2.6", statuses[1])
	c.cstring(addr, most, field, statuses[2])
}

// validNPI reports whether the numbering plan is one of SMPP 3.4 §5.2.6.
func validNPI(npi byte) bool {
	switch npi {
	case 0, 1, 3, 4, 6, 8, 9, 10, 14, 18:
		return true
	}
	return false
}

// time checks "YYMMDDhhmmsstnnp" (§7.1.1): empty, or 16 octets of which the
// last is +, - or R and all others are digits.
func (c *checker) time(s, field string, status Status) {
	if s == "" {
		return
	}
	ok := len(s) == 16 && strings.IndexByte("+-R", s[15]) >= 0
	for i := 0; ok && i < 15; i++ {
		ok = '0' <= s[i] && s[i] <= '9'
	}
	c.require(ok, field, "must be empty or like YYMMDDhhmmsstnnp", status)
}

func (c *checker) tlvs(tlvs []TLV) {
	for _, t := range tlvs {
		least, most := 0, 65535
		if fixed, ok := tlvLengths[t.Tag]; ok {
			least, most = fixed[0], fixed[1]
		}
		if n := len(t.Value); n < least || n > most {
			c.require(false, fmt.Sprintf("TLV 0x%04X", t.Tag), fmt.Sprintf("must have %d to %d octets", least, most), ESMEInvParLen)
		}
	}
}

// done returns the fault as an error, nil where there is none.
func (c *checker) done() error {
	if c.err == nil {
		return nil
	}
	return c.err
}

var (
	sourceStatuses = [3]Status{ESMEInvSrcTON, ESMEInvSrcNPI, ESMEInvSrcAdr}
	destStatuses   = [3]Status{ESMEInvDstTON, ESMEInvDstNPI, ESMEInvDstAdr}
)

// Check returns why the message may not be sent as submit_sm or deliver_sm, or nil. Its
// errors are of type *FieldError.
func (m *Message) Check() error {
	var c checker
	c.common(m, 20)
	c.require(m.Priority <= 3, "priority_flag", "must be 0 to 3", ESMEInvPrtFlg)
	c.time(m.ScheduleDelivery, "schedule_delivery_time", ESMEInvSched)
	c.time(m.Validity, "validity_period", ESMEInvExpiry)
	c.require(m.ReplaceIfPresent <= 1, "replace_if_present_flag", "must be 0 or 1", ESMEInvRepFlag)
	c.require(m.DefaultMessageID <= 254, "sm_default_msg_id", "must be 0 to 254", ESMEInvDftMsgID)
	c.require(len(m.ShortMessage) <= 254, "short_message", "must have at most 254 octets", ESMEInvMsgLen)
	_, payload := Lookup(m.TLVs, TagMessagePayload)
	c.require(!payload || len(m.ShortMessage) == 0, "short_message", "must be empty beside message_payload", ESMEInvMsgLen)
	return c.done()
}

// CheckData is Check for data_sm.
func (m *Message) CheckData() error {
	var c checker
	c.common(m, 64)
	absent := m.ProtocolID|m.Priority|m.ReplaceIfPresent|m.DefaultMessageID == 0 && m.ScheduleDelivery+m.Validity == ""
	c.require(absent, "data_sm", "has no protocol_id, priority, times, replace and default message", ESMESysErr)
	c.require(len(m.ShortMessage) == 0, "data_sm", "has no short_message; use message_payload", ESMEInvMsgLen)
	return c.done()
}

// common checks the fields that the three messages share. Addresses may have most octets.
func (c *checker) common(m *Message, most int) {
	c.cstring(m.ServiceType, 5, "service_type", ESMEInvSerTyp)
	c.address(m.SourceTON, m.SourceNPI, m.Source, most, "source_addr", sourceStatuses)
	c.address(m.DestTON, m.DestNPI, m.Dest, most, "destination_addr", destStatuses)
	c.require(m.RegisteredDelivery&0xE0 == 0, "registered_delivery", "has reserved bits set", ESMEInvRegDlvFlg)
	c.tlvs(m.TLVs)
}

// MaxPassword bounds passwords in octets. The standard has 8 (SMPP 3.4 §5.2.2), but
// some carriers give out longer ones, and read them up to the NUL.
const MaxPassword = 64

// Check returns why the body may not be sent in a bind, or nil.
func (b *Bind) Check() error {
	var c checker
	c.cstring(b.SystemID, 15, "system_id", ESMEInvSysID)
	c.cstring(b.Password, MaxPassword, "password", ESMEInvPaswd)
	c.cstring(b.SystemType, 12, "system_type", ESMEInvSysTyp)
	c.address(b.AddrTON, b.AddrNPI, b.AddressRange, 40, "address_range", sourceStatuses)
	return c.done()
}

func (b *BindResp) check() error {
	var c checker
	c.cstring(b.SystemID, 15, "system_id", ESMEInvSysID)
	c.tlvs(b.TLVs)
	return c.done()
}

func (r *MessageResp) check() error {
	var c checker
	c.cstring(r.MessageID, 64, "message_id", ESMEInvMsgID)
	c.tlvs(r.TLVs)
	return c.done()
}
