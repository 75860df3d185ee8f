// Package handover names the four ways in which handing a message to a carrier
// can end. They answer the one question that everything else hangs on: may the
// message be sent again?
//
// Both carriers (smpp and smtp) report in these words and orders decides by
// them, so that the promise "never sent twice" is spelled the same everywhere.
package handover

// Outcome is how one hand-over ended. The zero value is NotSent.
type Outcome uint8

const (
	// NotSent: it surely did not leave. Not one octet of it may have reached
	// the carrier, or the carrier said "not now" (throttled, queue full, 4yz).
	// The only outcome after which the message may be sent again.
	NotSent Outcome = iota
	// Accepted: the carrier took it and gave a reference.
	Accepted
	// Refused: the carrier refused it for good. Sending it again is pointless.
	Refused
	// Unknown: it may have left, but no answer came. Never sent again by us;
	// a receipt or the deadline settles it.
	Unknown
)

var names = [...]string{NotSent: "not_sent", Accepted: "accepted", Refused: "refused", Unknown: "unknown"}

// String returns the outcome as it is spelled in logs and metric labels.
func (o Outcome) String() string {
	if int(o) >= len(names) {
		return "invalid"
	}
	return names[o]
}
