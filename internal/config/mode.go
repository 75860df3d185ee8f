package config

import (
	"net/mail"
	"strings"

	"straks/internal/faults"
	"straks/orders/simulated"
	"straks/smtp"
)

// Modes of an organisation.
const (
	ModeLive      = "live"
	ModeAllowlist = "allowlist"
	ModeSimulate  = "simulate"
)

// checkModes checks which messages of each organisation leave, and writes their recipients as orders have them.
func (cfg *Config) checkModes(c *checker) {
	for i := range cfg.Organisations {
		at, o := c.at("organisation", i), &cfg.Organisations[i]
		at.OneOf("mode", o.Mode, ModeLive, ModeAllowlist, ModeSimulate)
		switch {
		case o.Mode == ModeAllowlist && len(o.AllowedRecipients) == 0:
			at.Add("allowed_recipients", `is missing: list the numbers and addresses that get real messages, or set mode = "simulate"`)
		case o.Mode != ModeAllowlist && len(o.AllowedRecipients) > 0:
			at.Add("allowed_recipients", `is for mode = "allowlist" only`)
		case o.Mode == ModeAllowlist:
			at.warn("mode", "is %q: messages to other recipients than the %d of allowed_recipients are not sent, and look delivered", o.Mode, len(o.AllowedRecipients))
		case o.Mode == ModeSimulate:
			at.warn("mode", "is %q: no message is sent, and all look delivered", o.Mode)
		}
		for j, to := range o.AllowedRecipients {
			key := faults.Index("allowed_recipients", j)
			written, ok := cfg.allowed(to)
			at.Unless(ok, key, "is no phone number like +4799999999, no address, and no domain like @example.org")
			o.AllowedRecipients[j] = written
		}
	}
	for i, s := range cfg.SMSCs {
		c.at("smsc", i).Unless(s.Name != simulated.Name, "name", "is %q, which stands for messages that are not sent", s.Name)
	}
	for i, r := range cfg.Relays {
		c.at("relay", i).Unless(r.Name != simulated.Name, "name", "is %q, which stands for messages that are not sent", r.Name)
	}
}

// allowed returns a recipient as orders have it, or the domain of recipients.
func (cfg *Config) allowed(to string) (string, bool) {
	if domain, ok := strings.CutPrefix(to, "@"); ok {
		_, err := smtp.ParseDomain(domain)
		return to, err == nil
	}
	if strings.Contains(to, "@") {
		a, err := mail.ParseAddress(to)
		return to, err == nil && a.Address == to
	}
	number, err := cfg.Numbers.Rules().Parse(to)
	return number, err == nil
}

// Modes returns what organisations may send to real people; those that send to everybody are left out.
func (cfg *Config) Modes() map[string]*simulated.Rule {
	rules := make(map[string]*simulated.Rule)
	for _, o := range cfg.Organisations {
		if o.Mode != ModeLive {
			rules[o.Name] = &simulated.Rule{Allowed: o.AllowedRecipients}
		}
	}
	return rules
}
