package mail

import (
	"strings"

	"github.com/google/uuid"

	"straks/smtp"
	"straks/smtp/returnpath"
)

// ReturnPaths are the envelope senders of our mails: what servers report goes there. Of the zero value, each mail has
// the null sender, and nobody reports anything.
type ReturnPaths struct {
	// Domain and Keys give each mail an address of its own. Both or none.
	Domain string
	Keys   *returnpath.Keys
	// Address is the sender of all mails where there is no Domain; may be empty.
	Address string
	// ComeBack: what is sent to these addresses arrives at Channel.Report.
	ComeBack bool
}

// shipment returns the shipment of a return path of ours; uuid.Nil for any other address.
func (r ReturnPaths) shipment(address string) uuid.UUID {
	at := strings.LastIndexByte(address, '@')
	if r.Keys == nil || at < 0 || !strings.EqualFold(address[at+1:], r.Domain) {
		return uuid.Nil
	}
	id, _ := r.Keys.Parse(address[:at])
	return id
}

// of returns the envelope of a shipment's mail. The sender of its From is never the envelope sender: replies of
// people are for that address, and reports of servers are for us.
func (r ReturnPaths) of(shipment uuid.UUID) smtp.Envelope {
	if r.Keys == nil {
		return smtp.Envelope{ReturnPath: r.Address, Reports: r.ComeBack && r.Address != ""}
	}
	return smtp.Envelope{ReturnPath: r.Keys.Address(shipment, r.Domain), Reports: r.ComeBack}
}
