package smtp

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// letter is a Message ready to be sent: addresses checked, lines legal. It is
// the same for every relay.
type letter struct {
	id       string
	from, to address
	utf8     bool // an address needs SMTPUTF8
	data     []byte
	message  Message // to recognise what a relay quotes
}

// newLetter builds the mail. Its error is a Faults when m can never be sent.
// A zero date only checks.
func newLetter(m Message, date time.Time) (*letter, error) {
	from, to, faults := check(m)
	if len(faults) > 0 {
		return nil, faults
	}
	l := &letter{id: m.ID, from: from, to: to, utf8: from.utf8() || to.utf8(), message: m}
	if date.IsZero() {
		return l, nil
	}
	var err error
	l.data, err = build(m, from, to, date)
	return l, err
}

// says tells whether the mail's subject or text has the word in it.
func (l *letter) says(word string) bool {
	return strings.Contains(l.message.Subject, word) || strings.Contains(l.message.Body, word)
}

// build writes the mail: RFC 5322 header, RFC 2045 body. An HTML mail is
// multipart/alternative with the text first, best last (RFC 2046 §5.1.4).
func build(m Message, from, to address, date time.Time) ([]byte, error) {
	var out bytes.Buffer
	header := fields(m, from, to, date)
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
	if err := writeText(new(message.Header), "text/plain", textOf(m.Body), part); err != nil {
		return nil, err
	}
	if err := writeText(new(message.Header), "text/html", m.Body, part); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// fields returns the header. It is set last field first, the way go-message writes it.
func fields(m Message, from, to address, date time.Time) mail.Header {
	var h mail.Header
	h.Set("Auto-Submitted", "auto-generated") // RFC 3834 §5: no vacation replies, please
	h.SetMessageID(m.ID + "@" + from.domain)
	h.Set("Subject", encoded(m.Subject))
	h.Set("To", "<"+to.String()+">")
	h.Set("From", "<"+from.String()+">")
	h.SetDate(date)
	return h
}

// encoded returns a subject as it goes into the header. What package mime would leave as it is and
// readers would change, as what looks like an encoded word but is text, and space at its ends,
// is encoded here (RFC 2047 §2).
func encoded(subject string) string {
	if !strings.Contains(subject, "=?") && strings.TrimSpace(subject) == subject {
		return mime.QEncoding.Encode("utf-8", subject)
	}
	var words []string
	for rest := range slices.Chunk([]rune(subject), 11) { // whole characters, in the 75 octets that a word may have
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(string(rest)))+"?=")
	}
	return strings.Join(words, " ")
}

// writeText writes one part of text in the encoding that suits it.
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

// canonicalLines ends every line with CRLF. Lone CR and LF must never reach the
// wire: relays that read them as line ends can be made to see a final dot that
// is none.
func canonicalLines(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	if !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return strings.ReplaceAll(s, "\n", "\r\n")
}

// encodingFor chooses among the encodings that pass through any relay, with or
// without 8BITMIME: 7bit for short ASCII lines, quoted-printable (readable to
// the eye) for mostly ASCII text, else base64.
func encodingFor(text string) string {
	foreign, line, long := 0, 0, false
	for _, c := range []byte(text) {
		line++
		switch {
		case c == '\n':
			line = 0
		case c >= 0x80 || c < ' ' && c != '\r' && c != '\t':
			foreign++
		}
		long = long || line > 78
	}
	switch {
	case foreign > len(text)/4:
		return "base64"
	case foreign > 0 || long:
		return "quoted-printable"
	}
	return "7bit"
}
