package wire

import (
	"bytes"
	"fmt"

	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
)

// DecodeError is a PDU whose body cannot be read. Only that PDU is lost: answer
// it with Status and go on.
type DecodeError struct {
	ID     CommandID
	Status Status // to answer with
	Reason string // says what is wrong, never with a value of the PDU
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("smpp: %v: %s (%v)", e.ID, e.Reason, e.Status)
}

// Decode reads the body of a frame: the types that [Append] takes, and nil for
// PDUs without one. What follows the header of such a PDU is ignored, since
// some peers send enquire_link_resp and generic_nack with junk behind.
//
// Errors are of type *DecodeError. Where only a TLV is broken the body is
// returned beside the error, with the TLVs before it: neither a message_id nor a
// receipt's text must be lost over a vendor's optional parameter.
//
// Octet strings in the body share memory with f.Body.
func Decode(f Frame) (any, error) {
	switch f.ID {
	case SubmitSM, DeliverSM:
		return decodeMessage(f, messageFields)
	case DataSM:
		return decodeMessage(f, dataFields)
	case SubmitSMResp, DeliverSMResp, DataSMResp:
		return decodeMessageResp(f)
	case BindTransceiver, BindTransmitter, BindReceiver:
		b, _, err := decodeFields(f, bindFields)
		return result(b.bind, err)
	case BindTransceiverResp, BindTransmitterResp, BindReceiverResp:
		return decodeBindResp(f)
	case AlertNotification:
		return decodeAlert(f)
	case OutbindID:
		b, _, err := decodeFields(f, outbindFields)
		return result(func() *Outbind {
			return &Outbind{SystemID: b.text(pdufield.SystemID), Password: b.text(pdufield.Password)}
		}, err)
	case EnquireLink, EnquireLinkResp, Unbind, UnbindResp, GenericNack:
		return nil, nil
	}
	return nil, &DecodeError{ID: f.ID, Status: ESMEInvCmdID, Reason: "is not supported"}
}

// result keeps a nil pointer from becoming a non-nil body.
func result[T any](build func() *T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return build(), nil
}

func decodeMessage(f Frame, list pdufield.List) (any, error) {
	b, rest, err := decodeFields(f, list)
	if err != nil {
		return nil, err
	}
	m := b.message()
	m.TLVs, err = decodeTLVs(f.ID, rest)
	return m, err
}

// decodeMessageResp takes an answer without message_id, which is right beside
// an error and common in deliver_sm_resp, and one whose NUL is missing.
func decodeMessageResp(f Frame) (any, error) {
	text, rest := lenientCString(f.Body)
	r := &MessageResp{MessageID: text}
	tlvs, err := decodeTLVs(f.ID, rest)
	r.TLVs = tlvs
	return r, err
}

// decodeBindResp is as lenient: SMSCs that refuse a bind send anything or
// nothing behind the status.
func decodeBindResp(f Frame) (any, error) {
	text, rest := lenientCString(f.Body)
	r := &BindResp{SystemID: text}
	tlvs, err := decodeTLVs(f.ID, rest)
	r.TLVs = tlvs
	return r, err
}

func decodeAlert(f Frame) (any, error) {
	b, rest, err := decodeFields(f, alertFields)
	if err != nil {
		return nil, err
	}
	a := b.alert()
	a.TLVs, err = decodeTLVs(f.ID, rest)
	return a, err
}

// lenientCString cuts a C-octet string off b; without a NUL it is all of b.
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

// decodeFields reads the mandatory fields with go-smpp and returns what follows
// them. go-smpp ends without an error where the octets do, so what it left out
// is looked for.
func decodeFields(f Frame, list pdufield.List) (b body, rest []byte, err error) {
	defer func() {
		if recover() != nil {
			err = &DecodeError{ID: f.ID, Status: ESMESysErr, Reason: "made the decoder panic"}
		}
	}()
	r := bytes.NewBuffer(f.Body)
	fields, fault := list.Decode(r)
	if fault != nil { // only short_message has an error of its own
		return body{}, nil, &DecodeError{ID: f.ID, Status: ESMEInvMsgLen, Reason: "has an sm_length that runs past its end"}
	}
	for _, name := range list {
		if fields[name] == nil {
			return body{}, nil, &DecodeError{ID: f.ID, Status: ESMEInvCmdLen, Reason: "ends before " + string(name)}
		}
	}
	return body{fields}, r.Bytes(), nil
}
