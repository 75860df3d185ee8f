package orders

// Channel is the way a message travels.
type Channel uint8

const (
	SMS Channel = iota + 1
	Email
)

// String returns the channel as the wire contract spells it: "SMS" or "Email".
func (c Channel) String() string {
	switch c {
	case SMS:
		return "SMS"
	case Email:
		return "Email"
	}
	return "invalid"
}

// Status is what is known of a shipment's one recipient. Its number is what the
// journal stores: never reuse or reorder one, only append.
type Status uint8

const (
	_          Status = iota // a zero status is a defect, not a new SMS
	SMSNew                   // stored, and surely not with a carrier: its key may be tried again
	SMSSending               // claimed by a hand-over: it may have left
	SMSAccepted
	SMSDelivered
	SMSFailed
	SMSFailedInvalidRecipient
	SMSFailedBarredReceiver
	SMSFailedDeleted
	SMSFailedExpired
	SMSFailedUndelivered
	SMSFailedRejected
	SMSFailedRecipientReserved
	SMSFailedRecipientNotIdentified
	SMSFailedTTL
	EmailNew     // as SMSNew
	EmailSending // as SMSSending
	EmailSucceeded
	EmailDelivered
	EmailFailed
	EmailFailedBounced
	EmailFailedRecipientNotIdentified
	EmailFailedInvalidFormat
	EmailFailedSuppressedRecipient
	EmailFailedRecipientReserved
	EmailFailedTransientError
	EmailFailedFilteredSpam
	EmailFailedQuarantined
	EmailFailedTTL
	EmailSucceededFinal // EmailSucceeded as the last word: no report came where none comes of a mail that arrives
	statusEnd
)

// stage is how far along its way a status is. It only ever grows.
type stage uint8

const (
	stageNew stage = iota
	stageSending
	stageTaken // the carrier has it
	stageFinal
)

type statusInfo struct {
	name    string
	channel Channel
	stage   stage
}

var statuses = [statusEnd]statusInfo{
	SMSNew:                            {"SMS_New", SMS, stageNew},
	SMSSending:                        {"SMS_Sending", SMS, stageSending},
	SMSAccepted:                       {"SMS_Accepted", SMS, stageTaken},
	SMSDelivered:                      {"SMS_Delivered", SMS, stageFinal},
	SMSFailed:                         {"SMS_Failed", SMS, stageFinal},
	SMSFailedInvalidRecipient:         {"SMS_Failed_InvalidRecipient", SMS, stageFinal},
	SMSFailedBarredReceiver:           {"SMS_Failed_BarredReceiver", SMS, stageFinal},
	SMSFailedDeleted:                  {"SMS_Failed_Deleted", SMS, stageFinal},
	SMSFailedExpired:                  {"SMS_Failed_Expired", SMS, stageFinal},
	SMSFailedUndelivered:              {"SMS_Failed_Undelivered", SMS, stageFinal},
	SMSFailedRejected:                 {"SMS_Failed_Rejected", SMS, stageFinal},
	SMSFailedRecipientReserved:        {"SMS_Failed_RecipientReserved", SMS, stageFinal},
	SMSFailedRecipientNotIdentified:   {"SMS_Failed_RecipientNotIdentified", SMS, stageFinal},
	SMSFailedTTL:                      {"SMS_Failed_TTL", SMS, stageFinal},
	EmailNew:                          {"Email_New", Email, stageNew},
	EmailSending:                      {"Email_Sending", Email, stageSending},
	EmailSucceeded:                    {"Email_Succeeded", Email, stageTaken},
	EmailDelivered:                    {"Email_Delivered", Email, stageFinal},
	EmailFailed:                       {"Email_Failed", Email, stageFinal},
	EmailFailedBounced:                {"Email_Failed_Bounced", Email, stageFinal},
	EmailFailedRecipientNotIdentified: {"Email_Failed_RecipientNotIdentified", Email, stageFinal},
	EmailFailedInvalidFormat:          {"Email_Failed_InvalidFormat", Email, stageFinal},
	EmailFailedSuppressedRecipient:    {"Email_Failed_SuppressedRecipient", Email, stageFinal},
	EmailFailedRecipientReserved:      {"Email_Failed_RecipientReserved", Email, stageFinal},
	EmailFailedTransientError:         {"Email_Failed_TransientError", Email, stageFinal},
	EmailFailedFilteredSpam:           {"Email_Failed_FilteredSpam", Email, stageFinal},
	EmailFailedQuarantined:            {"Email_Failed_Quarantined", Email, stageFinal},
	EmailFailedTTL:                    {"Email_Failed_TTL", Email, stageFinal},
	EmailSucceededFinal:               {"Email_Succeeded", Email, stageFinal},
}

// special are the statuses of a channel that the state machine itself assigns.
type special struct {
	fresh, sending, taken, delivered, failed, expired, reserved Status
	silent                                                      Status // expired, where silence means that all went well
}

var specials = map[Channel]special{
	SMS:   {SMSNew, SMSSending, SMSAccepted, SMSDelivered, SMSFailed, SMSFailedTTL, SMSFailedRecipientReserved, SMSFailedTTL},
	Email: {EmailNew, EmailSending, EmailSucceeded, EmailDelivered, EmailFailed, EmailFailedTTL, EmailFailedRecipientReserved, EmailSucceededFinal},
}

// Statuses returns every status, in the order of their numbers.
func Statuses() []Status {
	all := make([]Status, 0, statusEnd-1)
	for s := Status(1); s < statusEnd; s++ {
		all = append(all, s)
	}
	return all
}

// Valid reports whether s is one of the statuses above.
func (s Status) Valid() bool { return s > 0 && s < statusEnd }

func (s Status) info() statusInfo {
	if !s.Valid() {
		return statusInfo{name: "invalid"}
	}
	return statuses[s]
}

// String returns the status as the wire contract spells it, like "SMS_Failed_TTL". EmailSucceeded and
// EmailSucceededFinal are spelled alike: there the status of the order makes the difference.
func (s Status) String() string { return s.info().name }

// label returns the status as metrics spell it: each has a label of its own.
func (s Status) label() string {
	if s == EmailSucceededFinal {
		return s.String() + "_Final"
	}
	return s.String()
}

// Channel returns the channel that the status belongs to.
func (s Status) Channel() Channel { return s.info().channel }

// Final reports whether the status never changes again, with two exceptions: …_Failed_TTL may be corrected
// to delivered, and EmailDelivered, where it came from a report that the mail was relayed, to a failure.
func (s Status) Final() bool { return s.info().stage == stageFinal }

// Free reports whether the message surely is with no carrier, so that its
// idempotency key may be tried again.
func (s Status) Free() bool { return s.info().stage == stageNew }

// Delivered reports whether the status says that the recipient has the message.
func (s Status) Delivered() bool { return s == SMSDelivered || s == EmailDelivered }

// InFeed reports whether reaching this status makes a feed entry: everything from the carrier's
// acceptance on does.
func (s Status) InFeed() bool { return s.info().stage >= stageTaken }

// Order returns the status of the order as a whole, like "Order_Completed".
func (s Status) Order() string {
	switch s.info().stage {
	case stageNew:
		return "Order_Registered"
	case stageSending:
		return "Order_Processing"
	case stageTaken:
		return "Order_Processed"
	}
	return "Order_Completed"
}
