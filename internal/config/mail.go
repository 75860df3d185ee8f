package config

import (
	"strings"

	"straks/internal/faults"
	"straks/orders/mail"
	"straks/smtp"
	"straks/smtp/inbound"
	"straks/smtp/returnpath"
)

// Mail is the way back of e-mail: the address that reports about a mail come back to, and the listeners that
// take them.
type Mail struct {
	// BounceDomain makes the return path of each mail an address of its own: b+TOKEN@bounce_domain, from which a
	// report is known to be about that mail. Its MX must lead to listen, or to an MTA that hands over to
	// lmtp. Default none.
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

	Listen      string // host:port of the SMTP server for reports; the MX of bounce_domain leads here. None: no server
	Hostname    string // its name in the greeting: bounce_domain
	TLSCertFile string // PEM chain; with tls_key_file, the server offers STARTTLS. Both are read again when they change
	TLSKeyFile  string // PEM key: a path, or a name in $CREDENTIALS_DIRECTORY

	LMTP      string   // absolute path of a unix socket on which an MTA of this machine hands over reports. None: no socket
	LMTPMode  FileMode // of the socket: 0660
	LMTPGroup string   // of the socket, name or number; the daemon must be a member: its own

	// Postmaster gets the mails to postmaster@ and abuse@ of bounce_domain, over the relays, at most one in 6 s
	// in the long run. Default none: these mails are refused.
	Postmaster string

	MaxConnections           int     // of the server, at a time; beyond it, an idle one is closed for each new one: 256
	MaxConnectionsPerAddress int     // of those, from one IPv4 address or one /64 of IPv6: 32
	MaxRatePerAddress        float64 // mails a second from one address; further ones are told to come again: 5000
	MaxMail                  Size    // of one mail: 1MiB
	MaxMemory                Size    // of all mails that are being received: 64MiB

	keys *returnpath.Keys
}

func (m *Mail) setDefaults() {
	limits := inbound.Limits{}.WithDefaults()
	*m = Mail{
		LMTPMode:                 0o660,
		MaxConnections:           limits.Connections,
		MaxConnectionsPerAddress: limits.PerAddress,
		MaxRatePerAddress:        limits.RatePerAddress,
		MaxMail:                  Size(limits.MailOctets),
		MaxMemory:                Size(limits.TotalOctets),
	}
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
	m.checkListeners(c)
	m.checkPostmaster(c)
	faults.Range(c.List, "max_connections", m.MaxConnections, 1, 100_000)
	faults.Range(c.List, "max_connections_per_address", m.MaxConnectionsPerAddress, 1, 100_000)
	faults.Range(c.List, "max_rate_per_address", m.MaxRatePerAddress, 0.01, 1_000_000)
	faults.Range(c.List, "max_mail", m.MaxMail, 64<<10, 16<<20)
	c.Unless(m.MaxMemory >= 2*m.MaxMail && m.MaxMemory <= 16<<30, "max_memory", "is %v, must be between twice max_mail, %v, and 16GiB", m.MaxMemory, 2*m.MaxMail)
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

// checkListeners checks where reports arrive.
func (m *Mail) checkListeners(c *checker) {
	if m.Listen != "" {
		c.listen("listen", m.Listen)
		c.Unless(m.BounceDomain != "", "listen", "has no use without bounce_domain: the server takes mails for addresses of it")
		if m.TLSCertFile == "" {
			c.warn("tls_cert_file", "is missing: reports, which have addresses, arrive unencrypted")
		}
	}
	if m.Hostname != "" {
		_, err := smtp.ParseDomain(m.Hostname)
		c.Unless(err == nil, "hostname", "must be the name of a host, like mail.example.org")
	} else {
		m.Hostname = m.BounceDomain
	}
	c.keyPair("tls_cert_file", &m.TLSCertFile, "tls_key_file", &m.TLSKeyFile)
	if m.LMTP != "" {
		c.socket("lmtp", m.LMTP, "lmtp_mode", m.LMTPMode)
		c.Unless(m.BounceDomain+m.ReturnPath != "", "lmtp", "has no use without bounce_domain or return_path: the socket takes mails for these")
	}
	if m.BounceDomain != "" && m.Listen == "" && m.LMTP == "" {
		c.warn("listen", "is missing, and so is lmtp: no report arrives, and every mail ends as its relay's settings say")
	}
}

// checkPostmaster checks that forwarded mails don't come back.
func (m *Mail) checkPostmaster(c *checker) {
	if m.Postmaster == "" {
		if m.Listen != "" {
			c.warn("postmaster", "is missing: mails to postmaster@%s and abuse@%s are refused, and RFC 5321 wants somebody to read them", m.BounceDomain, m.BounceDomain)
		}
		return
	}
	c.mailAddress("postmaster", m.Postmaster)
	_, domain, _ := strings.Cut(m.Postmaster, "@")
	c.Unless(m.BounceDomain == "" || !strings.EqualFold(domain, m.BounceDomain), "postmaster", "is an address of bounce_domain: its mails would come back")
}

// warnOfReturnPath warns where nobody learns of failures.
func (cfg *Config) warnOfReturnPath(c *checker) {
	if m := cfg.Mail; len(cfg.Relays) > 0 && m.BounceDomain+m.ReturnPath == "" {
		c.warn("bounce_domain", "is missing, and so is return_path: mails have the null sender, to which no failure is reported, and which some relays refuse")
	}
}

// Paths returns the return paths of mails.
func (m *Mail) Paths() mail.ReturnPaths {
	return mail.ReturnPaths{Domain: m.BounceDomain, Keys: m.keys, Address: m.ReturnPath, ComeBack: m.Listen+m.LMTP != ""}
}

// Inbound returns the configuration of the listeners.
func (m *Mail) Inbound() inbound.Config {
	return inbound.Config{
		Hostname: m.Hostname, Domain: m.BounceDomain, Keys: m.keys, Address: m.ReturnPath, Postmaster: m.Postmaster != "",
		CertFile: m.TLSCertFile, KeyFile: m.TLSKeyFile,
		Limits: inbound.Limits{Connections: m.MaxConnections, PerAddress: m.MaxConnectionsPerAddress, RatePerAddress: m.MaxRatePerAddress,
			MailOctets: int(m.MaxMail), TotalOctets: int(m.MaxMemory)},
	}
}
