package relaytest

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// Reports makes a relay report what became of the mails that it took, to their return paths, as a relay does that
// queues mails: over SMTP, to the address that ReportTo names. A recipient in Rules is taken whatever
// Profile.Rules says of it.
type Reports struct {
	Rules []ReportRule  // the first that matches the recipient decides; all others: Relayed
	Delay time.Duration // before each report of a mail
}

// ReportRule is what comes back of the mails to some recipients, one after the other.
type ReportRule struct {
	Local   string // as in Rule
	Reports []Report
}

// Report is one mail that comes back.
type Report struct {
	Kind       Kind
	Action     string // of a delivery report (RFC 3464 §2.3.3)
	Status     string // its Status (RFC 3463)
	Diagnostic string // the reply that the relay got from the next server
}

// Kind is the kind of a mail that comes back.
type Kind uint8

const (
	Delivery  Kind = iota // a delivery report
	AutoReply             // an automatic reply of the recipient
	Complaint             // a complaint about spam (RFC 5965)
)

// Relayed is what a relay reports that hands a mail to a server without DSN.
var Relayed = Report{Action: "relayed", Status: "2.0.0", Diagnostic: "250 2.0.0 OK"}

// StandardReports are the recipients whose mails come back in the ways of the package comment.
func StandardReports() []ReportRule {
	unknown := Report{Action: "failed", Status: "5.1.1", Diagnostic: "550 5.1.1 User unknown"}
	return []ReportRule{
		{"nosuch", []Report{unknown}},
		{"full", []Report{{Action: "failed", Status: "5.2.2", Diagnostic: "552 5.2.2 Mailbox full"}}},
		{"spam", []Report{{Action: "failed", Status: "5.7.1", Diagnostic: "550 5.7.1 Refused by policy"}}},
		{"quarantined", []Report{{Action: "failed", Status: "5.7.1", Diagnostic: "550 5.7.1 Put into quarantine"}}},
		{"later", []Report{
			{Action: "delayed", Status: "4.2.0", Diagnostic: "450 4.2.0 Try again later"},
			{Action: "failed", Status: "4.2.0", Diagnostic: "450 4.2.0 Try again later"},
		}},
		{"delivered", []Report{{Action: "delivered", Status: "2.1.5", Diagnostic: "250 2.1.5 Delivered"}}},
		{"relayed", []Report{Relayed}},
		{"expanded", []Report{{Action: "expanded", Status: "2.0.0", Diagnostic: "250 2.0.0 Alias expanded"}}},
		{"returned", []Report{Relayed, unknown}},
		{"autoreply", []Report{Relayed, {Kind: AutoReply}}},
		{"complaint", []Report{Relayed, {Kind: Complaint}}},
		{"silent", nil},
	}
}

// What returns, in words, what comes back.
func (r ReportRule) What() string {
	var all []string
	for _, report := range r.Reports {
		switch report.Kind {
		case AutoReply:
			all = append(all, "an automatic reply")
		case Complaint:
			all = append(all, "a complaint about spam")
		default:
			all = append(all, report.Action+" "+report.Status)
		}
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, ", then ")
}

// rule returns the first rule that matches the recipient, or nil.
func (r *Reports) rule(to string) *ReportRule {
	if r == nil {
		return nil
	}
	if i := slices.IndexFunc(r.Rules, func(rule ReportRule) bool { return isFor(rule.Local, to) }); i >= 0 {
		return &r.Rules[i]
	}
	return nil
}

// maxReports bounds the reports that wait to be sent. Further ones are not sent.
const maxReports = 10_000

// reporter sends the reports of a relay, over one connection.
type reporter struct {
	relay *Relay

	mu            sync.Mutex
	network, addr string        // of the server
	known         chan struct{} // closed when they are known
	waiting       int           // mails whose reports are not all sent
	sent          int

	sending sync.Mutex
	client  *gosmtp.Client // under sending; nil: none
}

func newReporter(r *Relay) *reporter { return &reporter{relay: r, known: make(chan struct{})} }

// ReportTo names the server that takes the reports of all mails, whatever their domain: "tcp" and the host:port of an
// SMTP server, or "unix" and the path of a socket that speaks LMTP (RFC 2033). Reports wait for the first call, and
// while the server can't take them.
func (r *Relay) ReportTo(network, addr string) {
	p := r.reporter
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.network == "" {
		close(p.known)
	}
	p.network, p.addr = network, addr
}

// Reported returns how many reports the server has taken, and of how many mails some are still to be sent.
func (r *Relay) Reported() (sent, waiting int) {
	r.reporter.mu.Lock()
	defer r.reporter.mu.Unlock()
	return r.reporter.sent, r.reporter.waiting
}

// report sends what comes back of a mail. A mail with the null sender gets no report (RFC 5321 §4.5.5), and
// success is reported where it was asked for (RFC 3461 §4.1).
func (p *reporter) report(m Message) {
	reports := []Report{Relayed}
	if rule := p.relay.profile.Reports.rule(m.To); rule != nil {
		reports = rule.Reports
	}
	if p.relay.profile.Reports == nil || m.From == "" || slices.Contains(m.Notify, "NEVER") {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting >= maxReports || len(reports) == 0 {
		return
	}
	p.waiting++
	p.relay.joined.Go(func() {
		defer p.done()
		for _, report := range reports {
			if report.wanted(m.Notify) {
				p.relay.wait(p.relay.profile.Reports.Delay)
				p.deliver(m.From, report.text(m))
			}
		}
	})
}

func (p *reporter) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting--
}

// wanted reports whether the sender of a mail wants the report. Without DSN, failures and delays are reported.
func (r *Report) wanted(notify []string) bool {
	word := map[string]string{"failed": "FAILURE", "delayed": "DELAY"}[r.Action]
	switch {
	case r.Kind != Delivery, word != "" && len(notify) == 0:
		return true
	case word == "":
		word = "SUCCESS"
	}
	return slices.Contains(notify, word)
}

// deliver sends one report until the server takes it or refuses it for good, or the relay closes.
func (p *reporter) deliver(to string, text []byte) {
	select {
	case <-p.known:
	case <-p.relay.closing:
		return
	}
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := p.try(to, text)
		if err == nil {
			p.mu.Lock()
			p.sent++
			p.mu.Unlock()
			return
		}
		var refused *gosmtp.SMTPError
		if errors.As(err, &refused) && !refused.Temporary() || p.relay.wait(pause) {
			return
		}
	}
}

func (p *reporter) try(to string, text []byte) (err error) {
	p.sending.Lock()
	defer p.sending.Unlock()
	if p.client == nil {
		if p.client, err = p.dial(); err != nil {
			return err
		}
	}
	if err = p.client.SendMail("", []string{to}, bytes.NewReader(text)); err != nil {
		p.hangUp()
	}
	return err
}

func (p *reporter) dial() (*gosmtp.Client, error) {
	p.mu.Lock()
	network, addr := p.network, p.addr
	p.mu.Unlock()
	conn, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		return gosmtp.NewClientLMTP(conn), nil
	}
	return gosmtp.NewClient(conn), nil
}

// hangUp closes the connection. The caller holds sending, or is the last.
func (p *reporter) hangUp() {
	if p.client != nil {
		p.client.Close()
		p.client = nil
	}
}
