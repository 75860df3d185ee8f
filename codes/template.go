package codes

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"straks/orders"
)

// DefaultTemplate is the template of a request that names none. It is built in, and an operator's of that name takes
// its place.
const DefaultTemplate = "code"

// Template is the text that brings a code, by language.
type Template struct {
	Name  string
	SMS   map[string]string
	Email map[string]Mail
}

// Mail is the text of a mail, in plain text.
type Mail struct {
	Subject string
	Body    string // with "{code}", "{minutes}" and "{app}", as an SMS may have them. Required
}

// Placeholders are what a text may have in braces. It must have the first.
func Placeholders() []string { return []string{"{code}", "{minutes}", "{app}"} }

// Values are what stands for placeholders.
type Values struct {
	Code    string
	Minutes int
	App     string
	Origin  string // empty: the text has no last line for browsers
}

// fill puts the values into a text.
func (v Values) fill(text string) string {
	return strings.NewReplacer("{code}", v.Code, "{minutes}", strconv.Itoa(v.Minutes), "{app}", v.App).Replace(text)
}

// bound adds the line by which browsers and phones give the code to pages of the origin only
// (https://wicg.github.io/sms-one-time-codes/). It must be the last.
func (v Values) bound(text string) string {
	if v.Origin == "" {
		return text
	}
	return text + "\n\n@" + v.Origin + " #" + v.Code
}

// Text returns the text for a channel. ok is false where the template has none in the language.
func (t *Template) Text(c orders.Channel, language string, v Values) (subject, body string, ok bool) {
	if c == orders.SMS {
		text, ok := t.SMS[language]
		return "", v.bound(v.fill(text)), ok
	}
	m, ok := t.Email[language]
	return v.fill(m.Subject), v.bound(v.fill(m.Body)), ok
}

// Languages returns those of the template on a channel.
func (t *Template) Languages(c orders.Channel) []string {
	if c == orders.SMS {
		return slices.Sorted(maps.Keys(t.SMS))
	}
	return slices.Sorted(maps.Keys(t.Email))
}

// BuiltIn returns the template that is built in.
func BuiltIn() Template {
	return Template{
		Name: DefaultTemplate,
		SMS: map[string]string{
			"nb": "{code} er koden din for {app}. Den er gyldig i {minutes} min. Ikke gi den til noen.",
			"nn": "{code} er koden din for {app}. Han er gyldig i {minutes} min. Ikkje gje han til nokon.",
			"en": "{code} is your code for {app}. It is valid for {minutes} min. Give it to nobody.",
			"se": "{code} lea du koda: {app}. Fámus {minutes} min.", // UCS-2, which has 70 characters
		},
		Email: map[string]Mail{
			"nb": {"Koden din for {app}", "{code} er koden din for {app}. Den er gyldig i {minutes} min.\n\nIkke gi den til noen. Ba du ikke om en kode, kan du se bort fra denne e-posten."},
			"nn": {"Koden din for {app}", "{code} er koden din for {app}. Han er gyldig i {minutes} min.\n\nIkkje gje han til nokon. Bad du ikkje om ein kode, kan du sjå bort frå denne e-posten."},
			"en": {"Your code for {app}", "{code} is your code for {app}. It is valid for {minutes} min.\n\nGive it to nobody. If you did not ask for a code, ignore this e-mail."},
			"se": {"Du koda: {app}", "{code} lea du koda: {app}. Fámus {minutes} min.\n\nAle atte dan earáide."},
		},
	}
}
