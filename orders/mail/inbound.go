package mail

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"straks/dlr/dsn"
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
//
// # Which mail it is about
//
// With a token, the mail of the token, whatever ids the report has besides. Without one, the mail of its
// Original-Envelope-Id, else of the Message-Id in the header that it returns: the first that the journal
// has. A report about a mail that the journal does not have is kept for a day (orders/ledger).
//
// # Who can forge it
//
// A holder of a token can report about its mail, and about no other: the recipient, and the servers on
// the way. That is the trust that each of them has anyway, since what they report can't be proven. A token can't
// be guessed.
//
// Without a token, a shipment's id is enough. Besides those, the client has that, and readers of its logs and of
// replies to the mail. The inbound server takes such reports only where there is no bounce domain. Such a report
// changes a status, but suppresses no address: a person could be locked out by it. A complaint comes to no address
// with a token, but has the return path of its mail in it.
func (c *Channel) Report(ctx context.Context, r Report) error {
	service := c.service.Load()
	if service == nil {
		return orders.ErrUnavailable
	}
	result := dsn.Parse(r.Mail, dsn.Envelope{Shipment: r.Shipment, Token: c.config.Load().Paths.shipment})
	report, ok := reportOf(result)
	c.metrics.count(result)
	c.log.LogAttrs(ctx, slog.LevelDebug, "mail came back", slog.String("says", result.String()), slog.Any("about", report.Refs))
	if !ok {
		return nil
	}
	stored := make(chan error, 1)
	if err := service.Receive(report, func(err error) { stored <- err }); err != nil {
		return err
	}
	select {
	case err := <-stored:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// complained stores a complaint that came to abuse@ or postmaster@, where providers send complaints. All other mails
// to them are for people.
func (c *Channel) complained(ctx context.Context, mail []byte) error {
	result := dsn.Parse(mail, dsn.Envelope{Token: c.config.Load().Paths.shipment})
	if result.Verdict != dsn.Complaint || len(result.Keys) == 0 || result.Keys[0].Source != dsn.ReturnPath {
		return nil
	}
	return c.Report(ctx, Report{Mail: mail})
}

// statuses maps what a report says to a status.
var statuses = map[dsn.Verdict]orders.Status{
	dsn.Delivered: orders.EmailDelivered,
	dsn.Relayed:   orders.EmailDelivered, // the last word of each server without DSN

	dsn.Expanded:  orders.EmailSucceeded,
	dsn.Delayed:   orders.EmailSucceeded,
	dsn.Complaint: orders.EmailSucceeded,

	dsn.NoSuchMailbox: orders.EmailFailedRecipientNotIdentified,
	dsn.BadAddress:    orders.EmailFailedInvalidFormat,
	dsn.Filtered:      orders.EmailFailedFilteredSpam,
	dsn.Bounced:       orders.EmailFailedBounced,
	dsn.Transient:     orders.EmailFailedTransientError,
}

// reportOf returns what the journal must know of a mail that came back. ok is false where that is nothing: an
// automatic reply, a mail of a person, or one that names no mail of ours.
func reportOf(result dsn.Result) (report orders.Report, ok bool) {
	token := len(result.Keys) > 0 && result.Keys[0].Source == dsn.ReturnPath
	status, known := statuses[result.Verdict]
	if result.Verdict == dsn.Filtered && result.Phrase == "quarantine" {
		status = orders.EmailFailedQuarantined
	}
	report = orders.Report{Carrier: orders.MailReports, Refs: refs(result.Keys, token), At: time.Now().UTC(), Status: status, Detail: result.String(),
		Relayed: result.Verdict == dsn.Relayed, Expanded: result.Verdict == dsn.Expanded}
	if token {
		report.Suppress, report.Word = suppression(result)
	}
	return report, known && len(report.Refs) > 0
}

// refs returns the shipments that a report may be about.
func refs(keys []dsn.Key, token bool) (ids []string) {
	for _, key := range keys {
		if token == (key.Source == dsn.ReturnPath) {
			ids = append(ids, key.Shipment.String())
		}
	}
	return ids
}

// suppressing are the codes that an address which does not exist has (RFC 3463 §3.2, §3.3; RFC 7505). A full
// mailbox (5.2.2) is emptied, and a policy (5.7.z) is about the mail or about us.
var suppressing = []dsn.Code{{5, 1, 1}, {5, 1, 2}, {5, 1, 10}, {5, 2, 1}}

// suppression returns whether no more mails must be sent to the recipient, why, and the code. sendmail writes
// 5.1.1 for a mailbox that is full or a policy, if the other server's reply has no enhanced code: then
// the reply's words must say that there is no such user.
func suppression(r dsn.Result) (orders.BlockSource, string) {
	switch {
	case r.Verdict == dsn.Complaint:
		return orders.BlockedByComplaint, ""
	case r.Verdict == dsn.NoSuchMailbox && slices.Contains(suppressing, r.Code) && (!r.MadeUp || r.Phrase != ""):
		return orders.BlockedByBounce, r.Code.String()
	}
	return "", ""
}
