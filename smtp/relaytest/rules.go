package relaytest

import (
	"fmt"
	"strings"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// Rule is the reply to mail for some recipients.
type Rule struct {
	Local    string // local part, up to a "+" or ".", in any letter case
	Code     int    // reply
	Enhanced [3]int // enhanced code (RFC 3463)
	Text     string
	Note     string // what happens, for people; empty: Code and Text say it
	AtDot    bool   // reply to the final dot instead of RCPT
	Drop     bool   // take the mail, then close without a reply; Code is not used

	// Delay takes the mail, and replies to the final dot after this time; Code is not used.
	Delay time.Duration
}

// StandardRules is the table of the package comment.
func StandardRules() []Rule {
	return []Rule{
		{Local: "nosuch", Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "No such mailbox here"},
		{Local: "badsyntax", Code: 553, Enhanced: [3]int{5, 1, 3}, Text: "Mailbox name not allowed"},
		{Local: "spam", Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "Refused by policy"},
		{Local: "full", Code: 552, Enhanced: [3]int{5, 2, 2}, Text: "Mailbox full"},
		{Local: "later", Code: 451, Enhanced: [3]int{4, 3, 0}, Text: "Try again later"},
		{Local: "toolate", Code: 452, Enhanced: [3]int{4, 2, 2}, Text: "Mailbox full for now", AtDot: true},
		{Local: "filtered", Code: 554, Enhanced: [3]int{5, 7, 1}, Text: "Content refused", AtDot: true},
		{Local: "lost", AtDot: true, Drop: true, Note: "taken, and the connection closed without a reply"},
		{Local: "slow", AtDot: true, Delay: 3 * time.Second, Note: "answered after three seconds: the order gets its 201 late"},
	}
}

// ruleFor returns the first rule that matches the recipient, or nil.
func (p *Profile) ruleFor(to string) *Rule {
	if p.Reports.rule(to) != nil {
		return nil
	}
	for i := range p.Rules {
		if isFor(p.Rules[i].Local, to) {
			return &p.Rules[i]
		}
	}
	return nil
}

// isFor reports whether a rule for a local part is for the recipient.
func isFor(rule, to string) bool {
	local, _, _ := strings.Cut(to, "@")
	if end := strings.IndexAny(local, "+."); end >= 0 {
		local = local[:end]
	}
	return strings.EqualFold(rule, local)
}

// What returns what happens to a mail, in words.
func (r Rule) What() string {
	if r.Note != "" {
		return r.Note
	}
	what := fmt.Sprintf("%d %d.%d.%d %s", r.Code, r.Enhanced[0], r.Enhanced[1], r.Enhanced[2], r.Text)
	if r.AtDot {
		what += ", only after the final dot"
	}
	return what
}

// refuses reports whether the mail is not taken.
func (r *Rule) refuses() bool { return !r.Drop && r.Delay == 0 }

func (r *Rule) reply() error {
	return &gosmtp.SMTPError{Code: r.Code, EnhancedCode: r.Enhanced, Message: r.Text}
}
