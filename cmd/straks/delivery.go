package main

import (
	"straks/dlr"
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
