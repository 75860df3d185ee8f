package config

import (
	"crypto/x509"
	"slices"
	"strings"
	"time"

	"straks/internal/clientcert"
	"straks/internal/faults"
)

// Certificate says which client certificates stand for the organisation: those that have all of what is given. With
// none of it, every certificate of the organisation's own client_ca_files.
type Certificate struct {
	Name       string   // in logs and the audit. Required
	Subject    string   // the whole distinguished name: "CN=backend,O=Digdir,C=NO"
	CommonName string   // CN of the subject
	DNS        string   // one of the DNS names in the certificate
	URI        string   // one of its URIs
	Email      string   // one of its e-mail addresses
	Scopes     []string // as those of a token: ["create"]

	rule clientcert.Rule
}

func (t *Certificate) setDefaults() { t.Scopes = []string{"create"} }

func (t *Certificate) check(c *checker, organisation string) {
	c.Name("name", t.Name)
	c.scopes("certificate", t.Scopes)
	t.rule = clientcert.Rule{Organisation: organisation, Name: t.Name, CommonName: t.CommonName, DNS: t.DNS, URI: t.URI, Email: t.Email, Scopes: apiScopes(t.Scopes)}
	if t.Subject != "" {
		var err error
		t.rule.Subject, err = clientcert.ParseSubject(t.Subject)
		c.Unless(err == nil, "subject", "is %q, which %v", t.Subject, err)
	}
	c.Unless(!strings.ContainsAny(t.DNS, " *:/"), "dns", "is %q, not a name like backend.example.org; there are no wildcards", t.DNS)
	c.Unless(t.URI == "" || strings.ContainsRune(t.URI, ':'), "uri", "is %q, not a URI like spiffe://example.org/backend", t.URI)
	if t.Email != "" {
		c.mailAddress("email", t.Email)
	}
}

// checkAuthority checks the files of one authority, and returns its certificates. The caller has the table that names
// them.
func (c *checker) checkAuthority(caFiles, crlFiles []string) (certs []*x509.Certificate) {
	for i, path := range caFiles {
		key := faults.Index("client_ca_files", i)
		c.reads(key, path)
		read, err := clientcert.ReadCA(path)
		c.Unless(err == nil, key, "can't be used: %v", err)
		for _, cert := range read {
			c.authorityValidity(key, cert)
		}
		certs = append(certs, read...)
	}
	c.Unless(len(crlFiles) == 0 || len(caFiles) > 0, "client_crl_files", "has no effect without client_ca_files: give the certificates of the authority too")
	for i, path := range crlFiles {
		key := faults.Index("client_crl_files", i)
		c.reads(key, path)
		lists, err := clientcert.ReadLists(path, certs)
		c.Unless(err == nil, key, "can't be used: %v", err)
		for _, l := range lists {
			if l.Until.Before(c.file.now) {
				c.warn(key, "names a list that is out of date since %s: fetch a new one. %s after that time, certificates of its authority are refused (api.client_crl_grace)",
					l.Until.UTC().Format(time.RFC3339), faults.FormatDuration(c.file.grace))
			}
		}
	}
	return certs
}

// authorityValidity warns of an authority that vouches for nobody now, or not for long.
func (c *checker) authorityValidity(name string, cert *x509.Certificate) {
	until := cert.NotAfter.UTC().Format(time.RFC3339)
	switch {
	case cert.NotAfter.Before(c.file.now):
		c.warn(name, "names an authority whose certificate expired on %s: certificates of its clients are refused", until)
	case cert.NotBefore.After(c.file.now):
		c.warn(name, "names an authority whose certificate is not valid before %s", cert.NotBefore.UTC().Format(time.RFC3339))
	case cert.NotAfter.Before(c.file.now.Add(Renewal)):
		c.warn(name, "names an authority whose certificate expires on %s: add its next one", until)
	}
}

// checkClientCertificates checks the authorities and what organisations have of them.
func (cfg *Config) checkClientCertificates(c *checker) {
	at := c.in("api")
	at.Duration("client_crl_grace", cfg.API.ClientCRLGrace, 0, 30*day)
	c.file.grace = cfg.API.ClientCRLGrace
	owners := make(map[string]string)
	shared := at.checkAuthority(cfg.API.ClientCAFiles, cfg.API.ClientCRLFiles)
	at.oneOwner(shared, owners)
	cfg.needsTLS(at, cfg.API.ClientCAFiles)
	used := false
	for i := range cfg.Organisations {
		o, at := &cfg.Organisations[i], c.at("organisation", i)
		at.oneOwner(at.checkAuthority(o.ClientCAFiles, o.ClientCRLFiles), owners)
		cfg.needsTLS(at, o.ClientCAFiles)
		used = used || len(o.ClientCAFiles) == 0 && len(o.Certificates) > 0
		if len(o.ClientCAFiles) > 0 && len(o.Certificates) == 0 {
			at.warn("client_ca_files", "vouches for nobody: there is no [[organisation.certificate]]")
		}
	}
	if len(cfg.API.ClientCAFiles) > 0 && !used {
		at.warn("client_ca_files", "vouches for nobody: no organisation without client_ca_files of its own has an [[organisation.certificate]]")
	}
	cfg.checkRules(c)
}

func (cfg *Config) needsTLS(c *checker, caFiles []string) {
	c.Unless(len(caFiles) == 0 || cfg.API.TLSCertFile != "" || c.file.sealed, "client_ca_files",
		"has no effect without api.tls_cert_file: clients show certificates to the one that speaks TLS with them")
}

// oneOwner finds authorities that are somebody else's already.
func (c *checker) oneOwner(certs []*x509.Certificate, owners map[string]string) {
	own := c.Key("client_ca_files")
	for _, cert := range certs {
		first := owners[string(cert.RawSubjectPublicKeyInfo)]
		if first == "" {
			owners[string(cert.RawSubjectPublicKeyInfo)] = own
		} else if first != own {
			c.Add("client_ca_files", "has an authority (%.100q) that %s has too: one vouches for one organisation, or is shared", cert.Subject.String(), first)
		}
	}
}

// checkRules checks which certificates stand for whom.
func (cfg *Config) checkRules(c *checker) {
	seen := make(map[string][]*Certificate) // by the organisation of the authority
	keys := make(map[*Certificate]string)
	for i := range cfg.Organisations {
		o, names := &cfg.Organisations[i], make(map[string]string)
		for j := range o.Certificates {
			t, at := &o.Certificates[j], c.at("organisation", i).at("certificate", j)
			t.check(at, o.Name)
			at.Unique("name", t.Name, names)
			authority := o.Name
			if len(o.ClientCAFiles) == 0 {
				authority = ""
				if len(cfg.API.ClientCAFiles) == 0 {
					at.warn("name", "is of a certificate that no authority vouches for: give api.client_ca_files, or client_ca_files of the organisation")
				}
				at.Unless(!t.rule.Any(), "subject", "is missing, and so are common_name, dns, uri and email: give one of them, or else the organisation needs client_ca_files of its own")
			}
			if k := slices.IndexFunc(seen[authority], func(s *Certificate) bool { return s.rule.Same(&t.rule) }); k >= 0 && !t.rule.Any() {
				at.Add("subject", "and the other names are those of %s: for whom would the certificate stand?", keys[seen[authority][k]])
			}
			seen[authority], keys[t] = append(seen[authority], t), at.Key("name")
		}
	}
}

// ClientCertificates returns who vouches for which client certificates.
func (cfg *Config) ClientCertificates() clientcert.Config {
	v := clientcert.Config{Grace: cfg.API.ClientCRLGrace}
	if len(cfg.API.ClientCAFiles) > 0 {
		v.Authorities = append(v.Authorities, clientcert.Authority{Key: "api", CAFiles: cfg.API.ClientCAFiles, CRLFiles: cfg.API.ClientCRLFiles})
	}
	for _, o := range cfg.Organisations {
		if len(o.ClientCAFiles) > 0 {
			v.Authorities = append(v.Authorities, clientcert.Authority{Key: "organisation " + o.Name, Organisation: o.Name, CAFiles: o.ClientCAFiles, CRLFiles: o.ClientCRLFiles})
		}
		for _, t := range o.Certificates {
			v.Rules = append(v.Rules, t.rule)
		}
	}
	return v
}
