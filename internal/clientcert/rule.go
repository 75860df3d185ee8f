package clientcert

import (
	"crypto/x509"
	"slices"
	"strings"
)

// Rule says which certificates stand for an organisation: those that have all of what it gives. A rule that gives
// nothing is for every certificate of the organisation's own authority.
type Rule struct {
	Organisation string
	Name         string // in logs and the audit
	Subject      Subject
	CommonName   string // of the subject
	DNS          string // one of its alternative names
	URI          string // likewise
	Email        string // likewise
	Scopes       []string
}

// Any reports whether the rule gives nothing.
func (r *Rule) Any() bool {
	return r.Subject == "" && r.CommonName == "" && r.DNS == "" && r.URI == "" && r.Email == ""
}

// Same reports whether the other rule is for the same certificates.
func (r *Rule) Same(o *Rule) bool {
	return r.Subject == o.Subject && r.CommonName == o.CommonName && strings.EqualFold(r.DNS, o.DNS) && r.URI == o.URI && foldDomain(r.Email) == foldDomain(o.Email)
}

// names are what a certificate says of its owner.
type names struct {
	subject    Subject
	commonName string
	dns        []string
	uris       []string
	emails     []string
}

func namesOf(cert *x509.Certificate) (names, error) {
	subject, err := subjectOf(cert.RawSubject)
	n := names{subject: subject, commonName: cert.Subject.CommonName}
	for _, name := range cert.DNSNames {
		n.dns = append(n.dns, strings.ToLower(name))
	}
	for _, uri := range cert.URIs {
		n.uris = append(n.uris, uri.String())
	}
	for _, address := range cert.EmailAddresses {
		n.emails = append(n.emails, foldDomain(address))
	}
	return n, err
}

// foldDomain returns an address with its domain in lower case.
func foldDomain(address string) string {
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		return address[:at] + strings.ToLower(address[at:])
	}
	return address
}

func (r *Rule) matches(n *names) bool {
	return (r.Subject == "" || r.Subject == n.subject) &&
		(r.CommonName == "" || r.CommonName == n.commonName) &&
		(r.DNS == "" || slices.Contains(n.dns, strings.ToLower(r.DNS))) &&
		(r.URI == "" || slices.Contains(n.uris, r.URI)) &&
		(r.Email == "" || slices.Contains(n.emails, foldDomain(r.Email)))
}
