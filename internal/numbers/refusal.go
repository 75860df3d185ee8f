package numbers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Why a valid number is refused, as metrics and logs name it.
const (
	RefusedPrefix    = "prefix"     // the operator, or our table, denies it to all
	RefusedOwnPrefix = "own_prefix" // it is denied to the organisation
	RefusedCountry   = "country"    // the organisation does not send to its country
	RefusedType      = "type"       // what is sent there costs too much
)

// Refusals are all of them.
func Refusals() []string {
	return []string{RefusedPrefix, RefusedOwnPrefix, RefusedCountry, RefusedType}
}

// Refusal is the error of a valid number to which no SMS may go.
type Refusal struct {
	Rule  string
	words string
}

func (r *Refusal) Error() string { return r.words }

// Own are the rules of one organisation. They come after those for all.
type Own struct {
	Countries []string // that it sends to; none: all
	Key       string   // of the configuration, for the error
	Deny      []Rule
}

// For returns the rules of an organisation.
func (r *Rules) For(own Own) *Rules { return &Rules{byPrefix: r.byPrefix, own: &own} }

// refuse returns why no SMS may go to a number that is valid, by the metadata or by a rule; nil where it may. rule is
// the one that decides about it, nil where the metadata do.
func (r *Rules) refuse(number string, rule *Rule) *Refusal {
	switch {
	case rule != nil && rule.satellite:
		return refusedType("a satellite phone's")
	case rule != nil && rule.Deny:
		return &Refusal{RefusedPrefix, "must be a number that this service sends to: its range is shut out here (numbers.deny)"}
	case rule == nil:
		if kind := costly(number); kind != "" {
			return refusedType(kind)
		}
	}
	if r == nil || r.own == nil {
		return nil
	}
	for _, d := range r.own.Deny {
		if strings.HasPrefix(number, d.Prefix) && d.covers(number) {
			return &Refusal{RefusedOwnPrefix, "must be a number that your organisation sends to: its range is shut out (organisation.deny_numbers)"}
		}
	}
	if len(r.own.Countries) > 0 && !slices.ContainsFunc(r.own.Countries, func(c string) bool { return InCountry(c, number) }) {
		return &Refusal{RefusedCountry, fmt.Sprintf("must be a number of a country that your organisation sends to: %s (%s); this one is of %s",
			strings.Join(r.own.Countries, ", "), r.own.Key, where(number))}
	}
	return nil
}

func refusedType(kind string) *Refusal {
	return &Refusal{RefusedType, "must be an ordinary phone's number: this one is " + kind + ", to which nothing is sent (numbers.allow can let its range in)"}
}

// costly returns the kind of a number at which its owner earns, or of which the caller pays a part; else nothing. A
// number that is surely a mobile phone's is not looked at any further.
func costly(number string) string {
	c, national := plainNumber(number)
	if c != nil && c.isMobile(national) {
		return ""
	}
	parsed, err := phonenumbers.Parse(number, "ZZ")
	if err != nil {
		return ""
	}
	switch phonenumbers.GetNumberType(parsed) {
	case phonenumbers.PREMIUM_RATE:
		return "a premium-rate number"
	case phonenumbers.SHARED_COST:
		return "a shared-cost number"
	}
	return ""
}
