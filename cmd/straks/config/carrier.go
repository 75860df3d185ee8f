package config

import (
	"cmp"
	"errors"
	"strings"

	"straks/smpp"
)

// SMSC is one account at one SMSC: the gateway's keys, and where the password is.
type SMSC struct {
	smpp.SMSC

	// PasswordFile is the file that holds the account's password: a path, or the
	// name of a credential. Default none: the password is empty.
	PasswordFile string
}

// reserved keeps passwords out of the file.
func (s *SMSC) reserved() map[string]string { return passwordReserved }

var passwordReserved = map[string]string{
	"password": "does not stand here: put it in a file of its own and name that as password_file",
}

// check looks at the files; the gateway's own Check at all else.
func (s *SMSC) check(c *checker) {
	c.name("name", s.Name)
	s.Password = c.secret("password_file", s.PasswordFile)
	tls := c.in("tls")
	tls.readable("ca_file", s.TLS.CAFile)
	tls.readable("cert_file", s.TLS.CertFile)
	s.TLS.KeyFile = tls.locate("key_file", s.TLS.KeyFile)
	tls.readable("key_file", s.TLS.KeyFile)
}

// Gateway is the configuration of the SMPP gateway.
func (cfg *Config) Gateway() smpp.Config {
	gateway := smpp.Config{DrainTime: cfg.SMS.DrainTime, Routes: cfg.Routes}
	for _, s := range cfg.SMSCs {
		s.Sender = cmp.Or(s.Sender, cfg.SMS.DefaultSender)
		gateway.SMSCs = append(gateway.SMSCs, s.SMSC)
	}
	return gateway
}

// Relay is one mail relay.
type Relay struct {
	Name string // in logs and metrics. Required
	Addr string // host:port. Required
}

func (r *Relay) check(c *checker) {
	c.name("name", r.Name)
	c.dial("addr", r.Addr)
}

func (cfg *Config) checkCarriers(c *checker) {
	names := make(map[string]string)
	for i := range cfg.SMSCs {
		at := c.at("smsc", i)
		cfg.SMSCs[i].check(at)
		at.unique("name", cfg.SMSCs[i].Name, names)
	}
	if len(cfg.SMSCs) > 0 || len(cfg.Routes) > 0 {
		c.gatewayFaults(cfg.Gateway().Check())
	}
	names = make(map[string]string)
	for i := range cfg.Relays {
		at := c.at("relay", i)
		cfg.Relays[i].check(at)
		at.unique("name", cfg.Relays[i].Name, names)
	}
}

// gatewayFaults takes over what the gateway says of its part, under its keys.
func (c *checker) gatewayFaults(err error) {
	for _, err := range unjoin(err) {
		var key *smpp.KeyError
		if !errors.As(err, &key) {
			c.fault("smsc", "%v", err)
			continue
		}
		name := key.Key
		if !strings.Contains(name, "[") && name != "smsc" {
			name = "sms." + name
		}
		c.fault(name, "%s", key.Message)
	}
}

// unjoin returns the errors that errors.Join made one of.
func unjoin(err error) []error {
	switch joined := err.(type) {
	case nil:
		return nil
	case interface{ Unwrap() []error }:
		return joined.Unwrap()
	}
	return []error{err}
}
