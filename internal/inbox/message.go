package inbox

import (
	"slices"
	"strings"
	"time"
)

// Values of Message.Channel.
const (
	ChannelSMS   = "sms"
	ChannelEmail = "email"
)

// Values of Message.State.
const (
	StateAccepted   = "accepted"   // the carrier took it
	StateIncomplete = "incomplete" // the SMSC took some parts of it
	StateRefused    = "refused"    // the SMSC refused it
)

// Message is an SMS or a mail that came to a carrier. It is not changed once it was handed
// out.
type Message struct {
	ID      int64     `json:"id"` // 1, 2, …: a later message has a higher one
	Channel string    `json:"channel"`
	At      time.Time `json:"at"` // of the mail, or of the first part
	From    string    `json:"from"`
	To      string    `json:"to"` // a number with its +, or an address
	Text    string    `json:"text"`
	State   string    `json:"state"`
	SMS     *SMS      `json:"sms,omitempty"`
	Email   *Email    `json:"email,omitempty"`

	size int // what it counts for in the bound, in octets
}

// SMS is what a message of that channel has besides.
type SMS struct {
	Encoding string   `json:"encoding"`           // "GSM 7-bit", "UCS-2", …
	Total    int      `json:"total"`              // parts that it should have
	Parts    []Part   `json:"parts"`              // those that came, by Index
	Attempts int      `json:"attempts"`           // submits; more than the parts if some were refused first
	Receipts []string `json:"receipts"`           // states of the receipts sent for it, in order: "DELIVRD", …
	Odd      []string `json:"notInGSM,omitempty"` // characters that the GSM alphabet lacks, each once
	Reply    string   `json:"replyTo,omitempty"`  // where an answer goes; empty: the sender can't be answered
	Answers  []string `json:"answers,omitempty"`  // texts that buttons answered with
}

// Part is one short message.
type Part struct {
	Index     int    `json:"index"` // from 1
	Text      string `json:"text"`
	Used      int    `json:"used"`   // characters as the encoding counts them
	Room      int    `json:"room"`   // how many of them fit
	Status    string `json:"status"` // command_status of the last attempt
	MessageID string `json:"messageId,omitempty"`

	reference uint16 // of the concatenation
	taken     bool
}

// Email is what a message of that channel has besides. The mail itself is at .eml.
type Email struct {
	Subject string   `json:"subject"`
	HTML    string   `json:"html,omitempty"`
	Headers []Header `json:"headers"` // in order, decoded
	Links   []string `json:"links"`   // http and https, of the Html or else of the text, each once
	Size    int      `json:"size"`    // octets
	Fault   string   `json:"fault,omitempty"`

	raw []byte
}

// Header is one field of a mail's header.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Receipt returns the state of the newest receipt; empty if there was none.
func (s *SMS) Receipt() string {
	if len(s.Receipts) == 0 {
		return ""
	}
	return s.Receipts[len(s.Receipts)-1]
}

// Query says which messages a reader asks for. The zero value asks for all.
type Query struct {
	To      string // a number in any common form, or an address
	Channel string
	After   int64  // IDs above it
	Taken   bool   // only messages that the carrier took as a whole
	Words   string // in recipient, sender, subject or text, in any letter case
}

func (q Query) matches(m *Message) bool {
	switch {
	case m.ID <= q.After, q.Channel != "" && q.Channel != m.Channel, q.Taken && m.State != StateAccepted:
		return false
	case q.To != "" && addressKey(q.To) != addressKey(m.To):
		return false
	}
	words := strings.ToLower(strings.TrimSpace(q.Words))
	return words == "" || slices.ContainsFunc([]string{m.To, m.From, m.Subject(), m.Text}, func(s string) bool {
		return strings.Contains(strings.ToLower(s), words)
	})
}

// Subject returns the subject of a mail; empty for an SMS.
func (m *Message) Subject() string {
	if m.Email == nil {
		return ""
	}
	return m.Email.Subject
}

// addressKey is the same for all forms of a number: +47…, 0047…, 47…, with blanks. In a URL
// an unescaped + is a blank. Letter case does not count in a mail's address.
func addressKey(to string) string {
	to = strings.ToLower(strings.TrimSpace(to))
	if strings.Contains(to, "@") {
		return to
	}
	to = strings.NewReplacer(" ", "", "-", "", "+", "").Replace(to)
	return strings.TrimPrefix(to, "00")
}
