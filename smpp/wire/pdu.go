package wire

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

// BindResp is the body of the answers to them (SMPP 3.4 §4.1.2). A refused bind
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

// Alert is the body of alert_notification (SMPP 3.4 §4.12.1).
type Alert struct {
	SourceTON, SourceNPI byte
	Source               string
	ESMETON, ESMENPI     byte
	ESMEAddr             string
	TLVs                 []TLV
}

// Outbind is the body of outbind (SMPP 3.4 §4.1.7).
type Outbind struct {
	SystemID string
	Password string
}
