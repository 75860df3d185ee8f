package mail

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/smtp"
	"straks/smtp/inbound"
)

// Operator is who reads the mails to postmaster@ and abuse@ of the domain of return paths.
type Operator struct {
	Domain string
	From   string // of the mails that carry them
	To     string
}

// forwardedID begins the ids of mails that are no order's.
const forwardedID = "forwarded-"

// Forward hands a mail to the operator, over the relays: as an attachment of a mail of ours, since its own sender's
// DKIM and SPF would not hold for us. nil means that a relay has it. Nobody gets a report about the new mail (its return path
// is the null sender), so it can't come back as one. A complaint that names a return path of ours counts first. The error is inbound.ErrRefused where no relay ever takes it.
func (c *Channel) Forward(ctx context.Context, o Operator, m inbound.Mail) error {
	if err := c.complained(ctx, m.Data); err != nil {
		return err
	}
	r := c.pool.Send(ctx, smtp.Message{
		ID: forwardedID + uuid.NewString(), From: o.From, To: o.To, Subject: "Mail to " + m.To + "@" + o.Domain,
		Body: fmt.Sprintf("straks has received the attached mail to %s@%s.\n\n"+
			"Its envelope sender is <%s>. Nobody has got an answer.\n", m.To, o.Domain, m.From),
		Attached: &smtp.Attached{Mail: m.Data, Field: inbound.LoopField, Value: o.Domain},
	})
	switch r.Outcome {
	case handover.Accepted:
		return nil
	case handover.Refused:
		return fmt.Errorf("%w: %w", inbound.ErrRefused, r.Err)
	}
	return fmt.Errorf("not forwarded: %w", r.Err)
}
