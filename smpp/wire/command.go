package wire

import "fmt"

// CommandID is a command_id (SMPP 3.4 §5.1.2.1).
type CommandID uint32

const (
	BindReceiver      CommandID = 0x00000001
	BindTransmitter   CommandID = 0x00000002
	QuerySM           CommandID = 0x00000003
	SubmitSM          CommandID = 0x00000004
	DeliverSM         CommandID = 0x00000005
	Unbind            CommandID = 0x00000006
	ReplaceSM         CommandID = 0x00000007
	CancelSM          CommandID = 0x00000008
	BindTransceiver   CommandID = 0x00000009
	Outbind           CommandID = 0x0000000B
	EnquireLink       CommandID = 0x00000015
	SubmitMulti       CommandID = 0x00000021
	AlertNotification CommandID = 0x00000102
	DataSM            CommandID = 0x00000103

	GenericNack         CommandID = 0x80000000
	BindReceiverResp    CommandID = 0x80000001
	BindTransmitterResp CommandID = 0x80000002
	QuerySMResp         CommandID = 0x80000003
	SubmitSMResp        CommandID = 0x80000004
	DeliverSMResp       CommandID = 0x80000005
	UnbindResp          CommandID = 0x80000006
	ReplaceSMResp       CommandID = 0x80000007
	CancelSMResp        CommandID = 0x80000008
	BindTransceiverResp CommandID = 0x80000009
	EnquireLinkResp     CommandID = 0x80000015
	SubmitMultiResp     CommandID = 0x80000021
	DataSMResp          CommandID = 0x80000103
)

// responseBit marks a response in a command_id.
const responseBit CommandID = 0x80000000

// commandNames spells the requests, and generic_nack, as the standard does.
var commandNames = map[CommandID]string{
	BindReceiver:      "bind_receiver",
	BindTransmitter:   "bind_transmitter",
	QuerySM:           "query_sm",
	SubmitSM:          "submit_sm",
	DeliverSM:         "deliver_sm",
	Unbind:            "unbind",
	ReplaceSM:         "replace_sm",
	CancelSM:          "cancel_sm",
	BindTransceiver:   "bind_transceiver",
	Outbind:           "outbind",
	EnquireLink:       "enquire_link",
	SubmitMulti:       "submit_multi",
	AlertNotification: "alert_notification",
	DataSM:            "data_sm",
	GenericNack:       "generic_nack",
}

// String returns the standard's spelling, such as "submit_sm_resp", or the
// number in hexadecimal where the standard has no such command.
func (id CommandID) String() string {
	if name, ok := commandNames[id]; ok {
		return name
	}
	if name, ok := commandNames[id&^responseBit]; ok && id.IsResponse() && id.Request().hasResponse() {
		return name + "_resp"
	}
	return fmt.Sprintf("0x%08X", uint32(id))
}

// IsResponse reports whether a PDU with this id is a response; generic_nack is one.
func (id CommandID) IsResponse() bool { return id&responseBit != 0 }

// Request returns the command that a response answers.
func (id CommandID) Request() CommandID { return id &^ responseBit }

// Response returns the response to id, or generic_nack where the
// standard gives it none or does not know it (SMPP 3.4 §4.3).
func (id CommandID) Response() CommandID {
	if _, ok := commandNames[id]; !ok || !id.hasResponse() {
		return GenericNack
	}
	return id | responseBit
}

// hasResponse reports whether the standard has a response to this request.
func (id CommandID) hasResponse() bool {
	return !id.IsResponse() && id != Outbind && id != AlertNotification
}
