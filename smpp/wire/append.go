package wire

import (
	"encoding/binary"
	"fmt"
)

// Append checks the body and appends the whole PDU to dst. On an error dst is
// returned as it was. h.Length is computed.
//
// body is a *Message (submit_sm, deliver_sm, data_sm), *MessageResp, *Bind,
// *BindResp, *Alert or *Outbind as the command needs, or nil for a PDU of a
// header only: enquire_link, unbind, their answers, generic_nack, and any
// response that bears an error (SMPP 3.4 §4.1.2, §4.4.2).
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
	case *Alert:
		if h.ID != AlertNotification {
			break
		}
		return appendFields(dst, p.fields, p.TLVs, p.check())
	case *Outbind:
		if h.ID != OutbindID {
			break
		}
		return appendFields(dst, p.fields, nil, p.check())
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

// appendFields writes mandatory fields, then TLVs, unless there is a fault.
func appendFields(dst []byte, fields func(*coder), tlvs []TLV, fault error) ([]byte, error) {
	if fault != nil {
		return nil, fault
	}
	c := coder{b: dst}
	fields(&c)
	return appendTLVs(c.b, tlvs), nil
}
