package main

import (
	"straks/dlr"
	"straks/smpp/gsm"
	"straks/smpp/wire"
)

// dlrDeliver picks out of a deliver_sm or data_sm what dlr needs to tell a receipt.
func dlrDeliver(m *wire.Message) dlr.Deliver {
	text, header := messageOctets(m)
	state, _ := wire.Lookup(m.TLVs, wire.TagMessageState)
	code, _ := wire.Lookup(m.TLVs, wire.TagNetworkErrorCode)
	reference, _ := wire.Lookup(m.TLVs, wire.TagUserMessageReference)
	id, _ := wire.Lookup(m.TLVs, wire.TagReceiptedMessageID)
	return dlr.Deliver{
		ESMClass: m.ESMClass, DataCoding: m.DataCoding, Source: m.Source, Destination: m.Dest, Text: text[header:],
		ReceiptedMessageID: wire.CString(id), MessageState: state, NetworkErrorCode: code, UserReference: reference,
	}
}

// messageOctets returns short_message, or message_payload where that is empty,
// and the length of the user data header at its beginning.
func messageOctets(m *wire.Message) (octets []byte, header int) {
	octets = m.ShortMessage
	if len(octets) == 0 {
		octets, _ = wire.Lookup(m.TLVs, wire.TagMessagePayload)
	}
	if m.ESMClass&esmUDHI != 0 {
		header, _ = gsm.HeaderLen(octets)
	}
	return octets, header
}

// esmUDHI tells that a user data header begins the message (SMPP 3.4 §5.2.12).
const esmUDHI = 0x40
