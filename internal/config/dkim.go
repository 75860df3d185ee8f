package config

import (
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"strings"

	"straks/internal/faults"
	"straks/smtp"
)

// DKIM is how the mails of one domain are signed (RFC 6376).
type DKIM struct {
	// Domain of the From addresses. Domains below it that have no stanza of their own are signed by its keys too.
	// Required.
	Domain string
	// DKIMKeys sign each mail.
	DKIMKeys
	// Next are the keys that will sign after them. They sign nothing yet: "straks dkim show" prints their DNS
	// records, so that these are published before they are needed. Default none.
	Next DKIMKeys
}

// DKIMKeys are keys that are used together. At least one of the two files is required.
type DKIMKeys struct {
	// Selector is the beginning of the name of the RSA key's DNS record: SELECTOR._domainkey.DOMAIN. Required.
	Selector string
	// Ed25519Selector is that of the Ed25519 key: two keys can't share one. Default: selector, and "-ed25519".
	Ed25519Selector string
	// RSAKeyFile and Ed25519KeyFile hold a key in PEM (PKCS #8), each a path, or the name of a credential. RSA:
	// 1024 bits at least, 2048 or more recommended. Not every receiver verifies Ed25519.
	RSAKeyFile     string
	Ed25519KeyFile string

	keys []smtp.DKIMKey
}

// maxKey is more than a key in PEM has, in octets.
const maxKey = 16 << 10

// keyReserved keeps a key out of the file.
var keyReserved = map[string]string{
	"rsa_key":     "does not belong here: put it in a file of its own and name that file as rsa_key_file",
	"ed25519_key": "does not belong here: put it in a file of its own and name that file as ed25519_key_file",
}

func (d *DKIM) reserved() map[string]string     { return keyReserved }
func (k *DKIMKeys) reserved() map[string]string { return keyReserved }

// dkimDomain returns a domain as smtp.DKIMKey has it.
func dkimDomain(value any) (string, error) {
	s, _ := value.(string)
	return smtp.ParseDomain(s)
}

// checkDKIM checks all stanzas, and warns of default senders that nothing signs.
func (cfg *Config) checkDKIM(c *checker) {
	domains := make(map[string]string)
	for i := range cfg.DKIM {
		at, d := c.at("dkim", i), &cfg.DKIM[i]
		if at.Required("domain", d.Domain) {
			domain, err := dkimDomain(d.Domain)
			at.Unless(err == nil, "domain", "must be a domain name, like example.org")
			at.Unique("domain", domain, domains)
			d.Domain = domain
		}
		selectors := make(map[string]string)
		d.DKIMKeys.check(at, d.Domain, selectors)
		if !d.Next.none() {
			d.Next.check(at.in("next"), d.Domain, selectors)
		}
	}
	if len(cfg.DKIM) > 0 && len(cfg.Relays) > 0 {
		cfg.warnOfUnsigned(c, domains)
	}
}

func (k *DKIMKeys) none() bool {
	return k.Selector+k.Ed25519Selector+k.RSAKeyFile+k.Ed25519KeyFile == ""
}

// check checks keys that are used together, and reads them.
func (k *DKIMKeys) check(c *checker, domain string, selectors map[string]string) {
	if c.Required("selector", k.Selector) && k.Ed25519Selector == "" && k.Ed25519KeyFile != "" {
		k.Ed25519Selector = k.Selector + "-ed25519"
	}
	for _, s := range []struct{ key, value string }{{"selector", k.Selector}, {"ed25519_selector", k.Ed25519Selector}} {
		c.Unless(s.value == "" || smtp.ValidSelector(s.value, domain), s.key,
			"must be letters, digits, hyphens and dots, such that SELECTOR._domainkey.DOMAIN is a name in the DNS")
		c.Unique(s.key, strings.ToLower(s.value), selectors)
	}
	if k.RSAKeyFile == "" && k.Ed25519KeyFile == "" {
		c.Add("rsa_key_file", "is missing, and so is ed25519_key_file: give one of them, or both; \"straks dkim new DOMAIN\" makes them")
	}
	if k.RSAKeyFile == "" && k.Ed25519KeyFile != "" {
		c.warn("rsa_key_file", "is missing: receivers that can't verify Ed25519 take the mails for unsigned")
	}
	if !c.file.sealed {
		k.read(c, domain)
	}
}

// files returns the keys, with what the configuration says of them. Their files are not read.
func (k *DKIMKeys) files(domain string) []keyFile {
	var files []keyFile
	if k.RSAKeyFile != "" {
		files = append(files, keyFile{"rsa_key_file", k.RSAKeyFile, smtp.DKIMKey{Domain: domain, Selector: k.Selector}})
	}
	if k.Ed25519KeyFile != "" {
		files = append(files, keyFile{"ed25519_key_file", k.Ed25519KeyFile, smtp.DKIMKey{Domain: domain, Selector: k.Ed25519Selector}})
	}
	return files
}

// Records returns the names of the DNS records of the keys that sign.
func (d *DKIM) Records() []string {
	var names []string
	for _, f := range d.files(d.Domain) {
		names = append(names, f.key.Name())
	}
	return names
}

// keyFile is a key of DKIM and the file that holds it.
type keyFile struct {
	name string // of the key in the configuration
	path string
	key  smtp.DKIMKey
}

// read reads the key. Its error continues the sentence that begins with the name, and quotes nothing of the file.
func (f *keyFile) read() (os.FileInfo, error) {
	path, err := credential(f.path)
	if err != nil {
		return nil, err
	}
	text, info, err := readSmall(path, maxKey)
	if err != nil {
		return info, err
	}
	if f.key.Private, err = smtp.ParseDKIMKey(text); err != nil {
		return info, fmt.Errorf("names a file that %w", err)
	}
	switch f.key.Private.(type) {
	case *rsa.PrivateKey:
		if f.name != "rsa_key_file" {
			return info, errors.New("names a file with an RSA key: that is for rsa_key_file")
		}
	case ed25519.PrivateKey:
		if f.name != "ed25519_key_file" {
			return info, errors.New("names a file with an Ed25519 key: that is for ed25519_key_file")
		}
	}
	if bits := f.key.RSABits(); bits > 0 && bits < 1024 {
		return info, fmt.Errorf("names a file with a key of %d bits, and receivers take a signature by less than 1024 for none (RFC 8301): make one of 2048", bits)
	}
	return info, nil
}

// read reads the keys, for signing.
func (k *DKIMKeys) read(c *checker, domain string) {
	for _, f := range k.files(domain) {
		f.path = c.locate(f.name, f.path)
		c.reads(f.name, f.path)
		info, err := f.read()
		if info != nil {
			c.warnReadable(f.name, f.path, info)
		}
		if err != nil {
			c.Add(f.name, "%v", err)
			continue
		}
		switch bits := f.key.RSABits(); {
		case bits > 0 && bits < 2048:
			c.warn(f.name, "names a file with a key of %d bits: many receivers want 2048", bits)
		case bits > 4096:
			c.warn(f.name, "names a file with a key of %d bits: receivers need not verify more than 4096 (RFC 8301)", bits)
		}
		k.keys = append(k.keys, f.key)
	}
}

// warnOfUnsigned warns of default senders for whose domain there is no key.
func (cfg *Config) warnOfUnsigned(c *checker, domains map[string]string) {
	signed := func(address string) bool {
		_, domain, _ := strings.Cut(address, "@")
		domain, err := smtp.ParseDomain(domain)
		for above := err == nil; above; _, domain, above = strings.Cut(domain, ".") {
			if domains[domain] != "" {
				return true
			}
		}
		return err != nil // a fault of its own
	}
	const message = "has a domain for which there is no [[dkim]]: its mails are not signed"
	ownSender := true
	for i, o := range cfg.Organisations {
		ownSender = ownSender && o.EmailSender != ""
		if o.EmailSender != "" && !signed(o.EmailSender) {
			c.at("organisation", i).warn("email_sender", message)
		}
	}
	if !ownSender && !signed(cfg.Email.DefaultSender) {
		c.in("email").warn("default_sender", message)
	}
}

// SigningKeys returns the keys that sign mails.
func (cfg *Config) SigningKeys() []smtp.DKIMKey {
	var keys []smtp.DKIMKey
	for _, d := range cfg.DKIM {
		keys = append(keys, d.keys...)
	}
	return keys
}

// PublishedKey is a key whose public half must be in the DNS.
type PublishedKey struct {
	smtp.DKIMKey
	Next bool // it signs nothing yet
}

// PublishedKeys reads all keys of DKIM, for a command that was loaded without secrets. It returns those that can be
// read. The error is an *Invalid with every key that can't.
func (cfg *Config) PublishedKeys(path string) ([]PublishedKey, error) {
	var keys []PublishedKey
	found := faults.New()
	for i, d := range cfg.DKIM {
		for _, table := range []struct {
			list *faults.List
			keys DKIMKeys
			next bool
		}{{found.At("dkim", i), d.DKIMKeys, false}, {found.At("dkim", i).In("next"), d.Next, true}} {
			for _, f := range table.keys.files(d.Domain) {
				_, err := f.read()
				if err != nil {
					table.list.Add(f.name, "%v", err)
					continue
				}
				keys = append(keys, PublishedKey{f.key, table.next})
			}
		}
	}
	if all := found.All(); len(all) > 0 {
		return keys, &Invalid{path, all}
	}
	return keys, nil
}
