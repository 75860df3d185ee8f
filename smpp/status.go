package smpp

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"straks/smpp/wire"
)

// Retry says what may be done with a message whose submit_sm was answered with
// an error. The answer itself proves that the SMSC did not take the message.
type Retry uint8

const (
	// RetryNever: refused for good; the Refusal says why.
	RetryNever Retry = iota
	// RetrySlower: too fast for this bind. Its rate goes down; the message
	// goes to another bind, or to this one after a pause.
	RetrySlower
	// RetryElsewhere: the SMSC can't just now. The message goes to another
	// bind, or to this one after a pause.
	RetryElsewhere
	// RetryRebind: this session is of no use to the SMSC. It is closed and bound
	// anew; the message goes elsewhere.
	RetryRebind
)

var retryNames = [...]string{
	RetryNever: "never", RetrySlower: "throttled", RetryElsewhere: "temporary", RetryRebind: "rebind",
}

// String returns the class as the configuration spells it.
func (r Retry) String() string { return retryNames[r] }

// Refusal is why a message was refused for good. The wiring maps it to a
// shipment's status.
type Refusal uint8

const (
	RefusedNot              Refusal = iota // it was not refused
	RefusedFailed                          // for a reason that is none of these
	RefusedRejected                        // the SMSC does not want it
	RefusedInvalidRecipient                // no such number can be
	RefusedBarred                          // the recipient is barred
	RefusedNotIdentified                   // nobody has that number
	RefusedInvalidSender                   // the SMSC does not let us use that sender
	RefusedIncomplete                      // some parts were taken, others never will be
)

var refusalNames = [...]string{
	RefusedNot: "none", RefusedFailed: "failed", RefusedRejected: "rejected",
	RefusedInvalidRecipient: "invalid_recipient", RefusedBarred: "barred",
	RefusedNotIdentified: "not_identified", RefusedInvalidSender: "invalid_sender",
	RefusedIncomplete: "incomplete",
}

// String returns the reason as the configuration spells it.
func (r Refusal) String() string { return refusalNames[r] }

// Verdict is what a command_status in an answer to submit_sm means for the
// message: what may be done with it and, where nothing may, why.
type Verdict struct {
	Retry   Retry
	Refusal Refusal
}

// String returns the verdict as the configuration spells it.
func (v Verdict) String() string {
	if v.Retry == RetryNever {
		return v.Refusal.String()
	}
	return v.Retry.String()
}

var (
	verdictFailed    = Verdict{Refusal: RefusedFailed}
	verdictRejected  = Verdict{Refusal: RefusedRejected}
	verdictRecipient = Verdict{Refusal: RefusedInvalidRecipient}
	verdictSender    = Verdict{Refusal: RefusedInvalidSender}
	verdictSlower    = Verdict{Retry: RetrySlower}
	verdictElsewhere = Verdict{Retry: RetryElsewhere}
	verdictRebind    = Verdict{Retry: RetryRebind}
)

// verdicts holds every command_status of SMPP 3.4 §5.1.3. One that is not here
// (an SMSC vendor's, from 0x400 on) is RefusedFailed: nothing is known of it, and
// a message must not be sent again on a guess. SMSC.Status overrides both.
var verdicts = map[wire.Status]Verdict{
	wire.ESMEOK:              {},
	wire.ESMEInvMsgLen:       verdictFailed,
	wire.ESMEInvCmdLen:       verdictFailed,
	wire.ESMEInvCmdID:        verdictFailed,
	wire.ESMEInvBndSts:       verdictRebind, // the SMSC thinks that we are not bound to send
	wire.ESMEAlyBnd:          verdictRebind,
	wire.ESMEInvPrtFlg:       verdictFailed,
	wire.ESMEInvRegDlvFlg:    verdictFailed,
	wire.ESMESysErr:          verdictElsewhere,
	wire.ESMEInvSrcAdr:       verdictSender,
	wire.ESMEInvDstAdr:       verdictRecipient,
	wire.ESMEInvMsgID:        verdictFailed,
	wire.ESMEBindFail:        verdictRebind,
	wire.ESMEInvPaswd:        verdictRebind,
	wire.ESMEInvSysID:        verdictRebind,
	wire.ESMECancelFail:      verdictFailed,
	wire.ESMEReplaceFail:     verdictFailed,
	wire.ESMEMsgQFul:         verdictSlower,
	wire.ESMEInvSerTyp:       verdictFailed,
	wire.ESMEInvNumDests:     verdictFailed,
	wire.ESMEInvDLName:       verdictFailed,
	wire.ESMEInvDestFlag:     verdictFailed,
	wire.ESMEInvSubRep:       verdictFailed,
	wire.ESMEInvEsmClass:     verdictFailed,
	wire.ESMECntSubDL:        verdictFailed,
	wire.ESMESubmitFail:      verdictRejected, // says no more than "no"; some SMSCs mean "later", see SMSC.Status
	wire.ESMEInvSrcTON:       verdictSender,
	wire.ESMEInvSrcNPI:       verdictSender,
	wire.ESMEInvDstTON:       verdictRecipient,
	wire.ESMEInvDstNPI:       verdictRecipient,
	wire.ESMEInvSysTyp:       verdictFailed,
	wire.ESMEInvRepFlag:      verdictFailed,
	wire.ESMEInvNumMsgs:      verdictFailed,
	wire.ESMEThrottled:       verdictSlower,
	wire.ESMEInvSched:        verdictFailed,
	wire.ESMEInvExpiry:       verdictFailed,
	wire.ESMEInvDftMsgID:     verdictFailed,
	wire.ESMERxTAppn:         verdictElsewhere,
	wire.ESMERxPAppn:         verdictRejected,
	wire.ESMERxRAppn:         verdictRejected,
	wire.ESMEQueryFail:       verdictFailed,
	wire.ESMEInvOptParStream: verdictFailed,
	wire.ESMEOptParNotAllwd:  verdictFailed,
	wire.ESMEInvParLen:       verdictFailed,
	wire.ESMEMissingOptParam: verdictFailed,
	wire.ESMEInvOptParamVal:  verdictFailed,
	wire.ESMEDeliveryFailure: verdictRejected,
	wire.ESMEUnknownErr:      verdictFailed,
}

// VerdictOn returns what the status means where the configuration of the SMSC
// does not say otherwise.
func VerdictOn(s wire.Status) Verdict {
	if v, ok := verdicts[s]; ok {
		return v
	}
	return verdictFailed
}

// ParseVerdict reads "throttled", "temporary" or "rebind", or the name of a refusal.
func ParseVerdict(s string) (Verdict, error) {
	if i := slices.Index(retryNames[1:], s); i >= 0 {
		return Verdict{Retry: Retry(i + 1)}, nil
	}
	if i := slices.Index(refusalNames[1:], s); i >= 0 && Refusal(i+1) != RefusedIncomplete {
		return Verdict{Refusal: Refusal(i + 1)}, nil
	}
	return Verdict{}, fmt.Errorf("is %q, want one of %s", s,
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
