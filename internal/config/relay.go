package config

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"straks/internal/faults"
	"straks/orders/mail"
	"straks/smtp"
)

// Relay is one mail relay: the pool's keys, and those that only the file has.
type Relay struct {
	smtp.Relay

	// SettleAfter is how long the reports about a mail are waited for, from its acceptance: 1 minute to 48 hours.
	// Default: 48h. It should be longer than the relay keeps mails.
	SettleAfter time.Duration
	// NoReport is what a mail is that the relay took, and of which no report has come after SettleAfter:
	// "succeeded" (Email_Succeeded is its last status) or "failed_ttl" (Email_Failed_TTL). Default: "failed_ttl"
	// where the relay was asked for reports of delivery, so that one should have come, else "succeeded".
	NoReport string

	// PasswordFile is the file that holds the login's password: a path, or the name
	// of a credential. It is read again at each login. Default none; required with username, unless
	// there is a token_file.
	PasswordFile string

	// TokenFile is the file that holds an access token of OAuth 2.0, in place of a password: a path, or
	// the name of a credential. Another program renews the token; the file is read again at each
	// login. Default none; required with mechanism "XOAUTH2".
	TokenFile string

	// Egress are the addresses and networks that the relay sends from, as receivers see them:
	// "192.0.2.10", "2001:db8::/64". "straks doctor" looks whether SPF lets them send; nothing else uses
	// them. Default none: that is not looked at.
	Egress []string
}

// reserved keeps the password out of the file.
func (r *Relay) reserved() map[string]string { return relayReserved }

var relayReserved = map[string]string{
	"password": passwordReserved["password"],
	"dsn":      "has gone: reports are asked for wherever they come back ([mail] bounce_domain), and no_dsn = true turns that off for a relay",
}

// check checks the keys that only the file has; the pool's Check checks the others.
func (r *Relay) check(c *checker) {
	c.reads("ca_file", r.CAFile)
	c.keyPair("client_cert", &r.ClientCert, "client_key", &r.ClientKey)
	faults.Range(c.List, "settle_after", r.SettleAfter, mail.ShortestWait, mail.LongestWait)
	c.Unless(r.NoReport == "" || r.NoReport == string(mail.Succeeded) || r.NoReport == string(mail.FailedTTL), "no_report",
		"is %q, want %q or %q; without it, the relay's answer to EHLO decides", r.NoReport, mail.Succeeded, mail.FailedTTL)
	for i, written := range r.Egress {
		_, err := parseNetwork(written)
		c.Unless(err == nil, faults.Index("egress", i), "must be an address or a network, like \"192.0.2.10\" or \"2001:db8::/64\"")
	}
	key, path, other := "password_file", r.PasswordFile, r.TokenFile
	if r.Mechanism == "XOAUTH2" {
		key, path, other = "token_file", r.TokenFile, r.PasswordFile
		c.Unless(other == "", "password_file", `has no effect with mechanism = "XOAUTH2", which wants token_file`)
	} else {
		c.Unless(other == "", "token_file", `is for mechanism = "XOAUTH2"`)
	}
	c.Unless((r.Username == "") == (path == ""), key, "and username go together: give both, or none for no login")
	r.Password = c.secret(key, path)
	if path != "" && !c.file.sealed {
		r.Secret = secretFile{path}
	}
}

// secretFile is a file that holds a password or a token: a path, or the name of a credential.
type secretFile struct{ path string }

// Read implements smtp.Secret. Its error does not name the file: the log does not need it, and the name may be
// a secret by mistake.
func (f secretFile) Read() (string, error) {
	path, err := credential(f.path)
	if err != nil {
		return "", errors.New("the file can't be found")
	}
	text, _, err := readSmall(path, maxSecret)
	if err != nil {
		return "", errors.New("the file can't be read")
	}
	secret, err := ParsePassword(text)
	if err != nil {
		return "", fmt.Errorf("the file %w", err)
	}
	return secret, nil
}

// parseNetwork parses an address, which is the network of itself, or a network.
func parseNetwork(written string) (netip.Prefix, error) {
	addr, err := netip.ParseAddr(written)
	if err == nil && addr.Zone() == "" && !addr.Is4In6() {
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	network, err := netip.ParsePrefix(written)
	if err == nil && network.Addr().Is4In6() {
		err = errors.New("IPv4 in IPv6")
	}
	return network.Masked(), err
}

// EgressNetworks returns the networks that the relay sends from.
func (r *Relay) EgressNetworks() []netip.Prefix {
	var all []netip.Prefix
	for _, written := range r.Egress {
		if network, err := parseNetwork(written); err == nil { // check has recorded the others
			all = append(all, network)
		}
	}
	return all
}

// SMTP returns the configuration of the pool of relays.
func (cfg *Config) SMTP() smtp.Config {
	pool := smtp.Config{Routes: cfg.MailRoutes, Keys: cfg.SigningKeys()}
	for _, r := range cfg.Relays {
		pool.Relays = append(pool.Relays, r.Relay)
	}
	return pool
}

// checkRelays checks the keys that only the file has, and lets the pool check its own.
func (cfg *Config) checkRelays(c *checker) {
	pool := cfg.SMTP()
	for i := range pool.Relays {
		cfg.Relays[i].check(c.at("relay", i))
		c.zeros("relay", i, pool.Relays[i], pool.Relays[i].WithDefaults())
	}
	if len(cfg.Relays) > 0 || len(cfg.MailRoutes) > 0 {
		c.Join(cfg.SMTP().Check())
	}
}

func (r *Relay) setDefaults() { r.SettleAfter = mail.LongestWait }

// Waits returns, by relay, how long reports are waited for.
func (cfg *Config) Waits() map[string]mail.Wait {
	waits := make(map[string]mail.Wait, len(cfg.Relays))
	for _, r := range cfg.Relays {
		waits[r.Name] = mail.Wait{Time: r.SettleAfter, NoReport: mail.NoReport(r.NoReport)}
	}
	return waits
}
