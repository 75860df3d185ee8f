package config

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"straks/internal/faults"
	"straks/orders/sms"
)

// Load reads the configuration at path, with its secrets. The warnings are for the
// operator; the error is an *Invalid, unless the file cannot be read or is not TOML.
func Load(path string) (*Config, []Warning, error) { return load(path, false) }

// LoadSealed is Load without the secrets, for commands that need none and are run by
// operators who may not read them. The result cannot be used to send anything.
func LoadSealed(path string) (*Config, []Warning, error) { return load(path, true) }

func load(path string, sealed bool) (*Config, []Warning, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("configuration: %w", err)
	}
	cfg, warnings, found, err := parse(string(text), time.Now(), sealed)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	case len(found) > 0:
		return nil, warnings, &Invalid{path, found}
	}
	return cfg, warnings, nil
}

// parse is load for the text of a file.
func parse(text string, now time.Time, sealed bool) (*Config, []Warning, faults.Faults, error) {
	var top map[string]any
	if _, err := toml.Decode(text, &top); err != nil {
		return nil, nil, nil, syntaxError(text, err)
	}
	cfg := new(Config)
	c := &checker{faults.New(), &file{now: now, top: top, sealed: sealed}}
	c.table(reflect.ValueOf(cfg).Elem(), top)
	cfg.check(c)
	cfg.files = c.file.files
	cfg.digest = fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	byKey := func(a, b faults.Fault) int { return cmp.Compare(a.Key, b.Key) }
	found, warnings := c.All(), c.file.warnings
	c.file.nameStanzas(found)
	c.file.nameStanzas(warnings)
	slices.SortStableFunc(found, byKey)
	slices.SortStableFunc(warnings, byKey)
	return cfg, warnings, found, nil
}

// syntaxError returns an error with the line and octet of the syntax error. The decoder's
// own line is one too low where the text ends too early, down to 0 (for which its
// ErrorWithPosition panics), so the line is counted from the offset.
func syntaxError(text string, err error) error {
	var at toml.ParseError
	if !errors.As(err, &at) {
		return err
	}
	before := text[:min(max(at.Position.Start, 0), len(text))]
	return fmt.Errorf("line %d, column %d: %s", 1+strings.Count(before, "\n"),
		len(before)-strings.LastIndexByte(before, '\n'), quoted.ReplaceAllString(at.Message, "…"))
}

// quoted is what the decoder quotes of the file: a password without quotation marks, say.
var quoted = regexp.MustCompile(`["'` + "`" + `].{2,}["'` + "`" + `]|[0-9]{4,}`)

// array is the beginning of a key in an array of tables.
var array = regexp.MustCompile(`^(smsc|relay|organisation|route|mail_route|dkim|issuer)\[([0-9]+)\]`)

// nameStanzas notes which stanza each fault is in, where that has a name.
func (f *file) nameStanzas(all []faults.Fault) {
	for i := range all {
		at := array.FindStringSubmatch(all[i].Key)
		if at == nil {
			continue
		}
		items, _ := asList(f.top[at[1]])
		if n, err := strconv.Atoi(at[2]); err == nil && n < len(items) {
			item, _ := items[n].(map[string]any)
			name, _ := item["name"].(string)
			if at[1] == "dkim" {
				name, _ = dkimDomain(item["domain"])
			}
			if faults.ValidName(name) {
				all[i].Stanza = fmt.Sprintf("%s %q", at[1], name)
			}
		}
	}
}

// check checks every section, and what several sections must agree on.
func (cfg *Config) check(c *checker) {
	cfg.API.check(c.in("api"))
	cfg.checkPrivate(c)
	cfg.Console.check(c.in("console"))
	cfg.Journal.check(c.in("journal"))
	cfg.Node.check(c.in("node"), cfg.Journal.Shared())
	cfg.Log.check(c.in("log"))
	cfg.Audit.check(c.in("audit"))
	cfg.Numbers.check(c.in("numbers"))
	cfg.Limits.check(c.in("limits"))
	cfg.Cost.check(c.in("cost"))
	cfg.SMS.check(c.in("sms"))
	cfg.Email.check(c.in("email"))
	cfg.checkOrganisations(c)
	cfg.inheritLimits()
	cfg.checkRetention(c)
	cfg.checkIssuers(c)
	cfg.checkClientCertificates(c)
	cfg.checkModes(c)
	cfg.checkCarriers(c)
	cfg.checkPrices(c)
	cfg.checkDKIM(c)
	cfg.checkMail(c.in("mail"))
	cfg.checkVerification(c)
	cfg.warnOfDefaults(c)
	cfg.warnOfEverywhere(c)
	c.Unless(len(cfg.SMSCs)+len(cfg.Relays) > 0, "smsc", "is missing, and so is relay: there is nothing to send with")
	cfg.checkAddresses(c)
}

// checkAddresses checks that no two listeners have the same address.
func (cfg *Config) checkAddresses(c *checker) {
	seen := make(map[string]string)
	for _, l := range []struct{ section, addr string }{{"api", cfg.API.Listen}, {"metrics", cfg.Metrics.Listen}, {"admin", cfg.Admin.Listen}, {"console", cfg.Console.Listen},
		{"mail", cfg.Mail.Listen}, {"node", cfg.Node.Listen}} {
		if first := seen[l.addr]; first != "" {
			c.In(l.section).Add("listen", "is that of %s: each listener must have its own", first)
		}
		if l.addr != "" && !strings.HasSuffix(l.addr, ":0") {
			seen[l.addr] = l.section
		}
	}
}

func (cfg *Config) checkOrganisations(c *checker) {
	c.Unless(len(cfg.Organisations) > 0, "organisation", "is missing: nobody can send")
	names, inbound, digests := make(map[string]string), make(map[string]string), make(map[Digest]string)
	for i := range cfg.Organisations {
		at, o := c.at("organisation", i), &cfg.Organisations[i]
		o.check(at)
		at.Unique("name", o.Name, names)
		for j, number := range o.InboundNumbers {
			at.Unique(faults.Index("inbound_numbers", j), sms.BareNumber(number), inbound)
		}
		for j, t := range o.Tokens {
			token := at.At("token", j)
			if first, ok := digests[t.SHA256]; ok && t.SHA256 != (Digest{}) {
				token.Add("sha256", "is that of %s: whose token would it be?", first)
			}
			digests[t.SHA256] = token.Key("sha256")
		}
	}
}

// warnOfDefaults warns of default senders that nobody chose, where they would be used.
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
