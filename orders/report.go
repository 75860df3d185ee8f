package orders

import (
	"errors"
	"log/slog"
	"time"

	"straks/dlr"
)

// ErrUnreadable: the receipt has neither an id nor a user reference, or neither a state
// nor a cause.
var ErrUnreadable = errors.New("receipt without an id or a state")

// Arrival is a receipt as it came from an SMSC.
type Arrival struct {
	Carrier string // the SMSC's name
	Receipt dlr.Receipt
	At      time.Time // when it was read off the socket, UTC
	// Done is called once, from another goroutine: nil when the receipt is on
	// disk and may be acknowledged, else the SMSC is to send it again.
	Done func(error)
}

// Receive takes a receipt, without waiting. Where it returns an error, Done is
// not called: ErrUnreadable (acknowledge it, sending it again helps nobody) or
// ErrBusy (have it sent again).
func (s *Service) Receive(a Arrival) error {
	d := s.cfg.Dialects[a.Carrier]
	report, ok := newReport(d, a)
	if !ok {
		s.unreadable(a)
		return ErrUnreadable
	}
	return s.enqueue(s.inbox, arrived{report, a.Done})
}

// unreadable counts a receipt that says nothing, and tells what of it may be shown: it is
// acknowledged, and never comes again.
func (s *Service) unreadable(a Arrival) {
	s.metrics.unreadable.Inc()
	s.seldom.Write("unreadable "+a.Carrier, slog.LevelWarn, "receipt lost: it has no id, or its state is not known",
		slog.String("smsc", a.Carrier), slog.Bool("id", a.Receipt.ID != ""),
		slog.String("state", a.Receipt.UnknownState), slog.String("error_code", a.Receipt.Error))
}

// newReport turns a receipt into what it says of a part. ok is false where it
// says nothing.
func newReport(d dlr.Dialect, a Arrival) (r Report, ok bool) {
	status, ok := receiptStatus(a.Receipt, d.Cause(a.Receipt))
	id := a.Receipt.ID
	r = Report{Carrier: a.Carrier, Refs: d.Refs(a.Receipt), At: a.At, Status: status,
		Recipient: Recipient(a.Receipt.Recipient), Submitted: a.Receipt.Submitted, Unmarked: a.Receipt.Unverified,
		Hints: func() []Hint { return hints(d, id) }}
	if a.Receipt.Error != "" {
		r.Detail = "err:" + a.Receipt.Error
	}
	return r, ok && len(r.Refs) > 0
}

// hints returns how a receipt's id would be matched by in other forms.
func hints(d dlr.Dialect, id string) (all []Hint) {
	for _, h := range d.MismatchHints(id) {
		all = append(all, Hint{Form: h.String(), Ref: h.Ref})
	}
	return all
}

// receiptStatuses is where a receipt's state becomes a status (SMPP 3.4 §5.2.28).
var receiptStatuses = map[dlr.State]Status{
	dlr.Enroute:       SMSAccepted,
	dlr.Accepted:      SMSAccepted,
	dlr.Delivered:     SMSDelivered,
	dlr.Expired:       SMSFailedExpired,
	dlr.Deleted:       SMSFailedDeleted,
	dlr.Undeliverable: SMSFailedUndelivered,
	dlr.Unknown:       SMSFailed,
	dlr.Rejected:      SMSFailedRejected,
	dlr.Skipped:       SMSFailed,
}

// causeStatuses are those error codes that say more of a failure than its
// state does. The others (absent, memory full, …) leave it at the state's.
var causeStatuses = map[dlr.Cause]Status{
	dlr.CauseBarred:            SMSFailedBarredReceiver,
	dlr.CauseUnknownSubscriber: SMSFailedRecipientNotIdentified,
	dlr.CauseInvalidNumber:     SMSFailedInvalidRecipient,
	dlr.CauseRejected:          SMSFailedRejected,
	dlr.CauseExpired:           SMSFailedExpired,
	dlr.CauseDeleted:           SMSFailedDeleted,
}

// receiptStatus returns what a receipt makes of a part. Where its state is not known, a cause
// that is tells of a failure: we ask for receipts of the final outcome alone.
func receiptStatus(r dlr.Receipt, cause dlr.Cause) (Status, bool) {
	status, ok := receiptStatuses[r.State]
	better, has := causeStatuses[cause]
	switch {
	case ok && r.Intermediate && !r.Final(): // the network goes on trying, whatever came of this attempt
		return SMSAccepted, true
	case has && status.Final() && !status.Delivered():
		return better, true
	case r.State == dlr.None && !r.Intermediate && has:
		return better, true
	case r.State == dlr.None && !r.Intermediate && cause != dlr.CauseNone:
		return SMSFailedUndelivered, true
	}
	return status, ok
}
