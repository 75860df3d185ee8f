package relaytest

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// text returns the mail that comes back of m.
func (r *Report) text(m Message) []byte {
	var parts [3]string
	header := fmt.Sprintf("Date: %s\nTo: %s\nMIME-Version: 1.0\n", time.Now().Format(time.RFC1123Z), m.From)
	switch r.Kind {
	case AutoReply:
		return crlf(header + fmt.Sprintf("From: %s\nSubject: Out of office\nAuto-Submitted: auto-replied\nIn-Reply-To: %s\n"+
			"Content-Type: text/plain\n\nI'm away until Monday.\n", m.To, m.field("Message-ID")))
	case Complaint:
		header += "From: feedback@relay.test\nSubject: Complaint\nContent-Type: multipart/report; report-type=feedback-report; boundary=\"part\"\n"
		parts = [3]string{
			"text/plain\n\nA recipient calls this mail spam.\n",
			"message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: relaytest\nVersion: 1\n",
		}
	default:
		header += "From: MAILER-DAEMON@relay.test\nSubject: Delivery Status Notification\nAuto-Submitted: auto-replied\n" +
			"Content-Type: multipart/report; report-type=delivery-status; boundary=\"part\"\n"
		parts = [3]string{
			fmt.Sprintf("text/plain\n\nThis is the mail system at host relay.test.\n<%s>: %s\n", m.To, r.Diagnostic),
			"message/delivery-status\n\n" + r.fields(m),
		}
	}
	parts[2] = "text/rfc822-headers\n\n" + string(m.header()) + "\n"
	var out strings.Builder
	out.WriteString(header)
	for _, part := range parts {
		out.WriteString("\n--part\nContent-Type: " + part)
	}
	out.WriteString("\n--part--\n")
	return crlf(out.String())
}

// fields returns the fields of a delivery report (RFC 3464 §2).
func (r *Report) fields(m Message) string {
	perMessage := "Reporting-MTA: dns; relay.test\n"
	if m.EnvelopeID != "" {
		perMessage += "Original-Envelope-Id: " + m.EnvelopeID + "\n"
	}
	return fmt.Sprintf("%s\nFinal-Recipient: rfc822; %s\nAction: %s\nStatus: %s\nRemote-MTA: dns; mx.test\nDiagnostic-Code: smtp; %s\n",
		perMessage, m.To, r.Action, r.Status, r.Diagnostic)
}

// header returns the header of the mail, as RET=HDRS (RFC 3461 §4.3) asks for.
func (m *Message) header() []byte {
	header, _, _ := bytes.Cut(m.Data, []byte("\r\n\r\n"))
	return append(bytes.ReplaceAll(header, []byte("\r\n"), []byte("\n")), '\n')
}

// field returns the value of a field of the mail's header.
func (m *Message) field(name string) string {
	for line := range strings.Lines(string(m.header())) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(key, name) {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func crlf(text string) []byte { return []byte(strings.ReplaceAll(text, "\n", "\r\n")) }
