package smsctest

import (
	"encoding/binary"

	"straks/smpp/wire"
)

// Mischief is something that no SMSC should send, and some do. Its octets are written by
// hand: no codec would.
type Mischief uint8

const (
	NoMischief     Mischief = iota
	Garbage                 // 64 random octets, which no PDU starts with
	BadLength               // a PDU whose command_length is 8
	HugeLength              // a PDU that claims to have 2 GiB
	UnknownCommand          // a request that SMPP does not know
	BadDeliver              // a deliver_sm that ends in the middle of a field
	BadTLV                  // a deliver_sm with a TLV that runs past its end
	StrayAnswer             // a submit_sm_resp to no request
	JunkEnquiry             // an enquire_link with a body, which it must not have
	Alert                   // an alert_notification: allowed, but not expected
	mischiefEnd
)

// mischiefs are the names in rules and flags.
var mischiefs = map[string]Mischief{
	"none": NoMischief, "garbage": Garbage, "bad-length": BadLength, "huge-length": HugeLength,
	"unknown-command": UnknownCommand, "bad-deliver": BadDeliver, "bad-tlv": BadTLV,
	"stray-answer": StrayAnswer, "junk-enquiry": JunkEnquiry, "alert": Alert,
}

// misbehave writes a mischief to this connection.
func (c *conn) misbehave(m Mischief) {
	if m == NoMischief {
		return
	}
	c.smsc.n.count(&c.smsc.n.Mischiefs)
	c.out.put(c.bogus(m))
}

func (c *conn) bogus(m Mischief) []byte {
	const unknown = wire.CommandID(0x00011111)
	switch m {
	case Garbage:
		return append([]byte("HTTP/1.1 400 Bad\r"), c.smsc.dice.octets(47)...)
	case BadLength:
		return rawPDU(8, wire.DeliverSM, c.seq.Add(1), nil)
	case HugeLength:
		return rawPDU(0x7FFFFFFF, wire.DeliverSM, c.seq.Add(1), nil)
	case UnknownCommand:
		return rawPDU(0, unknown, c.seq.Add(1), []byte("vendor\x00"))
	case BadDeliver:
		return rawPDU(0, wire.DeliverSM, c.seq.Add(1), []byte("\x00\x01\x0147999"))
	case BadTLV:
		return rawPDU(0, wire.DeliverSM, c.seq.Add(1), append(make([]byte, 17), 0x04, 0x24, 0xFF, 0xFF, 'x'))
	case StrayAnswer:
		return rawPDU(0, wire.SubmitSMResp, 0x7FFFFFF0, []byte("stray\x00"))
	case JunkEnquiry:
		return rawPDU(0, wire.EnquireLink, c.seq.Add(1), []byte("junk"))
	case Alert:
		return rawPDU(0, wire.AlertNotification, c.seq.Add(1), []byte("\x01\x0147999\x00\x00\x00\x00"))
	}
	return nil
}

// rawPDU returns a PDU with any body. A length of 0 stands for the right one.
func rawPDU(length uint32, id wire.CommandID, seq uint32, body []byte) []byte {
	if length == 0 {
		length = uint32(wire.HeaderLen + len(body))
	}
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint32(b, uint32(id))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, seq)
	return append(b, body...)
}
