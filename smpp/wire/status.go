package wire

import "fmt"

// Status is a command_status (SMPP 3.4 §5.1.3). Zero means success.
type Status uint32

// The names are the standard's without ESME_R, Go-cased.
const (
	ESMEOK              Status = 0x00
	ESMEInvMsgLen       Status = 0x01 // message length is invalid
	ESMEInvCmdLen       Status = 0x02 // command length is invalid
	ESMEInvCmdID        Status = 0x03 // invalid command id
	ESMEInvBndSts       Status = 0x04 // wrong bind status for this command
	ESMEAlyBnd          Status = 0x05 // already in bound state
	ESMEInvPrtFlg       Status = 0x06 // invalid priority flag
	ESMEInvRegDlvFlg    Status = 0x07 // invalid registered_delivery
	ESMESysErr          Status = 0x08 // system error
	ESMEInvSrcAdr       Status = 0x0A // invalid source address
	ESMEInvDstAdr       Status = 0x0B // invalid destination address
	ESMEInvMsgID        Status = 0x0C // message id is invalid
	ESMEBindFail        Status = 0x0D // bind failed
	ESMEInvPaswd        Status = 0x0E // invalid password
	ESMEInvSysID        Status = 0x0F // invalid system id
	ESMECancelFail      Status = 0x11 // cancel_sm failed
	ESMEReplaceFail     Status = 0x13 // replace_sm failed
	ESMEMsgQFul         Status = 0x14 // message queue full
	ESMEInvSerTyp       Status = 0x15 // invalid service type
	ESMEInvNumDests     Status = 0x33 // invalid number of destinations
	ESMEInvDLName       Status = 0x34 // invalid distribution list name
	ESMEInvDestFlag     Status = 0x40 // invalid destination flag
	ESMEInvSubRep       Status = 0x42 // invalid "submit with replace"
	ESMEInvEsmClass     Status = 0x43 // invalid esm_class
	ESMECntSubDL        Status = 0x44 // cannot submit to distribution list
	ESMESubmitFail      Status = 0x45 // submit_sm or submit_multi failed
	ESMEInvSrcTON       Status = 0x48 // invalid source address TON
	ESMEInvSrcNPI       Status = 0x49 // invalid source address NPI
	ESMEInvDstTON       Status = 0x50 // invalid destination address TON
	ESMEInvDstNPI       Status = 0x51 // invalid destination address NPI
	ESMEInvSysTyp       Status = 0x53 // invalid system_type
	ESMEInvRepFlag      Status = 0x54 // invalid replace_if_present
	ESMEInvNumMsgs      Status = 0x55 // invalid number of messages
	ESMEThrottled       Status = 0x58 // message limit exceeded
	ESMEInvSched        Status = 0x61 // invalid scheduled delivery time
	ESMEInvExpiry       Status = 0x62 // invalid validity period
	ESMEInvDftMsgID     Status = 0x63 // predefined message invalid or not found
	ESMERxTAppn         Status = 0x64 // receiver: temporary application error
	ESMERxPAppn         Status = 0x65 // receiver: permanent application error
	ESMERxRAppn         Status = 0x66 // receiver: message rejected
	ESMEQueryFail       Status = 0x67 // query_sm failed
	ESMEInvOptParStream Status = 0xC0 // error in the optional part of the body
	ESMEOptParNotAllwd  Status = 0xC1 // optional parameter not allowed
	ESMEInvParLen       Status = 0xC2 // invalid parameter length
	ESMEMissingOptParam Status = 0xC3 // expected optional parameter missing
	ESMEInvOptParamVal  Status = 0xC4 // invalid optional parameter value
	ESMEDeliveryFailure Status = 0xFE // delivery failure (data_sm_resp)
	ESMEUnknownErr      Status = 0xFF // unknown error
)

var statusNames = map[Status]string{
	ESMEOK:              "ESME_ROK",
	ESMEInvMsgLen:       "ESME_RINVMSGLEN",
	ESMEInvCmdLen:       "ESME_RINVCMDLEN",
	ESMEInvCmdID:        "ESME_RINVCMDID",
	ESMEInvBndSts:       "ESME_RINVBNDSTS",
	ESMEAlyBnd:          "ESME_RALYBND",
	ESMEInvPrtFlg:       "ESME_RINVPRTFLG",
	ESMEInvRegDlvFlg:    "ESME_RINVREGDLVFLG",
	ESMESysErr:          "ESME_RSYSERR",
	ESMEInvSrcAdr:       "ESME_RINVSRCADR",
	ESMEInvDstAdr:       "ESME_RINVDSTADR",
	ESMEInvMsgID:        "ESME_RINVMSGID",
	ESMEBindFail:        "ESME_RBINDFAIL",
	ESMEInvPaswd:        "ESME_RINVPASWD",
	ESMEInvSysID:        "ESME_RINVSYSID",
	ESMECancelFail:      "ESME_RCANCELFAIL",
	ESMEReplaceFail:     "ESME_RREPLACEFAIL",
	ESMEMsgQFul:         "ESME_RMSGQFUL",
	ESMEInvSerTyp:       "ESME_RINVSERTYP",
	ESMEInvNumDests:     "ESME_RINVNUMDESTS",
	ESMEInvDLName:       "ESME_RINVDLNAME",
	ESMEInvDestFlag:     "ESME_RINVDESTFLAG",
	ESMEInvSubRep:       "ESME_RINVSUBREP",
	ESMEInvEsmClass:     "ESME_RINVESMCLASS",
	ESMECntSubDL:        "ESME_RCNTSUBDL",
	ESMESubmitFail:      "ESME_RSUBMITFAIL",
	ESMEInvSrcTON:       "ESME_RINVSRCTON",
	ESMEInvSrcNPI:       "ESME_RINVSRCNPI",
	ESMEInvDstTON:       "ESME_RINVDSTTON",
	ESMEInvDstNPI:       "ESME_RINVDSTNPI",
	ESMEInvSysTyp:       "ESME_RINVSYSTYP",
	ESMEInvRepFlag:      "ESME_RINVREPFLAG",
	ESMEInvNumMsgs:      "ESME_RINVNUMMSGS",
	ESMEThrottled:       "ESME_RTHROTTLED",
	ESMEInvSched:        "ESME_RINVSCHED",
	ESMEInvExpiry:       "ESME_RINVEXPIRY",
	ESMEInvDftMsgID:     "ESME_RINVDFTMSGID",
	ESMERxTAppn:         "ESME_RX_T_APPN",
	ESMERxPAppn:         "ESME_RX_P_APPN",
	ESMERxRAppn:         "ESME_RX_R_APPN",
	ESMEQueryFail:       "ESME_RQUERYFAIL",
	ESMEInvOptParStream: "ESME_RINVOPTPARSTREAM",
	ESMEOptParNotAllwd:  "ESME_ROPTPARNOTALLWD",
	ESMEInvParLen:       "ESME_RINVPARLEN",
	ESMEMissingOptParam: "ESME_RMISSINGOPTPARAM",
	ESMEInvOptParamVal:  "ESME_RINVOPTPARAMVAL",
	ESMEDeliveryFailure: "ESME_RDELIVERYFAILURE",
	ESMEUnknownErr:      "ESME_RUNKNOWNERR",
}

// String returns the standard's name, such as "ESME_RTHROTTLED", or the number
// in hexadecimal where it has none (0x400 and up are the SMSC vendor's).
func (s Status) String() string {
	if name, ok := statusNames[s]; ok {
		return name
	}
	return fmt.Sprintf("0x%08X", uint32(s))
}

// Statuses returns every command_status of SMPP 3.4 §5.1.3 with its name, as a
// new map: for tables of configuration and of metrics.
func Statuses() map[Status]string {
	all := make(map[Status]string, len(statusNames))
	for s, name := range statusNames {
		all[s] = name
	}
	return all
}
