package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"straks/codes"
	"straks/internal/numbers"
	"straks/orders"
)

// verificationNames are the names of all properties of requests about verifications.
var verificationNames = []string{"idempotencyId", "sendersReference", "recipientSms", "recipientEmail", "phoneNumber", "sender", "emailAddress",
	"fallbackAfterSeconds", "template", "language", "codeLength", "alphabet", "timeToLiveInSeconds", "attempts", "origin", "resendAfterSeconds",
	"recipient", "code", "channel"}

// maxCode bounds a code as a person may type it, in octets.
const maxCode = 128

// verifying is a request for a verification, as it was read.
type verifying struct {
	codes.Request
	faults  faults
	refused string                    // why a valid number is refused; empty where none is
	paths   map[orders.Channel]object // the recipients
}

// decodeVerification reads a request for a verification. The result lists all faults of the body.
func (a *api) decodeVerification(x *exchange, body []byte) *verifying {
	v := &verifying{paths: make(map[orders.Channel]object)}
	v.Organisation = x.who.Organisation
	o, ok := root(body, verificationNames, &v.faults)
	if !ok {
		return v
	}
	v.Key, v.SendersReference = identity(o)
	v.readRecipients(o, a.settings.Load().numbers[x.who.Organisation])
	v.readCode(o)
	v.readText(o, a.codes, x.r.Header.Get("Accept-Language"))
	return v
}

// readRecipients reads one recipient of each channel at most.
func (v *verifying) readRecipients(o object, rules *numbers.Rules) {
	if sms, ok := o.optionalObject("recipientSms"); ok {
		phone, path := sms.required("phoneNumber")
		sender, _, _ := sms.optional("sender")
		if phone != "" && !v.faults.covers(path) {
			number, err := rules.Parse(phone)
			if err != nil {
				v.faults.add(path, err.Error())
			}
			if refusal := (*numbers.Refusal)(nil); errors.As(err, &refusal) {
				v.refused = refusal.Rule
			}
			phone = number
		}
		v.To = append(v.To, codes.Address{Channel: orders.SMS, To: orders.Recipient(phone), From: strings.TrimSpace(sender)})
		v.paths[orders.SMS] = sms
	}
	if email, ok := o.optionalObject("recipientEmail"); ok {
		to, path := email.required("emailAddress")
		to = strings.TrimSpace(to)
		if to != "" && !v.faults.covers(path) {
			if err := checkAddress(to); err != nil {
				v.faults.add(path, err.Error())
				to = "" // as with numbers: an invalid address can't be masked for the log
			}
		}
		v.To = append(v.To, codes.Address{Channel: orders.Email, To: orders.Recipient(to)})
		v.paths[orders.Email] = email
	}
	sms, _ := o.find("recipientSms")
	email, _ := o.find("recipientEmail")
	if len(v.To) == 0 && !v.faults.covers(sms) && !v.faults.covers(email) {
		v.faults.add(sms, "is required, or recipientEmail, or both: whom the code is for")
	}
}

// readCode reads what the code is like, and how long it lasts.
func (v *verifying) readCode(o object) {
	v.Length, _ = o.optionalInteger("codeLength", codes.MinLength, codes.MaxLength, codes.DefaultLength)
	v.Attempts, _ = o.optionalInteger("attempts", codes.MinAttempts, codes.MaxAttempts, codes.DefaultAttempts)
	seconds := func(name string, least, most, otherwise time.Duration) (time.Duration, string) {
		n, path := o.optionalInteger(name, int(least/time.Second), int(most/time.Second), int(otherwise/time.Second))
		return time.Duration(n) * time.Second, path
	}
	v.TTL, _ = seconds("timeToLiveInSeconds", codes.MinTTL, codes.MaxTTL, codes.DefaultTTL)
	v.ResendAfter, _ = seconds("resendAfterSeconds", time.Second, codes.MaxResendAfter, codes.DefaultResendAfter)
	var path string
	v.FallbackAfter, path = seconds("fallbackAfterSeconds", time.Second, codes.MaxTTL, 0)
	switch {
	case v.faults.covers(path):
	case v.FallbackAfter == 0 && len(v.To) == 2:
		v.faults.add(path, "is required where there are two recipients: after how many seconds the code goes to the second one too")
	case v.FallbackAfter > 0 && len(v.To) == 1:
		v.faults.add(path, "must be left out where there is one recipient: there is no other one to send to")
	case v.FallbackAfter > 0 && v.FallbackAfter >= v.TTL && v.TTL > 0:
		v.faults.add(path, "must be less than timeToLiveInSeconds: the code is not worth anything after that")
	}
	name, path, given := o.optional("alphabet")
	v.Alphabet = codes.Alphabet(strings.ToLower(name))
	switch {
	case !given:
		v.Alphabet = codes.Digits
	case !slices.Contains(codes.Alphabets(), string(v.Alphabet)):
		v.faults.add(path, "must be "+either(codes.Alphabets()))
	}
}

// either lists values for the caller.
func either(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = `"` + v + `"`
	}
	return strings.Join(quoted, " or ")
}

// readText reads which text the message has.
func (v *verifying) readText(o object, service *codes.Service, accept string) {
	origin, path, given := o.optional("origin")
	if given {
		ascii, err := idna.Lookup.ToASCII(strings.TrimSpace(origin))
		if err != nil || len(ascii) > maxDomain || !hostName(ascii) {
			v.faults.add(path, "must be the domain of the page that the code is typed on, like example.no: without https:// before it, and without a path")
		}
		v.Origin = ascii
	}
	name, path, given := o.optional("template")
	if !given {
		name = codes.DefaultTemplate
	}
	v.Template = name
	t := service.Template(name)
	if t == nil {
		if !v.faults.covers(path) {
			v.faults.add(path, "must be the name of a template that this service is set up with")
		}
		return
	}
	var languages []string // those that it has for each recipient
	for i, to := range v.To {
		have := t.Languages(to.Channel)
		if len(have) == 0 {
			v.faults.add(path, fmt.Sprintf("must be one that has a text for the channel %v", to.Channel))
		}
		if i == 0 {
			languages = have
		}
		languages = slices.DeleteFunc(slices.Clone(languages), func(l string) bool { return !slices.Contains(have, l) })
	}
	tag, path, given := o.optional("language")
	switch {
	case len(languages) == 0: // which is a fault already
	case !given:
		v.Language = codes.Accepted(accept, languages, service.DefaultLanguage())
	default:
		if v.Language = codes.Language(tag, languages); v.Language == "" {
			v.faults.add(path, "must be a language that the template has: "+either(languages))
		}
	}
}

// add records faults that the service found, each at its property.
func (v *verifying) add(found map[orders.Channel][]orders.Fault) {
	for channel, all := range found {
		recipient := v.paths[channel]
		for _, f := range all {
			path := recipient.path
			switch f.Field {
			case orders.FieldRecipient:
				path, _ = recipient.find(map[orders.Channel]string{orders.SMS: "phoneNumber", orders.Email: "emailAddress"}[channel])
			case orders.FieldSender:
				path, _ = recipient.find("sender")
			}
			if !v.faults.covers(path) {
				v.faults.add(path, f.Message)
			}
		}
	}
}

// attempt is a code to check.
type attempt struct {
	code, template string
	to             codes.Address // of a check by recipient
}

// decodeAttempt reads a code, and, of a check by recipient, whose.
func (a *api) decodeAttempt(x *exchange, body []byte, byRecipient bool) (at attempt, f faults) {
	o, ok := root(body, verificationNames, &f)
	if !ok {
		return at, f
	}
	code, path := o.required("code")
	at.code = code
	switch {
	case f.covers(path):
	case len(code) > maxCode:
		f.add(path, fmt.Sprintf("must be the code as the person typed it, of at most %d octets", maxCode))
	case codes.Normal(code) == "":
		f.add(path, "has nothing but blanks and hyphens")
	}
	if !byRecipient {
		return at, f
	}
	at.template, _, _ = o.optional("template")
	to, path := o.required("recipient")
	to = strings.TrimSpace(to)
	switch {
	case f.covers(path):
	case strings.Contains(to, "@"):
		at.to = codes.Address{Channel: orders.Email, To: orders.Recipient(to)}
		if err := checkAddress(to); err != nil {
			f.add(path, err.Error())
		}
	default:
		number, err := a.settings.Load().numbers[x.who.Organisation].Parse(to)
		if err != nil {
			f.add(path, err.Error())
		}
		at.to = codes.Address{Channel: orders.SMS, To: orders.Recipient(number)}
	}
	return at, f
}

// decodeResend reads on which channel a code is sent again; 0: on the first.
func decodeResend(body []byte) (c orders.Channel, f faults) {
	if len(body) == 0 {
		return 0, nil
	}
	o, ok := root(body, verificationNames, &f)
	if !ok {
		return 0, f
	}
	name, path, given := o.optional("channel")
	switch {
	case !given:
	case strings.EqualFold(name, orders.SMS.String()):
		c = orders.SMS
	case strings.EqualFold(name, orders.Email.String()):
		c = orders.Email
	default:
		f.add(path, "must be "+either([]string{orders.SMS.String(), orders.Email.String()}))
	}
	return c, f
}
