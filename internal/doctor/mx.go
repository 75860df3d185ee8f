package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/miekg/dns"

	"straks/smtp"
)

// maxHosts bounds the servers of the bounce domain that are asked.
const maxHosts = 5

// mxCheck says whether reports to the bounce domain reach straks: which servers take them, and whether straks is
// behind these.
func (p *Plan) mxCheck(ctx context.Context, r *Resolver, domain string) []Finding {
	hosts, all := mxHosts(ctx, r, domain)
	for _, host := range hosts {
		a := r.lookup(ctx, host, dns.TypeA)
		addresses, err := r.addresses(ctx, host)
		switch {
		case err != nil && !missing(err):
			all = append(all, r.unreachable("the address of "+host, err))
			continue
		case len(addresses) == 0:
			f := found(Fix, "The server %s has no address, so no report reaches it.", host)
			f.Publish = []string{host + ". 3600 IN A 192.0.2.10 ; in place of 192.0.2.10, the server's address"}
			all = append(all, f)
			continue
		case a.alias != "" && host != domain:
			f := found(Fix, "The server %s is an alias (CNAME) of %s, which an MX must not name (RFC 2181 §10.3): some servers send nothing to it.", host, a.alias)
			f.Remove, f.Publish = []string{mxLine(domain, host)}, []string{mxLine(domain, a.alias)}
			all = append(all, f)
		}
		if p.Loop {
			all = append(all, p.askServer(ctx, domain, host, addresses))
		}
	}
	if len(all) == 0 {
		all = append(all, found(OK, "Reports go to %s. Whether straks is behind it was not asked.", strings.Join(hosts, ", ")))
	}
	return all
}

func mxLine(domain, host string) string { return fmt.Sprintf("%s. 3600 IN MX 10 %s.", domain, host) }

// mxHosts returns the servers of a domain, the preferred ones first (RFC 5321 §5.1).
func mxHosts(ctx context.Context, r *Resolver, domain string) (hosts []string, all []Finding) {
	a := r.lookup(ctx, domain, dns.TypeMX)
	if a.err != nil && !missing(a.err) {
		return nil, []Finding{r.unreachable("the MX of the bounce domain", a.err)}
	}
	slices.SortStableFunc(a.records, func(x, y dns.RR) int {
		return cmp.Compare(x.(*dns.MX).Preference, y.(*dns.MX).Preference)
	})
	for _, rr := range a.records {
		if host := strings.TrimSuffix(dns.CanonicalName(rr.(*dns.MX).Mx), "."); host != "" {
			hosts = append(hosts, host)
		}
	}
	publish := mxLine(domain, "reports."+domain) + " ; in place of reports." + domain + ", the host that straks or its mail server runs on"
	switch {
	case len(hosts) > 0:
		return hosts[:min(len(hosts), maxHosts)], nil
	case len(a.records) > 0:
		f := found(Fix, "The domain says that it takes no mail (RFC 7505), so no report comes back.")
		f.Remove, f.Publish = []string{domain + ". 3600 IN MX 0 ."}, []string{publish}
		return nil, []Finding{f}
	}
	if addresses, err := r.addresses(ctx, domain); err == nil && len(addresses) > 0 {
		f := found(Note, "The domain has no MX. Its own address stands in for it, except at servers that want one.")
		f.Publish = []string{mxLine(domain, domain)}
		return []string{domain}, []Finding{f}
	}
	f := found(Fix, "The domain has no MX, so no report comes back.")
	f.Publish = []string{publish}
	return nil, []Finding{f}
}

// askServer asks a server whether it takes a report to an address that we made, and to one that only looks like
// it. Nobody but a straks with our key can tell them apart. No report is sent.
func (p *Plan) askServer(ctx context.Context, domain, host string, addresses []net.IPAddr) Finding {
	keys := p.Config.Mail.Paths().Keys
	if keys == nil {
		return found(Unknown, "The key of return paths can't be read, so %s was not asked.", host)
	}
	ours := keys.Address(uuid.New(), domain)
	addr := net.JoinHostPort(addresses[0].String(), cmp.Or(p.MXPort, "25"))
	answers, err := smtp.ProbeRecipients(ctx, addr, []string{ours, forgedOf(ours)})
	switch {
	case len(answers) < 2:
		return found(Unknown, "%s (%s) could not be asked from here: %v. Many networks let no connection to port 25 out; ask from another one.", host, addr, err)
	case smtp.Temporary(answers[0]), smtp.Temporary(answers[1]):
		return found(Unknown, "%s (%s) can't say now which addresses it takes (%v). Try again later.", host, addr, cmp.Or(answers[0], answers[1]))
	case answers[0] != nil && answers[1] != nil:
		return found(Fix, "%s (%s) refuses reports to us (%v). Does it pass mail for %s on to straks, and does straks have the key that is configured here?", host, addr, answers[0], domain)
	case answers[0] == nil && answers[1] == nil:
		return found(Fix, "%s (%s) takes any address of %s: straks is not behind it, or it does not ask straks first. In Postfix: reject_unverified_recipient, as in configs/postfix.", host, addr, domain)
	case answers[0] != nil:
		return found(Fix, "%s (%s) refuses an address of ours (%v), and takes one that is not.", host, addr, answers[0])
	}
	return found(OK, "Reports reach straks: %s takes an address of ours, and refuses one that only looks like it.", host)
}

// forgedOf returns an address that differs from one of ours in a character of its token.
func forgedOf(ours string) string {
	local, domain, _ := strings.Cut(ours, "@")
	other := "a"
	if local[10] == 'a' {
		other = "b"
	}
	return local[:10] + other + local[11:] + "@" + domain
}
