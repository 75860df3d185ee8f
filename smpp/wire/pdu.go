package wire

import "bytes"

// Bind is the body of bind_transceiver, bind_transmitter and bind_receiver
// (SMPP 3.4 §4.1.1).
type Bind struct {
	SystemID         string // at most 15 octets
	Password         string // at most 8 octets by the standard, see MaxPassword
	SystemType       string // at most 12 octets
	InterfaceVersion byte   // 0x34 for SMPP 3.4
	AddrTON, AddrNPI byte
	AddressRange     string // at most 40 octets
}

// BindResp is the body of their responses (SMPP 3.4 §4.1.2). A refused bind
// usually has none.
type BindResp struct {
	SystemID string // of the SMSC, at most 15 octets
	TLVs     []TLV
}

// Message is the body of submit_sm (SMPP 3.4 §4.4.1), deliver_sm (§4.6.1) and
// data_sm (§4.7.1). A data_sm has no ShortMessage, ProtocolID, Priority,
// ScheduleDelivery, Validity, ReplaceIfPresent and DefaultMessageID: they must
// be zero, and its text is the TLV message_payload.
type Message struct {
	ServiceType          string // at most 5 octets
	SourceTON, SourceNPI byte
	Source               string // at most 20 octets, 64 in data_sm
	DestTON, DestNPI     byte
	Dest                 string // likewise
	ESMClass             byte   // §5.2.12
	ProtocolID           byte
	Priority             byte   // 0..3
	ScheduleDelivery     string // empty, or 16 octets as in §7.1.1
	Validity             string // likewise
	RegisteredDelivery   byte   // §5.2.17
	ReplaceIfPresent     byte   // 0 or 1
	DataCoding           byte   // §5.2.19
	DefaultMessageID     byte   // 0 for none
	ShortMessage         []byte // at most 254 octets, a user data header included
	TLVs                 []TLV
}

// MessageResp is the body of submit_sm_resp (SMPP 3.4 §4.4.2), deliver_sm_resp
// (§4.6.2, where the id is empty) and data_sm_resp (§4.7.2).
type MessageResp struct {
	MessageID string // at most 64 octets
	TLVs      []TLV
}

// coder visits the mandatory fields of a body in their order, and either
// writes or reads them. So each body has one list of fields for both directions.
type coder struct {
	b       []byte // written so far, or left to read
	reading bool
	fault   *DecodeError // the first one found; all fields from there on stay empty
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

// text is a C-octet string (SMPP 3.4 §3.1). Append has checked that a value to be written
// contains no NUL.
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

// data has the fields of data_sm (§4.7.1).
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

// fields has those of §4.4.2.
func (p *MessageResp) fields(c *coder) { c.text("message_id", &p.MessageID) }

// fields has those of §4.1.1.
func (p *Bind) fields(c *coder) {
	c.text("system_id", &p.SystemID)
	c.text("password", &p.Password)
	c.text("system_type", &p.SystemType)
	c.octet("interface_version", &p.InterfaceVersion)
	c.octet("addr_ton", &p.AddrTON)
	c.octet("addr_npi", &p.AddrNPI)
	c.text("address_range", &p.AddressRange)
}

// fields has those of §4.1.2.
func (p *BindResp) fields(c *coder) { c.text("system_id", &p.SystemID) }
