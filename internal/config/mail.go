package config

import (
	"straks/orders/mail"
	"straks/smtp"
	"straks/smtp/returnpath"
)

// Mail is the way back of e-mail: the address that reports about a mail come back to.
type Mail struct {
	// BounceDomain makes the return path of each mail an address of its own: b+TOKEN@bounce_domain, from which a
	// report is known to be about that mail. Default none.
	BounceDomain string
	// ReturnPathKeyFile holds the key that makes the tokens: a path, or the name of a credential. Required with
	// bounce_domain; "straks mail key DOMAIN" makes one.
	ReturnPathKeyFile string
	// FormerReturnPathKeyFile holds the key before that: reports about mails with its tokens are still taken.
	// Default none.
	FormerReturnPathKeyFile string
	// ReturnPath is the return path of all mails, where there is no bounce_domain. Default none: the null
	// sender, to which nobody reports anything.
	ReturnPath string

	keys *returnpath.Keys
}

// reserved keeps keys out of the file.
func (m *Mail) reserved() map[string]string {
	return map[string]string{
		"return_path_key":        "does not belong here: put it in a file of its own and name that file as return_path_key_file",
		"former_return_path_key": "does not belong here: put it in a file of its own and name that file as former_return_path_key_file",
	}
}

// checkMail checks the section. Without relays it has no effect.
func (cfg *Config) checkMail(c *checker) {
	m := &cfg.Mail
	if m.BounceDomain != "" {
		domain, err := smtp.ParseDomain(m.BounceDomain)
		c.Unless(err == nil, "bounce_domain", "must be a domain name, like bounce.example.org")
		m.BounceDomain = domain
	}
	m.checkKeys(c)
	if m.ReturnPath != "" {
		err := smtp.CheckReturnPath(m.ReturnPath)
		c.Unless(err == nil, "return_path", "%v", err)
		c.Unless(m.BounceDomain == "", "return_path", "and bounce_domain exclude each other: with bounce_domain each mail has a return path of its own")
	}
	cfg.warnOfReturnPath(c)
}

// checkKeys checks the keys, and reads them.
func (m *Mail) checkKeys(c *checker) {
	for _, key := range []struct{ name, file string }{
		{"return_path_key_file", m.ReturnPathKeyFile}, {"former_return_path_key_file", m.FormerReturnPathKeyFile},
	} {
		c.Unless(key.file == "" || m.BounceDomain != "", key.name, "has no use without bounce_domain: give both, or neither")
	}
	if m.BounceDomain == "" {
		return
	}
	if m.ReturnPathKeyFile == "" {
		c.Add("return_path_key_file", "is missing: bounce_domain needs a key; \"straks mail key %s\" makes one", m.BounceDomain)
		return
	}
	if c.file.sealed {
		return
	}
	active, ok := c.returnPathKey("return_path_key_file", m.ReturnPathKeyFile)
	var former *returnpath.Key
	if m.FormerReturnPathKeyFile != "" {
		key, read := c.returnPathKey("former_return_path_key_file", m.FormerReturnPathKeyFile)
		former, ok = &key, ok && read
	}
	if !ok {
		return
	}
	keys, err := returnpath.NewKeys(active, former)
	for _, err := range unjoin(err) {
		c.Add("former_return_path_key_file", "can't be used: %v", err)
	}
	m.keys = keys
}

// returnPathKey reads a key, and reports whether it can be used.
func (c *checker) returnPathKey(name, path string) (returnpath.Key, bool) {
	located, err := credential(path)
	if err != nil {
		c.Add(name, "%v", err)
		return returnpath.Key{}, false
	}
	c.reads(name, located)
	text, info, err := readSecret(located)
	if info != nil {
		c.warnReadable(name, located, info)
	}
	if err != nil {
		c.Add(name, "%v", err)
		return returnpath.Key{}, false
	}
	key, err := returnpath.ParseKey(text)
	c.Unless(err == nil, name, "names a file whose content %v", err)
	return key, err == nil
}

// warnOfReturnPath warns where nobody learns of failures.
func (cfg *Config) warnOfReturnPath(c *checker) {
	if m := cfg.Mail; len(cfg.Relays) > 0 && m.BounceDomain+m.ReturnPath == "" {
		c.warn("bounce_domain", "is missing, and so is return_path: mails have the null sender, to which no failure is reported, and which some relays refuse")
	}
}

// Paths returns the return paths of mails.
func (m *Mail) Paths() mail.ReturnPaths {
	return mail.ReturnPaths{Domain: m.BounceDomain, Keys: m.keys, Address: m.ReturnPath}
}
