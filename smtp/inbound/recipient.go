package inbound

import (
	"strings"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/google/uuid"
)

// recipient is what a recipient's address stands for.
type recipient struct {
	shipment uuid.UUID
	role     string // "postmaster" or "abuse"; empty for a report
}

// roles are the mailboxes of RFC 2142 that a domain with a mail server must have.
var roles = []string{"postmaster", "abuse"}

// Refusals of a recipient.
var (
	errNoMailbox = &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "No such mailbox"}
	errNoRelay   = &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 7, 1}, Message: "Not a domain of ours: relaying denied"}
)

// recipient returns what an address stands for, or why it stands for nothing.
func (s *Server) recipient(address string, lmtp bool) (recipient, *gosmtp.SMTPError) {
	if lmtp && s.config.Address != "" && strings.EqualFold(address, s.config.Address) {
		return recipient{}, nil
	}
	at := strings.LastIndexByte(address, '@')
	if at < 0 || s.config.Domain == "" || !strings.EqualFold(strings.TrimSuffix(address[at+1:], "."), s.config.Domain) {
		return recipient{}, errNoRelay
	}
	local := address[:at]
	for _, role := range roles {
		if strings.EqualFold(local, role) && s.config.Postmaster {
			return recipient{role: role}, nil
		}
	}
	shipment, err := s.config.Keys.Parse(local)
	if err != nil {
		return recipient{}, errNoMailbox
	}
	return recipient{shipment: shipment}, nil
}
