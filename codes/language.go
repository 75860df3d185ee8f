package codes

import (
	"slices"

	"golang.org/x/text/language"
)

// Language returns the one of the languages that a BCP 47 tag asks for: itself, or the one without its region. "no" is
// Bokmål, which most mean by it. Empty: there is none.
func Language(tag string, languages []string) string {
	t, err := language.Parse(tag)
	if err != nil {
		return ""
	}
	return choose(t, languages)
}

func choose(t language.Tag, languages []string) string {
	if slices.Contains(languages, t.String()) {
		return t.String()
	}
	base, _ := t.Base()
	if b := base.String(); b != "no" {
		return found(b, languages)
	}
	return found("nb", languages)
}

func found(l string, languages []string) string {
	if slices.Contains(languages, l) {
		return l
	}
	return ""
}

// Accepted returns the one of the languages that an Accept-Language header prefers (RFC 9110 §12.5.4), else otherwise.
func Accepted(header string, languages []string, otherwise string) string {
	const longest = 1000 // of the headers of browsers; ParseAcceptLanguage bounds its time too
	if len(header) > longest {
		return otherwise
	}
	tags, weights, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return otherwise
	}
	for i, t := range tags {
		if l := choose(t, languages); l != "" && weights[i] > 0 {
			return l
		}
	}
	return otherwise
}
