package smpp

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"straks/smpp/wire"
)

// Retry is what may be done with a message whose submit_sm_resp has an error. The
// response proves that the SMSC did not accept the message.
type Retry uint8

const (
	// RetryNever: refused for good, for the reason in Refusal.
	RetryNever Retry = iota
	// RetrySlower: too fast for this bind. Its rate goes down; the message
	// goes to another bind, or to this one after a pause.
	RetrySlower
	// RetryElsewhere: a temporary error. The message goes to another
	// bind, or to this one after a pause.
	RetryElsewhere
	// RetryRebind: the SMSC does not accept this session any more. It is unbound and bound
	// again; the message goes to another bind.
	RetryRebind
)

var retryNames = [...]string{
	RetryNever: "never", RetrySlower: "throttled", RetryElsewhere: "temporary", RetryRebind: "rebind",
}

// String returns the class as the configuration spells it.
func (r Retry) String() string { return retryNames[r] }

// Refusal is why a message was refused for good.
type Refusal uint8

const (
	RefusedNot              Refusal = iota // it was not refused
	RefusedFailed                          // for any other reason
	RefusedRejected                        // the SMSC does not want it
	RefusedInvalidRecipient                // the number is impossible
	RefusedBarred                          // the recipient is barred
	RefusedNotIdentified                   // the number has no subscriber
	RefusedInvalidSender                   // the SMSC does not allow us that sender
	RefusedIncomplete                      // some parts were accepted, others never will be
)

var refusalNames = [...]string{
	RefusedNot: "none", RefusedFailed: "failed", RefusedRejected: "rejected",
	RefusedInvalidRecipient: "invalid_recipient", RefusedBarred: "barred",
	RefusedNotIdentified: "not_identified", RefusedInvalidSender: "invalid_sender",
	RefusedIncomplete: "incomplete",
}

// String returns the reason as the configuration spells it.
func (r Refusal) String() string { return refusalNames[r] }

// Disposition is what a command_status in submit_sm_resp means for the
// message: what may be done with it and, if nothing may, why.
type Disposition struct {
	Retry   Retry
	Refusal Refusal
}

// String returns the disposition as the configuration spells it.
func (v Disposition) String() string {
	if v.Retry == RetryNever {
		return v.Refusal.String()
	}
	return v.Retry.String()
}

var (
	dispFailed    = Disposition{Refusal: RefusedFailed}
	dispRejected  = Disposition{Refusal: RefusedRejected}
	dispRecipient = Disposition{Refusal: RefusedInvalidRecipient}
	dispSender    = Disposition{Refusal: RefusedInvalidSender}
	dispSlower    = Disposition{Retry: RetrySlower}
	dispElsewhere = Disposition{Retry: RetryElsewhere}
	dispRebind    = Disposition{Retry: RetryRebind}
)

// dispositions has every command_status of SMPP 3.4 §5.1.3. One that is not here
// (an SMSC vendor's, from 0x400 on) is RefusedFailed: its meaning is unknown, and
// a message must not be sent again on a guess. SMSC.Status overrides both.
var dispositions = map[wire.Status]Disposition{
	wire.ESMEOK:              {},
	wire.ESMEInvMsgLen:       dispFailed,
	wire.ESMEInvCmdLen:       dispFailed,
	wire.ESMEInvCmdID:        dispFailed,
	wire.ESMEInvBndSts:       dispRebind, // the SMSC counts us as not bound to submit
	wire.ESMEAlyBnd:          dispRebind,
	wire.ESMEInvPrtFlg:       dispFailed,
	wire.ESMEInvRegDlvFlg:    dispFailed,
	wire.ESMESysErr:          dispElsewhere,
	wire.ESMEInvSrcAdr:       dispSender,
	wire.ESMEInvDstAdr:       dispRecipient,
	wire.ESMEInvMsgID:        dispFailed,
	wire.ESMEBindFail:        dispRebind,
	wire.ESMEInvPaswd:        dispRebind,
	wire.ESMEInvSysID:        dispRebind,
	wire.ESMECancelFail:      dispFailed,
	wire.ESMEReplaceFail:     dispFailed,
	wire.ESMEMsgQFul:         dispSlower,
	wire.ESMEInvSerTyp:       dispFailed,
	wire.ESMEInvNumDests:     dispFailed,
	wire.ESMEInvDLName:       dispFailed,
	wire.ESMEInvDestFlag:     dispFailed,
	wire.ESMEInvSubRep:       dispFailed,
	wire.ESMEInvEsmClass:     dispFailed,
	wire.ESMECntSubDL:        dispFailed,
	wire.ESMESubmitFail:      dispRejected, // without a reason; some SMSCs mean "later", see SMSC.Status
	wire.ESMEInvSrcTON:       dispSender,
	wire.ESMEInvSrcNPI:       dispSender,
	wire.ESMEInvDstTON:       dispRecipient,
	wire.ESMEInvDstNPI:       dispRecipient,
	wire.ESMEInvSysTyp:       dispFailed,
	wire.ESMEInvRepFlag:      dispFailed,
	wire.ESMEInvNumMsgs:      dispFailed,
	wire.ESMEThrottled:       dispSlower,
	wire.ESMEInvSched:        dispFailed,
	wire.ESMEInvExpiry:       dispFailed,
	wire.ESMEInvDftMsgID:     dispFailed,
	wire.ESMERxTAppn:         dispElsewhere,
	wire.ESMERxPAppn:         dispRejected,
	wire.ESMERxRAppn:         dispRejected,
	wire.ESMEQueryFail:       dispFailed,
	wire.ESMEInvOptParStream: dispFailed,
	wire.ESMEOptParNotAllwd:  dispFailed,
	wire.ESMEInvParLen:       dispFailed,
	wire.ESMEMissingOptParam: dispFailed,
	wire.ESMEInvOptParamVal:  dispFailed,
	wire.ESMEDeliveryFailure: dispRejected,
	wire.ESMEUnknownErr:      dispFailed,
}

// DefaultDisposition returns what the status means where the configuration of the SMSC
// does not say otherwise.
func DefaultDisposition(s wire.Status) Disposition {
	if v, ok := dispositions[s]; ok {
		return v
	}
	return dispFailed
}

// Reading returns what the gateway makes of a response of the SMSC with a status, in the words of the
// configuration: "accepted", "throttled", "temporary", "rebind", or a refusal. It is empty for a status that is
// not of SMPP 3.4, or an SMSC that there is not.
func (g *Gateway) Reading(smsc, status string) string {
	c, err := g.named(smsc)
	if err != nil {
		return ""
	}
	s, err := ParseStatus(status)
	switch {
	case err != nil:
		return ""
	case s == wire.ESMEOK:
		return "accepted"
	}
	return c.classify(s).String()
}

// ParseDisposition reads "throttled", "temporary" or "rebind", or the name of a refusal.
func ParseDisposition(s string) (Disposition, error) {
	if i := slices.Index(retryNames[1:], s); i >= 0 {
		return Disposition{Retry: Retry(i + 1)}, nil
	}
	if i := slices.Index(refusalNames[1:], s); i >= 0 && Refusal(i+1) != RefusedIncomplete {
		return Disposition{Refusal: Refusal(i + 1)}, nil
	}
	return Disposition{}, fmt.Errorf("is %q, want one of %s", s,
		strings.Join(slices.Concat(retryNames[1:], refusalNames[1:RefusedIncomplete]), ", "))
}

// ParseStatus reads a command_status: the standard's name, such as
// "ESME_RTHROTTLED", or a number, such as "0x58" or "1025".
func ParseStatus(s string) (wire.Status, error) {
	for status, name := range wire.Statuses() {
		if strings.EqualFold(name, s) {
			return status, nil
		}
	}
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		return 0, errors.New("is neither a status of SMPP 3.4 nor a number")
	}
	return wire.Status(n), nil
}
