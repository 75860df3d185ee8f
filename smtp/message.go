package smtp

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// Message is one mail to one recipient.
type Message struct {
	ID           string // shipment id, a UUID: becomes the Message-ID and the DSN envelope id
	Organisation string // chooses the route, and stands in Feedback-ID
	From         string // sender's address; the caller fills in a default
	Name         string // of the sender, shown with From; may be empty
	ReplyTo      string // address for replies; empty: those go to From
	To           string // recipient's address
	Subject      string
	Body         string
	HTML         bool // Body is HTML; the mail then has a text alternative too

	Envelope
	Attached *Attached // a mail that this one carries; the text is then plain. May be nil
}

// LogValue keeps text, subject and recipient out of logs.
func (m Message) LogValue() slog.Value {
	return slog.GroupValue(slog.String("shipment", m.ID), slog.String("to", maskAddress(m.To)))
}

// maskAddress returns "***@example.org" for an address, "***" for anything else.
func maskAddress(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return "***"
	}
	return "***" + s[at:]
}

// Field names the part of a Message that a Fault is about.
type Field string

const (
	FieldID      Field = "id"
	FieldFrom    Field = "from"
	FieldName    Field = "name"
	FieldReplyTo Field = "reply_to"
	FieldTo      Field = "to"
	FieldSubject Field = "subject"
	FieldBody    Field = "body"

	FieldReturnPath Field = "return_path"
)

// Fault is one reason why a message can never be sent, in words for its author. It
// quotes nothing of the message.
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

// Limits of a mail. The API's are narrower; these bound the mail's lines and our memory.
const (
	maxSubject = 998     // octets, RFC 5322 §2.1.1
	maxBody    = 4 << 20 // octets, before encoding
)

// Check returns every fault of m, as Faults, or nil. It looks at nothing but m and the routes: a recipient
// that no relay can serve is found by Send.
func (p *Pool) Check(m Message) error {
	if faults := p.setup.Load().check(m); len(faults) > 0 {
		return faults
	}
	return nil
}

func (s *setup) check(m Message) Faults {
	from, to, faults := check(m)
	if faults == nil && s.routeOf(from, to, m.Organisation) == nil {
		faults = Faults{{FieldTo, noRoute}}
	}
	return faults
}

// check returns the addresses of m, or every fault of m.
func check(m Message) (from, to address, faults Faults) {
	fault := func(f Field, message string) { faults = append(faults, Fault{f, message}) }
	from, err := parseAddress(m.From)
	if err != nil {
		fault(FieldFrom, err.Error())
	}
	if to, err = parseAddress(m.To); err != nil {
		fault(FieldTo, err.Error())
	}
	if _, err := parseReturnPath(m.ReturnPath); err != nil {
		fault(FieldReturnPath, err.Error())
	}
	if reply, err := parseAddress(m.ReplyTo); m.ReplyTo != "" && (err != nil || reply.utf8()) {
		fault(FieldReplyTo, "must be one address of ASCII letters")
	}
	if err := CheckName(m.Name); err != nil {
		fault(FieldName, err.Error())
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

// letter is a Message ready to be sent: addresses checked, lines legal. It is
// the same for every relay.
type letter struct {
	id         string
	from, to   address
	returnPath string // as MAIL FROM has it between its angle brackets
	utf8       bool   // an address needs SMTPUTF8
	data       []byte
	message    Message  // to recognise quotations in a relay's text
	relays     []*relay // of its route, in the order in which it tries them if all are well
	declines   []decline
	deferrals  []*relay // that replied 4yz to RCPT once, and get a second attempt
}

// newLetter builds the mail. Its error is a Faults when m can never be sent.
func newLetter(m Message, date time.Time) (*letter, error) {
	from, to, faults := check(m)
	if len(faults) > 0 {
		return nil, faults
	}
	l := &letter{id: m.ID, from: from, to: to, message: m}
	var err error
	if l.returnPath, err = parseReturnPath(m.ReturnPath); err != nil {
		return nil, err // check has accepted it
	}
	l.utf8 = from.utf8() || to.utf8() || !isASCII(l.returnPath)
	l.data, err = build(m, from, to, date)
	return l, err
}

// build writes the mail: RFC 5322 header, RFC 2045 body. An HTML mail is
// multipart/alternative with the text first, best last (RFC 2046 §5.1.4).
func build(m Message, from, to address, date time.Time) ([]byte, error) {
	var out bytes.Buffer
	header := fields(m, from, to, date)
	if m.Attached != nil {
		return buildAttached(header, m)
	}
	if !m.HTML {
		err := writeText(&header.Header, "text/plain", m.Body, func(h message.Header) (io.WriteCloser, error) {
			return message.CreateWriter(&out, h)
		})
		return out.Bytes(), err
	}
	header.SetContentType("multipart/alternative", nil)
	w, err := message.CreateWriter(&out, header.Header)
	if err != nil {
		return nil, err
	}
	part := func(h message.Header) (io.WriteCloser, error) { return w.CreatePart(h) }
	if err := writeText(new(message.Header), "text/plain", alternative(m), part); err != nil {
		return nil, err
	}
	if err := writeText(new(message.Header), "text/html", m.Body, part); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// alternative returns the text alternative of an HTML mail: the subject, where the mail has nothing but images. Filters
// take an empty text part for spam.
func alternative(m Message) string {
	if text := textOf(m.Body); strings.TrimSpace(text) != "" {
		return text
	}
	return m.Subject
}

// fields returns the header, last field first: go-message writes it in reverse.
func fields(m Message, from, to address, date time.Time) mail.Header {
	var h mail.Header
	h.Set("X-Auto-Response-Suppress", "OOF, AutoReply") // the same for Exchange; reports may come
	h.Set("Auto-Submitted", "auto-generated")           // RFC 3834 §5: prevents vacation replies
	h.Set("Feedback-ID", feedbackID(m.Organisation))
	h.SetMessageID(m.ID + "@" + from.domain)
	h.Set("Subject", encoded(m.Subject))
	h.Set("To", "<"+to.String()+">")
	if reply, err := parseAddress(m.ReplyTo); err == nil {
		h.Set("Reply-To", mailbox("Reply-To", m.Name, reply))
	}
	h.Set("From", mailbox("From", m.Name, from))
	h.SetDate(date)
	return h
}

// feedbackID returns the value by which mailbox providers sort complaints: the organisation, the kind of mail and
// the sender, with nothing about the recipient or the mail. It is "campaign:customer:type:sender":
// https://support.google.com/a/answer/6254652.
func feedbackID(organisation string) string {
	return "instant:" + organisation + ":notification:straks"
}

// writeText writes one text part in a suitable encoding.
func writeText(h *message.Header, mediaType, text string, create func(message.Header) (io.WriteCloser, error)) error {
	text = canonicalLines(text)
	h.SetContentType(mediaType, map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", encodingFor(text))
	w, err := create(*h)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return w.Close()
}

// canonicalLines ends every line with CRLF. A lone CR or LF must never be sent: a relay that takes
// it for a line end could see a final dot in the text (SMTP smuggling).
func canonicalLines(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	if !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return strings.ReplaceAll(s, "\n", "\r\n")
}

// encodingFor chooses an encoding that passes any relay, with or without 8BITMIME: 7bit for
// short ASCII lines, quoted-printable (which people can read) for mostly ASCII text, else base64.
func encodingFor(text string) string {
	encoded, line, long := 0, 0, false
	for _, c := range []byte(text) {
		line++
		switch {
		case c == '\n':
			line = 0
		case c >= 0x80 || c < ' ' && c != '\r' && c != '\t':
			encoded++
		}
		long = long || line > 78
	}
	switch {
	case encoded > len(text)/4:
		return "base64"
	case encoded > 0 || long:
		return "quoted-printable"
	}
	return "7bit"
}
