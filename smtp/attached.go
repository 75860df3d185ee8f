package smtp

import (
	"bytes"
	"io"
	"strings"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// Attached is a mail of somebody else that a message carries as it arrived.
type Attached struct {
	Mail []byte
	// Field and Value are a field in the header of the message that carries it, by which the message is known when it
	// comes back.
	Field, Value string
}

// buildAttached writes a message with its text and the mail that it carries.
func buildAttached(header mail.Header, m Message) ([]byte, error) {
	var out bytes.Buffer
	header.Set(m.Attached.Field, m.Attached.Value)
	header.SetContentType("multipart/mixed", nil)
	w, err := message.CreateWriter(&out, header.Header)
	if err != nil {
		return nil, err
	}
	part := func(h message.Header) (io.WriteCloser, error) { return w.CreatePart(h) }
	if err := writeText(new(message.Header), "text/plain", m.Body, part); err != nil {
		return nil, err
	}
	if err := m.Attached.write(part); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
}

// write writes the mail: as message/rfc822 where relays carry it unencoded, since RFC 2046 §5.2.1 lets that type have no
// encoding; else as a file.
func (a *Attached) write(create func(message.Header) (io.WriteCloser, error)) error {
	var h message.Header
	octets := []byte(canonicalLines(string(a.Mail)))
	if encodingFor7bit(octets) {
		h.SetContentType("message/rfc822", nil)
		h.Set("Content-Transfer-Encoding", "7bit")
	} else {
		octets = a.Mail
		h.SetContentType("application/octet-stream", map[string]string{"name": "mail.eml"})
		h.Set("Content-Transfer-Encoding", "base64")
	}
	h.SetContentDisposition("attachment", map[string]string{"filename": "mail.eml"})
	w, err := create(h)
	if err != nil {
		return err
	}
	if _, err := w.Write(octets); err != nil {
		return err
	}
	return w.Close()
}

// encodingFor7bit reports whether every relay carries the text as it is (RFC 2045 §2.7).
func encodingFor7bit(text []byte) bool {
	for line := range bytes.Lines(text) {
		if len(line) > 998+len("\r\n") {
			return false
		}
	}
	return !strings.ContainsFunc(string(text), func(r rune) bool { return r == 0 || r > 0x7e })
}
