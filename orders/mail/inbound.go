package mail

import (
	"context"

	"github.com/google/uuid"

	"straks/orders"
)

// Report is a mail that arrived at an address of ours: a report about a mail that we sent, or anything
// else that a stranger sends there.
type Report struct {
	Shipment uuid.UUID // of the token in the return path; uuid.Nil where there was none
	From     string    // the envelope sender; "" is the null sender, which reports have (RFC 3464 §2)
	Mail     []byte    // header and body, CRLF at line ends
}

// Report stores what r says about its shipment. nil means that r is stored durably, or will never have to
// be: the server may reply 250. An error means that nothing is known, and the same report may be given
// again: 451. It may be called concurrently, and does not keep r.Mail.
func (c *Channel) Report(context.Context, Report) error { return orders.ErrUnavailable }
