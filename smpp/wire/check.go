package wire

import (
	"fmt"
	"strings"
)

// FieldError is a field that SMPP 3.4 does not allow to be sent. It names the
// rule and keeps the value to itself.
type FieldError struct {
	Field  string // as the standard spells it
	Rule   string // what it must be
	Status Status // what an SMSC would answer
}

func (e *FieldError) Error() string { return "smpp: " + e.Field + " " + e.Rule }

// checker keeps the first fault of a body.
type checker struct{ err *FieldError }

func (c *checker) that(ok bool, field, rule string, status Status) {
	if !ok && c.err == nil {
		c.err = &FieldError{Field: field, Rule: rule, Status: status}
	}
}

// cstring checks a C-octet string: its NUL is ours to write, so none may come
// from outside.
func (c *checker) cstring(s string, most int, field string, status Status) {
	if len(s) > most {
		c.that(false, field, fmt.Sprintf("must have at most %d octets", most), status)
	}
	c.that(strings.IndexByte(s, 0) < 0, field, "must not contain NUL", status)
}

// address checks type of number, numbering plan and digits (§5.2.5..§5.2.9).
func (c *checker) address(ton, npi byte, addr string, most int, field string, statuses [3]Status) {
	c.that(ton <= 6, field+"_ton", "must be 0 to 6", statuses[0])
	c.that(validNPI(npi), field+"_npi", "is not in SMPP 3.4 §5.2.6", statuses[1])
	c.cstring(addr, most, field, statuses[2])
}

// validNPI tells whether the numbering plan is one of SMPP 3.4 §5.2.6.
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
	c.that(ok, field, "must be empty or like YYMMDDhhmmsstnnp", status)
}

func (c *checker) tlvs(tlvs []TLV) {
	for _, t := range tlvs {
		least, most := 0, 65535
		if fixed, ok := tlvLengths[t.Tag]; ok {
			least, most = fixed[0], fixed[1]
		}
		if n := len(t.Value); n < least || n > most {
			c.that(false, fmt.Sprintf("TLV 0x%04X", t.Tag), fmt.Sprintf("must have %d to %d octets", least, most), ESMEInvParLen)
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

// Check tells whether the message may be sent as submit_sm or deliver_sm. Its
// errors are of type *FieldError.
func (m *Message) Check() error {
	var c checker
	c.common(m, 20)
	c.that(m.Priority <= 3, "priority_flag", "must be 0 to 3", ESMEInvPrtFlg)
	c.time(m.ScheduleDelivery, "schedule_delivery_time", ESMEInvSched)
	c.time(m.Validity, "validity_period", ESMEInvExpiry)
	c.that(m.ReplaceIfPresent <= 1, "replace_if_present_flag", "must be 0 or 1", ESMEInvRepFlag)
	c.that(m.DefaultMessageID <= 254, "sm_default_msg_id", "must be 0 to 254", ESMEInvDftMsgID)
	c.that(len(m.ShortMessage) <= 254, "short_message", "must have at most 254 octets", ESMEInvMsgLen)
	_, payload := Lookup(m.TLVs, TagMessagePayload)
	c.that(!payload || len(m.ShortMessage) == 0, "short_message", "must be empty beside message_payload", ESMEInvMsgLen)
	return c.done()
}

// CheckData is Check for data_sm.
func (m *Message) CheckData() error {
	var c checker
	c.common(m, 64)
	absent := m.ProtocolID|m.Priority|m.ReplaceIfPresent|m.DefaultMessageID == 0 && m.ScheduleDelivery+m.Validity == ""
	c.that(absent, "data_sm", "has no protocol_id, priority, times, replace and default message", ESMESysErr)
	c.that(len(m.ShortMessage) == 0, "data_sm", "has no short_message; use message_payload", ESMEInvMsgLen)
	return c.done()
}

// common checks what the three messages share; addresses may have most octets.
func (c *checker) common(m *Message, most int) {
	c.cstring(m.ServiceType, 5, "service_type", ESMEInvSerTyp)
	c.address(m.SourceTON, m.SourceNPI, m.Source, most, "source_addr", sourceStatuses)
	c.address(m.DestTON, m.DestNPI, m.Dest, most, "destination_addr", destStatuses)
	c.that(m.RegisteredDelivery&0xE0 == 0, "registered_delivery", "has reserved bits set", ESMEInvRegDlvFlg)
	c.tlvs(m.TLVs)
}

// MaxPassword is the length of passwords in octets beyond the standard's 8 (SMPP 3.4
// §5.2.2): some carriers give out longer ones, and read them as far as their NUL.
const MaxPassword = 64

// Check tells whether the body may be sent in a bind.
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

func (a *Alert) check() error {
	var c checker
	c.address(a.SourceTON, a.SourceNPI, a.Source, 64, "source_addr", sourceStatuses)
	c.address(a.ESMETON, a.ESMENPI, a.ESMEAddr, 64, "esme_addr", destStatuses)
	c.tlvs(a.TLVs)
	return c.done()
}

func (o *Outbind) check() error {
	var c checker
	c.cstring(o.SystemID, 15, "system_id", ESMEInvSysID)
	c.cstring(o.Password, 8, "password", ESMEInvPaswd)
	return c.done()
}
