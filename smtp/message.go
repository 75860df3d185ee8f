package smtp

import (
	"errors"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Message is one mail to one recipient.
type Message struct {
	ID      string // shipment id, a UUID: becomes the Message-ID and the DSN envelope id
	From    string // sender's address; never empty, the default sender is the caller's to fill in
	To      string // recipient's address
	Subject string
	Body    string
	HTML    bool // Body is HTML; the mail then gets a text alternative too
}

// LogValue keeps text, subject and recipient out of logs.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("shipment", m.ID), slog.String("to", maskAddress(m.To)))
}

// Field names the part of a Message that a Fault is about.
type Field string

const (
	FieldID      Field = "id"
	FieldFrom    Field = "from"
	FieldTo      Field = "to"
	FieldSubject Field = "subject"
	FieldBody    Field = "body"
)

// Fault is one reason why a message can never be sent, in words for whoever
// wrote it. It quotes nothing of the message.
type Fault struct {
	Field   Field
	Message string
}

func (f Fault) Error() string { return string(f.Field) + " " + f.Message }

// Faults is every fault of a message.
type Faults []Fault

func (f Faults) Error() string {
	words := make([]string, len(f))
	for i := range f {
		words[i] = f[i].Error()
	}
	return strings.Join(words, "; ")
}

// Limits of what a mail may be. The HTTP front has narrower ones; these keep
// the mail's lines and our memory within bounds.
const (
	maxSubject = 998     // octets, RFC 5322 §2.1.1
	maxBody    = 4 << 20 // octets, before encoding
)

// Check tells everything that keeps m from ever being sent, as Faults, or nil.
// It looks at nothing but m: a recipient that no relay can serve shows only in Send.
func (p *Pool) Check(m Message) error {
	_, err := newLetter(m, time.Time{})
	var faults Faults
	if errors.As(err, &faults) {
		return faults
	}
	return nil
}

// check tells every fault of m and returns its addresses.
func check(m Message) (from, to address, faults Faults) {
	fault := func(f Field, message string) { faults = append(faults, Fault{f, message}) }
	from, err := parseAddress(m.From)
	if err != nil {
		fault(FieldFrom, err.Error())
	}
	if to, err = parseAddress(m.To); err != nil {
		fault(FieldTo, err.Error())
	}
	if !isMessageID(m.ID) {
		fault(FieldID, "must be 1 to 64 letters, digits or hyphens")
	}
	switch {
	case len(m.Subject) > maxSubject:
		fault(FieldSubject, "is longer than 998 octets")
	case strings.ContainsFunc(m.Subject, unicode.IsControl):
		fault(FieldSubject, "must be one line without control characters")
	case !utf8.ValidString(m.Subject):
		fault(FieldSubject, "is not valid UTF-8")
	}
	switch {
	case len(m.Body) > maxBody:
		fault(FieldBody, "is longer than 4 MiB")
	case !utf8.ValidString(m.Body):
		fault(FieldBody, "is not valid UTF-8")
	case strings.ContainsRune(m.Body, 0):
		fault(FieldBody, "must not contain NUL")
	}
	return from, to, faults
}

func isMessageID(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}
