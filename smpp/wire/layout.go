package wire

import "bytes"

// coder goes over the mandatory fields of a body in their order, and either
// writes them or reads them: so each body has one list of fields for both ways.
type coder struct {
	b       []byte // what was written, or is left to read
	reading bool
	fault   *DecodeError // the first in what was read; all fields from there on stay empty
}

// octet is a field of one octet.
func (c *coder) octet(name string, v *byte) {
	switch {
	case !c.reading:
		c.b = append(c.b, *v)
	case len(c.b) == 0:
		c.endsBefore(name)
	default:
		*v, c.b = c.b[0], c.b[1:]
	}
}

// text is a C-octet string (SMPP 3.4 §3.1). That none of what is written has a
// NUL in it is checked before.
func (c *coder) text(name string, v *string) {
	if !c.reading {
		c.b = append(append(c.b, *v...), 0)
		return
	}
	head, rest, found := bytes.Cut(c.b, []byte{0})
	if !found {
		c.endsBefore(name)
		return
	}
	*v, c.b = string(head), rest
}

// shortMessage is sm_length and short_message.
func (c *coder) shortMessage(v *[]byte) {
	n := byte(len(*v)) // at most 254, checked
	c.octet("sm_length", &n)
	switch {
	case !c.reading:
		c.b = append(c.b, *v...)
	case int(n) > len(c.b):
		c.fail(&DecodeError{Status: ESMEInvMsgLen, Reason: "has an sm_length that runs past its end"})
	case n > 0:
		*v, c.b = c.b[:n:n], c.b[n:]
	}
}

func (c *coder) endsBefore(name string) {
	c.fail(&DecodeError{Status: ESMEInvCmdLen, Reason: "ends before " + name})
}

func (c *coder) fail(fault *DecodeError) {
	if c.fault == nil {
		c.fault, c.b = fault, nil
	}
}

// message has the fields of submit_sm and deliver_sm (SMPP 3.4 §4.4.1, §4.6.1).
func (m *Message) message(c *coder) {
	m.addresses(c)
	c.octet("esm_class", &m.ESMClass)
	c.octet("protocol_id", &m.ProtocolID)
	c.octet("priority_flag", &m.Priority)
	c.text("schedule_delivery_time", &m.ScheduleDelivery)
	c.text("validity_period", &m.Validity)
	c.octet("registered_delivery", &m.RegisteredDelivery)
	c.octet("replace_if_present_flag", &m.ReplaceIfPresent)
	c.octet("data_coding", &m.DataCoding)
	c.octet("sm_default_msg_id", &m.DefaultMessageID)
	c.shortMessage(&m.ShortMessage)
}

// data has those of data_sm (§4.7.1).
func (m *Message) data(c *coder) {
	m.addresses(c)
	c.octet("esm_class", &m.ESMClass)
	c.octet("registered_delivery", &m.RegisteredDelivery)
	c.octet("data_coding", &m.DataCoding)
}

func (m *Message) addresses(c *coder) {
	c.text("service_type", &m.ServiceType)
	c.octet("source_addr_ton", &m.SourceTON)
	c.octet("source_addr_npi", &m.SourceNPI)
	c.text("source_addr", &m.Source)
	c.octet("dest_addr_ton", &m.DestTON)
	c.octet("dest_addr_npi", &m.DestNPI)
	c.text("destination_addr", &m.Dest)
}

// fields are those of §4.4.2.
func (p *MessageResp) fields(c *coder) { c.text("message_id", &p.MessageID) }

// fields are those of §4.1.1.
func (p *Bind) fields(c *coder) {
	c.text("system_id", &p.SystemID)
	c.text("password", &p.Password)
	c.text("system_type", &p.SystemType)
	c.octet("interface_version", &p.InterfaceVersion)
	c.octet("addr_ton", &p.AddrTON)
	c.octet("addr_npi", &p.AddrNPI)
	c.text("address_range", &p.AddressRange)
}

// fields are those of §4.1.2.
func (p *BindResp) fields(c *coder) { c.text("system_id", &p.SystemID) }

// fields are those of §4.12.1.
func (a *Alert) fields(c *coder) {
	c.octet("source_addr_ton", &a.SourceTON)
	c.octet("source_addr_npi", &a.SourceNPI)
	c.text("source_addr", &a.Source)
	c.octet("esme_addr_ton", &a.ESMETON)
	c.octet("esme_addr_npi", &a.ESMENPI)
	c.text("esme_addr", &a.ESMEAddr)
}

// fields are those of §4.1.7.
func (p *Outbind) fields(c *coder) {
	c.text("system_id", &p.SystemID)
	c.text("password", &p.Password)
}
