package console

import (
	"cmp"
	"strings"
	"time"
)

// sentence says what became of a message.
func (l lang) sentence(m *Message, now time.Time) string {
	carrier, after := cmp.Or(m.Carrier, l.say("theCarrier")), l.decimal(span(m.Updated.Sub(m.Accepted)))
	deadline := clock(m.Deadline, now)
	text := ""
	switch {
	case m.Delivered:
		text = l.say("said.delivered", carrier, after)
	case strings.HasSuffix(m.Status, "_RecipientReserved"):
		text = l.say("said.blocked")
	case strings.HasSuffix(m.Status, "_SuppressedRecipient"):
		text = l.say("said.suppressed")
	case m.Final && strings.HasSuffix(m.Status, "_Succeeded"):
		text = l.say("said.settled", carrier, deadline)
	case strings.HasSuffix(m.Status, "_TTL"):
		text = l.say("said.ttl", carrier, deadline)
	case m.Carrier == "" && strings.HasSuffix(m.Status, "_Failed"):
		text = l.say("said.tooLate")
	case m.Final:
		text = l.say("said.failed", carrier, after)
	case m.Free:
		text = l.say("said.notSent")
	case strings.HasSuffix(m.Status, "_Sending") && !m.Answered:
		text = l.say("said.perhaps", carrier, deadline)
	default:
		text = l.say("said.taken", carrier, deadline)
	}
	first := []rune(text)
	return strings.ToUpper(string(first[:1])) + string(first[1:])
}

// blocked reports whether the message was not sent since its recipient is blocked or suppressed.
func blocked(m *Message) bool {
	return strings.HasSuffix(m.Status, "_RecipientReserved") || strings.HasSuffix(m.Status, "_SuppressedRecipient")
}
