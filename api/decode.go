package api

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"straks/internal/numbers"
	"straks/orders"
)

// Bounds of an order.
const (
	MinTTL   = time.Minute    // of an SMS
	MaxTTL   = 48 * time.Hour // likewise
	emailTTL = MaxTTL
	// maxID bounds idempotencyId and sendersReference, which the journal stores and the feed repeats, in octets
	// as answers have them in JSON.
	maxID = 1024
)

// placing is an order as it was read from a request, and where each of its
// fields stands there.
type placing struct {
	order   orders.Order
	faults  faults
	paths   [5]string      // in the order of fields
	numbers *numbers.Rules // which numbers an SMS may go to
	refused string         // why a valid number is refused; empty where none is
}

var fields = [5]orders.Field{
	orders.FieldChannel, orders.FieldRecipient, orders.FieldSender, orders.FieldSubject, orders.FieldBody,
}

// add records faults that the service found, each at its property. A property that has a fault
// already gets no second one.
func (p *placing) add(found []orders.Fault) {
	before := maps.Clone(p.faults)
	for _, f := range found {
		if path := p.path(f.Field); !before.covers(path) {
			p.faults.add(path, f.Message)
		}
	}
}

// path returns where the field stands in the request.
func (p *placing) path(f orders.Field) string {
	if i := slices.Index(fields[:], f); i >= 0 && p.paths[i] != "" {
		return p.paths[i]
	}
	return "$"
}

// form reads one of the three bodies of an order into p.
type form func(body object, p *placing)

// decode reads an order. The result lists all faults of the body.
func decode(body []byte, read form, rules *numbers.Rules) *placing {
	p := &placing{numbers: rules}
	o, ok := root(body, orderNames, &p.faults)
	if !ok {
		return p
	}
	p.order.Key, p.order.SendersReference = identity(o)
	read(o, p)
	return p
}

func identity(root object) (key, reference string) {
	key, path := root.required("idempotencyId")
	checkID(root, path, key)
	reference, path, _ = root.optional("sendersReference")
	checkID(root, path, reference)
	return key, reference
}

// checkID records a fault of an id that is too long.
func checkID(root object, path, id string) {
	if len(id) > maxID/6 && octetsInJSON(id) > maxID {
		root.faults.add(path, "must take at most 1024 octets in JSON: letters of ASCII take one, å and the like two, < > & and control characters six")
	}
}

// readWrapped is the older form of the SMS call: one level deeper.
func readWrapped(body object, p *placing) { readSMS(body.object("recipient"), p) }

func readSMS(body object, p *placing) {
	recipient := body.object("recipientSms")
	phone, phonePath := recipient.required("phoneNumber")
	ttl := recipient.integer("timeToLiveInSeconds", int(MinTTL/time.Second), int(MaxTTL/time.Second))
	settings := recipient.object("smsSettings")
	sender, senderPath, _ := settings.optional("sender")
	text, textPath := settings.required("body")

	if phone != "" && !p.faults.covers(phonePath) {
		number, err := p.numbers.Parse(phone)
		if err != nil {
			p.faults.add(phonePath, err.Error())
		}
		if refusal := (*numbers.Refusal)(nil); errors.As(err, &refusal) {
			p.refused = refusal.Rule
		}
		phone = number
	}
	p.order.TTL = time.Duration(ttl) * time.Second
	p.order.Message = orders.Message{
		Channel: orders.SMS, To: orders.Recipient(phone), From: strings.TrimSpace(sender), Body: text,
	}
	p.paths = [5]string{recipient.path, phonePath, senderPath, "", textPath}
}

// breaks makes one line of a subject.
var breaks = strings.NewReplacer("\r\n", " ", "\r", " ", "\n", " ", "\t", " ", "\u0085", " ", "\u2028", " ", "\u2029", " ")

func readEmail(body object, p *placing) {
	recipient := body.object("recipientEmail")
	to, toPath := recipient.required("emailAddress")
	settings := recipient.object("emailSettings")
	subject, subjectPath := settings.required("subject")
	text, textPath := settings.required("body")
	sender, senderPath, hasSender := settings.optional("senderEmailAddress")
	contentType, typePath, hasType := settings.optional("contentType")

	sender = strings.TrimSpace(sender)
	html := strings.EqualFold(contentType, "Html")
	to = strings.TrimSpace(to)
	if to != "" && !p.checkAddress(to, toPath) {
		to = "" // as with numbers: an invalid address can't be masked for the log
	}
	if hasSender {
		p.checkAddress(sender, senderPath)
	}
	// A line break in the subject would begin another header.
	subject = breaks.Replace(subject)
	if strings.ContainsFunc(subject, unicode.IsControl) {
		p.faults.add(subjectPath, "must be free of control characters, except line breaks and tabs, which become blanks")
	}
	if hasType && !html && !strings.EqualFold(contentType, "Plain") {
		p.faults.add(typePath, `must be "Plain" or "Html"`)
	}
	p.order.TTL = emailTTL
	p.order.Message = orders.Message{
		Channel: orders.Email, To: orders.Recipient(to), From: sender, Subject: subject, Body: text, HTML: html,
	}
	p.paths = [5]string{recipient.path, toPath, senderPath, subjectPath, textPath}
}

// checkAddress reports whether an address is valid, and records its fault if not.
func (p *placing) checkAddress(address, path string) bool {
	if p.faults.covers(path) {
		return false
	}
	err := checkAddress(address)
	if err != nil {
		p.faults.add(path, err.Error())
	}
	return err == nil
}
