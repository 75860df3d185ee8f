package doctor

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"straks/internal/config"
	"straks/smpp"
	"straks/smtp"
)

// Plan is what is looked at.
type Plan struct {
	// Config is the configuration, with its secrets: relays and SMSCs are logged in to. Secrets is why it has none;
	// then there are no logins.
	Config  *config.Config
	Secrets error
	// Keys are those of DKIM whose private half could be read, and UnreadKeys says why others could not.
	Keys       []config.PublishedKey
	UnreadKeys error
	// Running is what a daemon with this configuration says of its carriers; nil where none answers. Its binds
	// are left alone, and count.
	Running *Running
	// Loop: the servers that take mail for the bounce domain are asked whether straks is behind them.
	Loop bool
	// MXPort is the port of these servers. Default: 25.
	MXPort string
	// Database looks at the database that the journal is in; nil: the journal is a file.
	Database func(ctx context.Context) []Finding
	// Occupied is why no bind must be made, where no daemon answers: empty if one may be made.
	Occupied string
}

// Running is the state of a daemon that runs.
type Running struct {
	SMSC  []smpp.BindState
	Relay []smtp.RelayState
}

// check is one thing to look at.
type check struct {
	subject, name string
	run           func(ctx context.Context) []Finding
}

// sender is a domain that mails come from.
type sender struct {
	domain  string
	address string   // a From of that domain
	of      []string // where the configuration names it
}

// checks returns all checks, in the order of their findings.
func (p *Plan) checks(r *Resolver) []check {
	var all []check
	if p.Secrets != nil {
		all = append(all, check{"configuration", "secrets", func(context.Context) []Finding {
			return []Finding{found(Unknown, "Not all secrets can be read, so there are no logins: run this as root or as the user of the service. %v", p.Secrets)}
		}})
	}
	if p.Database != nil {
		all = append(all, check{"database", "PostgreSQL", p.Database})
	}
	if len(p.Config.Relays) > 0 {
		all = append(all, p.mailChecks(r)...)
	}
	for i, s := range p.Config.Gateway().SMSCs {
		sealed := p.Secrets != nil && p.Config.SMSCs[i].PasswordFile != ""
		all = append(all, check{"smsc " + s.Name, "bind", func(ctx context.Context) []Finding { return p.bindCheck(ctx, s, sealed) }})
	}
	return append(all, check{"this machine", "clock", func(context.Context) []Finding { return p.clockCheck() }})
}

func (p *Plan) mailChecks(r *Resolver) []check {
	var all []check
	senders := p.senders()
	networks, unsaid := p.egress()
	domain := p.returnDomain()
	if domain == "" {
		all = append(all, check{"return path", "SPF", func(context.Context) []Finding { return nullSender() }})
	} else {
		all = append(all, check{domain, "SPF", func(ctx context.Context) []Finding { return spfCheck(ctx, r, domain, networks, unsaid) }})
	}
	if p.Config.Mail.BounceDomain != "" {
		all = append(all, check{domain, "MX", func(ctx context.Context) []Finding { return p.mxCheck(ctx, r, domain) }})
	}
	if p.UnreadKeys != nil {
		all = append(all, check{"keys of DKIM", "DKIM", func(context.Context) []Finding {
			return []Finding{found(Unknown, "Not all keys can be read, so their records were not looked at: %v", p.UnreadKeys)}
		}})
	}
	for _, k := range p.Keys {
		all = append(all, check{k.Domain, "DKIM " + k.Selector, func(ctx context.Context) []Finding { return dkimCheck(ctx, r, k) }})
	}
	for _, s := range senders {
		all = append(all, check{s.domain, "DMARC", func(ctx context.Context) []Finding {
			if strings.HasSuffix(s.domain, ".localdomain") {
				return []Finding{noSender(s)}
			}
			return dmarcCheck(ctx, r, s.domain, domain, p.signer(s.domain))
		}})
	}
	for _, relay := range p.Config.Relays {
		all = append(all, check{"relay " + relay.Name, "SMTP", func(ctx context.Context) []Finding {
			return p.relayCheck(ctx, relay)
		}})
	}
	// Stable: the checks of a domain stand together, in the order above.
	first := make(map[string]int)
	for i, c := range all {
		if _, ok := first[c.subject]; !ok {
			first[c.subject] = i
		}
	}
	slices.SortStableFunc(all, func(a, b check) int { return cmp.Compare(first[a.subject], first[b.subject]) })
	return all
}

// senders returns the domains of all senders.
func (p *Plan) senders() []sender {
	var all []sender
	add := func(address, of string) {
		_, domain, _ := strings.Cut(address, "@")
		domain, err := smtp.ParseDomain(domain)
		if err != nil {
			return
		}
		for i := range all {
			if all[i].domain == domain {
				all[i].of = append(all[i].of, of)
				return
			}
		}
		all = append(all, sender{domain, address, []string{of}})
	}
	lacking := false
	for _, o := range p.Config.Organisations {
		if o.EmailSender != "" {
			add(o.EmailSender, "email_sender of organisation "+o.Name)
		} else {
			lacking = true
		}
		for _, d := range o.EmailSenderDomains {
			if domain, err := smtp.ParseListedDomain(d); err == nil {
				add("no-reply@"+domain, "email_sender_domains of organisation "+o.Name)
			}
		}
	}
	if lacking {
		add(p.Config.Email.DefaultSender, "email.default_sender")
	}
	for _, d := range p.Config.DKIM {
		add("postmaster@"+d.Domain, "[[dkim]]")
	}
	return all
}

// noSender is the finding of a default sender that nobody chose.
func noSender(s sender) Finding {
	f := found(Fix, "Mails would come from %s, a domain that nobody owns (%s).", s.address, strings.Join(s.of, ", "))
	f.Configure = []string{"[email]", `default_sender = "no-reply@example.org"   # an address of your domain`}
	return f
}

// returnPath returns a return path as mails have it; empty for the null sender.
func (p *Plan) returnPath() string {
	if p.Config.Mail.BounceDomain != "" {
		return "postmaster@" + p.Config.Mail.BounceDomain
	}
	return p.Config.Mail.ReturnPath
}

// returnDomain returns the domain that SPF is about; empty where mails have the null sender.
func (p *Plan) returnDomain() string {
	_, domain, _ := strings.Cut(p.returnPath(), "@")
	domain, err := smtp.ParseDomain(domain)
	if err != nil {
		return ""
	}
	return domain
}

// nullSender is the finding of mails without a return path.
func nullSender() []Finding {
	f := found(Note, "Mails have the null sender: no report comes back, and SPF speaks for the relay's own name only, which was not looked at.")
	f.Configure = []string{"[mail]", `bounce_domain = "bounce.example.org"   # a domain below yours`, `return_path_key_file = "return-path.key"`}
	f.Run = []string{"straks mail key bounce.example.org"}
	return []Finding{f}
}

// signer returns the domain whose keys sign mails from a domain: its own, or the nearest above it that has some.
func (p *Plan) signer(domain string) string {
	for above := true; above; _, domain, above = strings.Cut(domain, ".") {
		for _, d := range p.Config.DKIM {
			if d.Domain == domain {
				return domain
			}
		}
	}
	return ""
}

// egress returns the networks of all relays, and the relays that name none.
func (p *Plan) egress() (networks []egress, unsaid []string) {
	for _, r := range p.Config.Relays {
		for _, n := range r.EgressNetworks() {
			networks = append(networks, egress{r.Name, n})
		}
		if len(r.Egress) == 0 {
			unsaid = append(unsaid, r.Name)
		}
	}
	return networks, unsaid
}
