package relaytest

import "time"

// sandboxDelay is the time before each report in the sandbox: an order's answer is there first, as in life.
const sandboxDelay = 300 * time.Millisecond

// Sandbox is the profile of the sandbox's relay: a smarthost that takes nearly every mail, and reports what became of
// it. Some recipients are refused at once.
func Sandbox() Profile {
	rules := append(StandardRules(),
		Rule{Local: "refused", Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "No such mailbox here"},
		Rule{Local: "busy", Code: 451, Enhanced: [3]int{4, 3, 0}, Text: "Try again later", Note: "451 4.3.0 Try again later: the order gets 503"},
	)
	return Profile{SMTPUTF8: true, DSN: true, Rules: rules, Reports: &Reports{Rules: StandardReports(), Delay: sandboxDelay}}
}

// Recipient is a local part whose mails end in a way of their own.
type Recipient struct{ Local, What string }

// Recipients returns those of the profile, in the order of its rules.
func (p *Profile) Recipients() (all []Recipient) {
	if p.Reports != nil {
		for _, rule := range p.Reports.Rules {
			all = append(all, Recipient{rule.Local, "taken; reported: " + rule.What()})
		}
	}
	for _, rule := range p.Rules {
		if p.Reports.rule(rule.Local+"@") == nil {
			all = append(all, Recipient{rule.Local, rule.What()})
		}
	}
	return all
}
