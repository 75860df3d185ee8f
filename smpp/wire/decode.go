package wire

import (
	"bytes"
	"fmt"
)

// DecodeError is a PDU whose body cannot be read. Only that PDU is lost: answer
// it with Status and go on.
type DecodeError struct {
	ID     CommandID
	Status Status // to answer with
	Reason string // like "ends before message_id"; never with a value of the PDU
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("smpp: %v: %s (%v)", e.ID, e.Reason, e.Status)
}

// Decode reads the body of a frame: the types that [Append] takes, and nil for
// PDUs without one. Octets after the header of such a PDU are ignored, since
// some peers send enquire_link_resp and generic_nack with junk after it.
//
// Errors are of type *DecodeError. Where only a TLV is broken the body is
// returned beside the error, with the TLVs before it: neither a message_id nor a
// receipt's text must be lost over a vendor's optional parameter.
//
// Octet strings in the body share memory with f.Body.
func Decode(f Frame) (any, error) {
	switch f.ID {
	case SubmitSM, DeliverSM:
		m := &Message{}
		return decode(f, m, m.message, &m.TLVs)
	case DataSM:
		m := &Message{}
		return decode(f, m, m.data, &m.TLVs)
	case SubmitSMResp, DeliverSMResp, DataSMResp:
		return decodeMessageResp(f)
	case BindTransceiver, BindTransmitter, BindReceiver:
		b := &Bind{}
		return decode(f, b, b.fields, nil)
	case BindTransceiverResp, BindTransmitterResp, BindReceiverResp:
		return decodeBindResp(f)
	case EnquireLink, EnquireLinkResp, Unbind, UnbindResp, GenericNack:
		return nil, nil
	}
	return nil, &DecodeError{ID: f.ID, Status: ESMEInvCmdID, Reason: "is not supported"}
}

// decode reads the mandatory fields of a body, and its TLVs where it has any.
func decode(f Frame, body any, fields func(*coder), tlvs *[]TLV) (any, error) {
	c := coder{b: f.Body, reading: true}
	fields(&c)
	if c.fault != nil {
		c.fault.ID = f.ID
		return nil, c.fault
	}
	if tlvs == nil {
		return body, nil
	}
	var err error
	*tlvs, err = decodeTLVs(f.ID, c.b)
	return body, err
}

// decodeMessageResp accepts a response without message_id, which is correct beside
// an error and common in deliver_sm_resp, and one whose NUL is missing.
func decodeMessageResp(f Frame) (any, error) {
	text, rest := lenientCString(f.Body)
	r := &MessageResp{MessageID: text}
	tlvs, err := decodeTLVs(f.ID, rest)
	r.TLVs = tlvs
	return r, err
}

// decodeBindResp is as lenient: SMSCs that refuse a bind send anything or
// nothing after the status.
func decodeBindResp(f Frame) (any, error) {
	text, rest := lenientCString(f.Body)
	r := &BindResp{SystemID: text}
	tlvs, err := decodeTLVs(f.ID, rest)
	r.TLVs = tlvs
	return r, err
}

// lenientCString cuts a C-octet string off b. Without a NUL it is all of b.
func lenientCString(b []byte) (string, []byte) {
	head, rest, _ := bytes.Cut(b, []byte{0})
	return string(head), rest
}

func decodeTLVs(id CommandID, b []byte) ([]TLV, error) {
	tlvs, ok := parseTLVs(b)
	if !ok {
		return tlvs, &DecodeError{ID: id, Status: ESMEInvOptParStream, Reason: "has a TLV that runs past its end"}
	}
	return tlvs, nil
}
