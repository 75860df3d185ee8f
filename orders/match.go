package orders

import (
	"slices"
	"strings"
	"time"
)

// Report is what one receipt says of one part.
type Report struct {
	Carrier string
	Refs    []string       // references that it has, the surest first
	IDs     int            // how many of Refs, from the first, are message ids; see Means
	Hints   []MismatchHint // other references, to look up where no part of Refs is meant; never matched by
	At      time.Time
	Status  Status // taken (the intermediate ones) or final
	Detail  string // the state and the error in the carrier's words, like "UNDELIV err:013"

	// The following tell messages with the same reference apart; see Choose.

	Recipient  Recipient // the number that it names as the message's; empty where it names none
	Submitted  time.Time // when the carrier took the message, in s by the carrier's clock; zero where it does not say
	Unverified bool      // it could be written by hand on a phone: it counts only for a message to Recipient

	// The following find the message where no reference does; see Unanswered.

	Done        time.Time // when the carrier was done with the message, by its clock; zero where it does not say
	Echoed      bool      // it has the user reference of the message: Reference
	Reference   uint16
	Whole       bool // the carrier sends one report for all parts of a message
	ByRecipient bool // it may be matched by its recipient alone

	// The following come in reports about mails only.

	Relayed  bool        // a server without reports has it: a failure may follow
	Expanded bool        // it went to the members of an alias or list, of which none is reported as delivered
	Suppress BlockSource // why no more mails must be sent to the recipient; empty: they may be
	Word     string      // the code of the failure, like "5.1.1", for Block.Word
}

// MailReports is, in place of a carrier, what reports about mails have: any server may send them. Their
// references are ids of shipments (Shipment.ID), the most reliable first. It is no name that a relay or an
// SMSC can have.
const MailReports = "mail reports"

// MismatchHint is a reference as it would be under another form of message ids.
type MismatchHint struct{ Form, Ref string }

// Binding is a part that a reference is bound to.
type Binding struct {
	Shipment *Shipment
	Part     int
}

const (
	// clockSkew is by how much a report may seem older than its shipment.
	clockSkew = 10 * time.Second
	// repeats is how long after the deadline a report about a settled part is taken for a repeat of
	// its final report, if no date says more.
	repeats = time.Hour
	// sameDate is how far apart two messages were accepted if their submit dates can't be equal.
	// Most carriers give them in minutes.
	sameDate = 2 * time.Minute
)

// Choose returns which of the parts the report is about. parts are those that its references are
// bound to: those of the first reference first, and of each reference the newest first. -1: the
// report is about a message whose answer it has overtaken. See the package comment.
func (r *Report) Choose(parts []Binding) int {
	best, found, named := -1, unrelated, false
	for i, b := range parts {
		m := r.match(b)
		if m == dated && best >= 0 && parts[best].Shipment.Accepted.Sub(b.Shipment.Accepted) < sameDate {
			m = r.fits(b.Shipment)
		}
		if m > found {
			best, found = i, m
		}
		named = named || r.names(b.Shipment)
	}
	if found == possible && named && !r.names(parts[best].Shipment) {
		return -1 // the carrier names recipients well, and this is not the one
	}
	return best
}

// Awaited reports whether a report that waits is about the first of the parts, to which its
// reference was bound just now, ahead of the others. gone: the report is too old to be about
// that part or any later one.
func (r *Report) Awaited(parts []Binding) (awaited, gone bool) {
	if r.At.Add(clockSkew).Before(parts[0].Shipment.Accepted) {
		return false, true
	}
	return r.Choose(parts) == 0, false
}

// match is how well a report fits a part that has its reference.
type match int

const (
	unrelated match = iota
	possible        // nothing speaks against it
	named           // it names the recipient
	dated           // it names the very submission that the part's last word did
)

func (r *Report) match(b Binding) match {
	s, p := b.Shipment, &b.Shipment.Parts[b.Part]
	another := !r.names(s) && isNumber(string(r.Recipient))
	switch {
	case r.Unverified && !r.names(s):
		return unrelated
	case p.State < PartDelivered: // an SMSC may write recipients in its own way, but then gets no late correction
		if another && r.At.After(s.Deadline) {
			return unrelated
		}
		return r.fits(s)
	case !r.Status.Final():
		return r.fits(s)
	case another:
		return unrelated
	case !r.Submitted.IsZero() && !p.Submitted.IsZero():
		if r.Submitted.Equal(p.Submitted) {
			return dated
		}
		return unrelated
	case r.At.After(s.Deadline.Add(repeats)):
		return unrelated
	}
	return r.fits(s)
}

// fits is the match with a shipment that nothing speaks against.
func (r *Report) fits(s *Shipment) match {
	if r.names(s) {
		return named
	}
	return possible
}

// names reports whether the report names the shipment's recipient.
func (r *Report) names(s *Shipment) bool { return sameNumber(string(r.Recipient), string(s.Recipient)) }

// leastNumber is how many digits a phone number has at least.
const leastNumber = 7

// sameNumber compares phone numbers whose prefixes may differ: SMSCs write
// "+4799999999", "004799999999", "4799999999" or "99999999".
func sameNumber(a, b string) bool {
	a, b = strings.TrimLeft(a, "+0"), strings.TrimLeft(b, "+0")
	return min(len(a), len(b)) >= leastNumber && (strings.HasSuffix(a, b) || strings.HasSuffix(b, a))
}

// isNumber reports whether s is a whole phone number, not a masked one or a name.
func isNumber(s string) bool {
	s = strings.TrimLeft(s, "+0")
	return len(s) >= leastNumber && strings.Trim(s, "0123456789") == ""
}

// Better reports whether to keep this report instead of another that waits under the same reference:
// a receipt that surely is one before an unverified one, then a final before an intermediate one, then
// a failure before a mail that was relayed. Of
// two about one message the first is kept; else the later one, since the answer that the other
// waits for may never come.
func (r *Report) Better(than *Report) bool {
	if r.Unverified != than.Unverified {
		return than.Unverified
	}
	if r.Status.Final() != than.Status.Final() {
		return r.Status.Final()
	}
	if r.failed() && than.Relayed {
		return true
	}
	return r.differs(than) && !r.At.Before(than.At)
}

// differs reports whether the two are surely about different messages.
func (r *Report) differs(from *Report) bool {
	if !r.Submitted.IsZero() && !from.Submitted.IsZero() && !r.Submitted.Equal(from.Submitted) {
		return true
	}
	a, b := string(r.Recipient), string(from.Recipient)
	return isNumber(a) && isNumber(b) && !sameNumber(a, b)
}

// subset reports whether each of the references is one of others.
func subset(refs, others []string) bool {
	for _, ref := range refs {
		if !slices.Contains(others, ref) {
			return false
		}
	}
	return true
}

// Means reports whether the report may be meant for a part that has its i-th reference. The first
// reference is trusted. A further message id may be of another numbering, in which it is another
// message's: it counts only if the report names the recipient. A lesser reference (a 16-bit user
// reference is reused within minutes) counts only if the report has all references of the part: a
// part with a message id of its own is not meant.
func (r *Report) Means(i int, b Binding) bool {
	switch {
	case i == 0:
		return true
	case i < r.IDs:
		return r.names(b.Shipment)
	}
	return subset(b.Shipment.Parts[b.Part].Refs, r.Refs)
}
