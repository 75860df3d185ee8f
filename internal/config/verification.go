package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"straks/codes"
	"straks/orders"
	"straks/smpp/gsm"
)

// Verification is the codes that the daemon makes, sends and checks.
type Verification struct {
	// KeyFile holds the key from which codes are derived: a path, or the name of a credential. "straks verify key"
	// makes one. Default none: there are no verifications.
	KeyFile string
	// FormerKeyFile holds the key before that: verifications that began with it are checked while they last, an hour at
	// most. Default none.
	FormerKeyFile string
	// Language is that of the text where a request asks for none that its template has. Each template has it: "nb".
	Language string
	// Templates are texts beside the built-in one, which is called "code". One of that name takes its place.
	Templates []VerificationTemplate `toml:"template"`

	keys codes.Keys
}

// VerificationTemplate is the text that brings a code.
type VerificationTemplate struct {
	Name string // by which requests ask for it. Required
	// SMS is the text by language, like nb, nn, en, se. It has {code}, and may have {minutes}, for how long the code is
	// valid, and {app}, the organisation's. Default none: the template is not for SMS.
	SMS map[string]string
	// Email is the subject and the body by language, likewise. Default none: the template is not for mails.
	Email map[string]codes.Mail
}

func (v *Verification) setDefaults() { v.Language = "nb" }

// reserved keeps keys out of the file.
func (v *Verification) reserved() map[string]string {
	return map[string]string{
		"key":        "does not belong here: put it in a file of its own and name that file as key_file",
		"former_key": "does not belong here: put it in a file of its own and name that file as former_key_file",
	}
}

// On reports whether there are verifications.
func (v *Verification) On() bool { return v.KeyFile != "" }

// longest values, by which texts are measured.
var longest = codes.Values{Code: strings.Repeat("0", codes.MaxLength), Minutes: int(codes.MaxTTL.Minutes())}

// checkVerification checks the section, and what organisations have for it.
func (cfg *Config) checkVerification(top *checker) {
	v, c := &cfg.Verification, top.in("verification")
	v.checkKeys(c)
	builtIn := codes.BuiltIn()
	seen := make(map[string]string)
	for i := range v.Templates {
		at := c.at("template", i)
		v.Templates[i].check(at, v.Language)
		at.Unique("name", v.Templates[i].Name, seen)
	}
	if _, replaced := seen[codes.DefaultTemplate]; !replaced {
		c.OneOf("language", v.Language, builtIn.Languages(orders.SMS)...)
		if v.On() {
			cfg.checkApps(top, &builtIn)
		}
	}
	for i := range cfg.Organisations {
		for j, w := range cfg.Organisations[i].Webhooks {
			top.at("organisation", i).at("webhook", j).Unless(w.Feed != feedVerifications || v.On(), "feed", "is %q, but there are none: give verification.key_file", w.Feed)
		}
	}
	for i := range v.Templates {
		cfg.checkLengths(c.at("template", i).in("sms"), &v.Templates[i])
	}
}

// checkKeys reads the keys.
func (v *Verification) checkKeys(c *checker) {
	c.Unless(v.FormerKeyFile == "" || v.On(), "former_key_file", "has no use without key_file: give both, or neither")
	v.keys.Active = c.verificationKey("key_file", v.KeyFile)
	v.keys.Former = c.verificationKey("former_key_file", v.FormerKeyFile)
	if v.keys.Active != nil && v.keys.Former != nil {
		c.Unless(v.keys.Active.ID() != v.keys.Former.ID(), "former_key_file", "holds the same key as key_file")
	}
}

// verificationKey reads a key from the file that the key of the configuration names; nil where there is none.
func (c *checker) verificationKey(name, path string) *codes.Key {
	text := c.secret(name, path)
	if text == "" || c.file.sealed {
		return nil
	}
	key, err := codes.ParseKey(text)
	c.Unless(err == nil, name, "%v", err)
	return key
}

func (t *VerificationTemplate) check(c *checker, language string) {
	c.Name("name", t.Name)
	c.Unless(len(t.SMS)+len(t.Email) > 0, "sms", "is missing, and so is email: the template has no text")
	for _, l := range slices.Sorted(maps.Keys(t.SMS)) {
		c.in("sms").template(l, l, t.SMS[l], true)
	}
	for _, l := range slices.Sorted(maps.Keys(t.Email)) {
		at := c.in("email").in(l)
		at.Required("subject", t.Email[l].Subject)
		at.template("subject", l, t.Email[l].Subject, false)
		at.template("body", l, t.Email[l].Body, true)
	}
	if len(t.SMS) > 0 {
		_, ok := t.SMS[language]
		c.Unless(ok, "sms", "has no text in %q, which is verification.language", language)
	}
	if len(t.Email) > 0 {
		_, ok := t.Email[language]
		c.Unless(ok, "email", "has no text in %q, which is verification.language", language)
	}
}

// template checks a text and its language.
func (c *checker) template(key, language, text string, needsCode bool) {
	c.Unless(codes.Language(language, []string{language}) == language, key, "is not a language like nb, nn, en or se")
	c.Unless(!needsCode || strings.Contains(text, "{code}"), key, "lacks {code}, where the code goes")
	rest := text
	for _, p := range codes.Placeholders() {
		rest = strings.ReplaceAll(rest, p, "")
	}
	c.Unless(!strings.ContainsAny(rest, "{}"), key, "has braces round something else than %s", strings.Join(codes.Placeholders(), ", "))
}

// checkApps checks that the built-in text is one SMS for each organisation, whatever the code. The line of an origin is
// not counted: a request that asks for it may get two.
func (cfg *Config) checkApps(top *checker, builtIn *codes.Template) {
	for i := range cfg.Organisations {
		for _, l := range builtIn.Languages(orders.SMS) {
			if wrong := long(builtIn, l, cfg.Organisations[i].app()); wrong != "" {
				top.at("organisation", i).Add("app", "makes the built-in text of codes longer than one SMS, in %q (%s): give a shorter one, or a template called %q", l, wrong, builtIn.Name)
			}
		}
	}
}

// checkLengths checks that each text of a template is one SMS, likewise.
func (cfg *Config) checkLengths(c *checker, t *VerificationTemplate) {
	template := t.template()
	for _, l := range template.Languages(orders.SMS) {
		for i := range cfg.Organisations {
			if wrong := long(&template, l, cfg.Organisations[i].app()); wrong != "" {
				c.Add(l, "is longer than one SMS (%s), with a code of 10 characters, 60 minutes, and the app of organisation %q: make it shorter", wrong, cfg.Organisations[i].Name)
				break
			}
		}
	}
}

// long returns by how much a text is longer than one SMS; empty: it is not.
func long(t *codes.Template, language, app string) string {
	v := longest
	v.App = app
	_, text, _ := t.Text(orders.SMS, language, v)
	e := gsm.Choose(text)
	parts, err := gsm.Split(e, text, gsm.UDH8Len)
	if err == nil && len(parts) == 1 {
		return ""
	}
	if e == gsm.UCS2 {
		return fmt.Sprintf("%d characters; 70 fit, since some are not in the GSM alphabet", utf8.RuneCountInString(text))
	}
	return fmt.Sprintf("%d characters; 160 fit", utf8.RuneCountInString(text))
}

func (t *VerificationTemplate) template() codes.Template {
	return codes.Template{Name: t.Name, SMS: t.SMS, Email: t.Email}
}

// Codes returns what package codes gets of the configuration.
func (cfg *Config) Codes() codes.Config {
	v := &cfg.Verification
	c := codes.Config{Keys: v.keys, Language: v.Language, Apps: make(map[string]string), Organisations: cfg.Names(), Retention: cfg.Journal.Retention}
	for i := range v.Templates {
		c.Templates = append(c.Templates, v.Templates[i].template())
	}
	for i := range cfg.Organisations {
		c.Apps[cfg.Organisations[i].Name] = cfg.Organisations[i].app()
	}
	return c
}

// app returns what stands for {app}.
func (o *Organisation) app() string {
	if o.App != "" {
		return o.App
	}
	return o.Name
}
