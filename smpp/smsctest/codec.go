package smsctest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
	"github.com/fiorix/go-smpp/v2/smpp/pdu"

	"straks/smpp/wire"
)

// The mandatory fields of the PDUs that the simulator reads or writes, in the order of the
// standard. The lists are go-smpp's, except that of data_sm (SMPP 3.4 §4.7.1): go-smpp has
// its fields, but not the PDU.
var (
	bindFields     = pdu.NewBindTransceiver().FieldList()
	bindRespFields = pdu.NewBindTransceiverResp().FieldList()
	submitFields   = pdu.NewSubmitSM(nil).FieldList()
	deliverFields  = pdu.NewDeliverSM().FieldList()
	respFields     = pdu.NewSubmitSMResp().FieldList()
	dataFields     = pdufield.List{
		pdufield.ServiceType, pdufield.SourceAddrTON, pdufield.SourceAddrNPI, pdufield.SourceAddr,
		pdufield.DestAddrTON, pdufield.DestAddrNPI, pdufield.DestinationAddr,
		pdufield.ESMClass, pdufield.RegisteredDelivery, pdufield.DataCoding,
	}
)

// body has a pointer to each field of a PDU's struct: a *byte, *string or *[]byte.
// sm_length has none: it follows from the text.
type body map[pdufield.Name]any

func bindBody(b *wire.Bind) body {
	return body{
		pdufield.SystemID: &b.SystemID, pdufield.Password: &b.Password, pdufield.SystemType: &b.SystemType,
		pdufield.InterfaceVersion: &b.InterfaceVersion,
		pdufield.AddrTON:          &b.AddrTON, pdufield.AddrNPI: &b.AddrNPI, pdufield.AddressRange: &b.AddressRange,
	}
}

func messageBody(m *wire.Message) body {
	return body{
		pdufield.ServiceType:   &m.ServiceType,
		pdufield.SourceAddrTON: &m.SourceTON, pdufield.SourceAddrNPI: &m.SourceNPI, pdufield.SourceAddr: &m.Source,
		pdufield.DestAddrTON: &m.DestTON, pdufield.DestAddrNPI: &m.DestNPI, pdufield.DestinationAddr: &m.Dest,
		pdufield.ESMClass: &m.ESMClass, pdufield.ProtocolID: &m.ProtocolID, pdufield.PriorityFlag: &m.Priority,
		pdufield.ScheduleDeliveryTime: &m.ScheduleDelivery, pdufield.ValidityPeriod: &m.Validity,
		pdufield.RegisteredDelivery: &m.RegisteredDelivery, pdufield.ReplaceIfPresentFlag: &m.ReplaceIfPresent,
		pdufield.DataCoding: &m.DataCoding, pdufield.SMDefaultMsgID: &m.DefaultMessageID,
		pdufield.ShortMessage: &m.ShortMessage,
	}
}

// decodeBind reads a bind request. Octets after its last field are ignored. The status is
// the error to answer with, or ESME_ROK.
func decodeBind(f wire.Frame) (*wire.Bind, wire.Status) {
	b := &wire.Bind{}
	return b, decodeFields(bytes.NewBuffer(f.Body), bindFields, bindBody(b))
}

// decodeMessage reads a submit_sm or data_sm. Octet strings share memory with f.Body. The
// status is the error to answer with, or ESME_ROK.
func (s *SMSC) decodeMessage(f wire.Frame) (*wire.Message, wire.Status) {
	if s.fast {
		v, err := wire.Decode(f)
		if fault := (*wire.DecodeError)(nil); errors.As(err, &fault) {
			return nil, fault.Status
		}
		return v.(*wire.Message), wire.ESMEOK
	}
	return decodeMessage(f)
}

func decodeMessage(f wire.Frame) (*wire.Message, wire.Status) {
	m, list := &wire.Message{}, submitFields
	if f.ID == wire.DataSM {
		list = dataFields
	}
	rest := bytes.NewBuffer(f.Body)
	if status := decodeFields(rest, list, messageBody(m)); status != wire.ESMEOK {
		return nil, status
	}
	tlvs, err := pdutlv.DecodeTLV(rest)
	if err != nil {
		return nil, wire.ESMEInvOptParStream
	}
	m.TLVs = sortedTLVs(tlvs)
	return m, wire.ESMEOK
}

// decodeFields reads mandatory fields into a struct. For a PDU that is cut short go-smpp
// returns no error and leaves out the rest of the fields.
func decodeFields(rest *bytes.Buffer, list pdufield.List, to body) wire.Status {
	fields, err := list.Decode(rest)
	switch {
	case err != nil: // of these lists, only sm_length can be wrong
		return wire.ESMEInvMsgLen
	case len(fields) < len(list):
		return wire.ESMEInvCmdLen
	}
	for name, field := range fields {
		switch v := to[name].(type) {
		case *byte:
			*v = field.Raw().(byte)
		case *string:
			*v = field.String()
		case *[]byte:
			*v = field.Bytes()
		}
	}
	return wire.ESMEOK
}

// sortedTLVs returns the TLVs by tag. go-smpp keeps them in a map, which loses their order
// and all but the last of those with the same tag.
func sortedTLVs(m pdutlv.Map) []wire.TLV {
	tlvs := make([]wire.TLV, 0, len(m))
	for tag, f := range m {
		tlvs = append(tlvs, wire.TLV{Tag: uint16(tag), Value: f.Bytes()})
	}
	slices.SortFunc(tlvs, func(a, b wire.TLV) int { return cmp.Compare(a.Tag, b.Tag) })
	return tlvs
}

// encode returns the octets of a PDU. The body is a *wire.Message (deliver_sm, data_sm),
// *wire.MessageResp or *wire.BindResp, or nil for a PDU of a header only. A message is
// checked first: go-smpp checks nothing, and writes sm_length modulo 256.
func (s *SMSC) encode(h wire.Header, v any) ([]byte, error) {
	if s.fast {
		return wire.Append(make([]byte, 0, 256), h, v)
	}
	return encode(h, v)
}

func encode(h wire.Header, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return encodeFields(h, nil, nil, nil)
	case *wire.BindResp:
		return encodeFields(h, bindRespFields, body{pdufield.SystemID: &v.SystemID}, v.TLVs)
	case *wire.MessageResp:
		return encodeFields(h, respFields, body{pdufield.MessageID: &v.MessageID}, v.TLVs)
	case *wire.Message:
		list, check := deliverFields, v.Check
		if h.ID == wire.DataSM {
			list, check = dataFields, v.CheckData
		}
		if err := check(); err != nil {
			return nil, err
		}
		return encodeFields(h, list, messageBody(v), v.TLVs)
	}
	return nil, fmt.Errorf("smsctest: no PDU has a body of type %T", v)
}

// encodeFields writes header, mandatory fields and TLVs, then sets command_length to the
// number of octets written. TLVs are written one at a time: go-smpp's PDUs write theirs in
// random order, and a receipt that is sent again must be the same octets.
func encodeFields(h wire.Header, list pdufield.List, from body, tlvs []wire.TLV) ([]byte, error) {
	var b bytes.Buffer
	header := pdu.Header{ID: pdu.ID(h.ID), Status: pdu.Status(h.Status), Seq: h.Sequence}
	err := header.SerializeTo(&b)
	for _, name := range list {
		err = cmp.Or(err, field(from, name).SerializeTo(&b))
	}
	for _, t := range tlvs {
		err = cmp.Or(err, pdutlv.NewTLV(pdutlv.Tag(t.Tag), t.Value).SerializeTo(&b))
	}
	if b.Len() > wire.MaxFrame {
		err = cmp.Or(err, fmt.Errorf("smsctest: %d octets are too many for a PDU", b.Len()))
	}
	binary.BigEndian.PutUint32(b.Bytes(), uint32(b.Len()))
	return b.Bytes(), err
}

// field returns go-smpp's form of a field.
func field(from body, name pdufield.Name) pdufield.Body {
	switch v := from[name].(type) {
	case *byte:
		return &pdufield.Fixed{Data: *v}
	case *string:
		return &pdufield.Variable{Data: []byte(*v)}
	case *[]byte:
		return &pdufield.SM{Data: *v}
	}
	return &pdufield.Fixed{Data: byte(len(*from[pdufield.ShortMessage].(*[]byte)))} // sm_length; checked to fit
}
