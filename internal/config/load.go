package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"straks/orders/sms"
)

// Load reads the configuration at path, with its secrets. The warnings are for
// the operator to see; an error is a *Faults, unless the file itself can't be
// read or is no TOML.
func Load(path string) (*Config, []Warning, error) { return load(path, false) }

// LoadSealed is Load without the secrets, for commands that need none, run by
// operators who may not read them. Nothing can be sent with what it returns.
func LoadSealed(path string) (*Config, []Warning, error) { return load(path, true) }

func load(path string, sealed bool) (*Config, []Warning, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("configuration: %w", err)
	}
	cfg, warnings, faults, err := parse(string(text), time.Now(), sealed)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	case len(faults) > 0:
		return nil, warnings, &Faults{path, faults}
	}
	return cfg, warnings, nil
}

// parse is load for a text that was read.
func parse(text string, now time.Time, sealed bool) (*Config, []Warning, []Fault, error) {
	var top map[string]any
	if _, err := toml.Decode(text, &top); err != nil {
		return nil, nil, nil, syntaxError(text, err)
	}
	cfg := new(Config)
	c := &checker{now: now, found: &findings{top: top, sealed: sealed}}
	c.table(reflect.ValueOf(cfg).Elem(), top)
	cfg.check(c)
	byKey := func(a, b Fault) int { return cmp.Compare(a.Key, b.Key) }
	slices.SortStableFunc(c.found.faults, byKey)
	slices.SortStableFunc(c.found.warnings, byKey)
	return cfg, c.found.warnings, c.found.faults, nil
}

// syntaxError says at which line and octet of the text its syntax breaks. The decoder's
// own line is one too low where the text ends too soon, down to 0 (which its
// ErrorWithPosition panics at), so the line is counted from the offset.
func syntaxError(text string, err error) error {
	var at toml.ParseError
	if !errors.As(err, &at) {
		return err
	}
	before := text[:min(max(at.Position.Start, 0), len(text))]
	return fmt.Errorf("line %d, column %d: %s", 1+strings.Count(before, "\n"),
		len(before)-strings.LastIndexByte(before, '\n'), at.Message)
}

// check looks at every section, and at what several of them must agree on.
func (cfg *Config) check(c *checker) {
	cfg.API.check(c.in("api"))
	cfg.Admin.check(c.in("admin"))
	cfg.Journal.check(c.in("journal"))
	cfg.Log.check(c.in("log"))
	cfg.Numbers.check(c.in("numbers"))
	cfg.SMS.check(c.in("sms"))
	cfg.Email.check(c.in("email"))
	cfg.checkOrganisations(c)
	cfg.checkCarriers(c)
	cfg.warnOfDefaults(c)
	if len(cfg.SMSCs) == 0 && len(cfg.Relays) == 0 {
		c.fault("smsc", "is missing, and so is relay: there is nothing to send with")
	}
	if cfg.API.Listen == cfg.Admin.Listen && cfg.API.Listen != "" && !strings.HasSuffix(cfg.API.Listen, ":0") {
		c.in("admin").fault("listen", "is that of api: the admin listener must be another")
	}
}

func (cfg *Config) checkOrganisations(c *checker) {
	if len(cfg.Organisations) == 0 {
		c.fault("organisation", "is missing: nobody can send")
	}
	names, inbound, digests := make(map[string]string), make(map[string]string), make(map[Digest]string)
	for i := range cfg.Organisations {
		at, o := c.at("organisation", i), &cfg.Organisations[i]
		o.check(at)
		at.unique("name", o.Name, names)
		for j, number := range o.InboundNumbers {
			at.unique(indexed("inbound_numbers", j), sms.BareNumber(number), inbound)
		}
		for j, t := range o.Tokens {
			token := at.at("token", j)
			if first, ok := digests[t.SHA256]; ok && t.SHA256 != (Digest{}) {
				token.fault("sha256", "is that of %s: whose token would it be?", first)
			}
			digests[t.SHA256] = token.dotted("sha256")
		}
	}
}

// warnOfDefaults tells of senders that nobody chose, where they would be used.
func (cfg *Config) warnOfDefaults(c *checker) {
	lacksSMS := func(o Organisation) bool { return o.SMSSender == "" }
	lacksEmail := func(o Organisation) bool { return o.EmailSender == "" }
	lacksSender := func(s SMSC) bool { return s.Sender == "" }
	if !c.used("sms", "default_sender") && slices.ContainsFunc(cfg.SMSCs, lacksSender) && slices.ContainsFunc(cfg.Organisations, lacksSMS) {
		c.in("sms").warn("default_sender", "is not set: SMS of an organisation without sms_sender come from %q", cfg.SMS.DefaultSender)
	}
	if !c.used("email", "default_sender") && len(cfg.Relays) > 0 && slices.ContainsFunc(cfg.Organisations, lacksEmail) {
		c.in("email").warn("default_sender", "is not set: mails of an organisation without email_sender come from %s", cfg.Email.DefaultSender)
	}
}
