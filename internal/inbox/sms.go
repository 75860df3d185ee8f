package inbox

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"straks/smpp/gsm"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// joinFor is how long after its first part a message may get further parts and attempts.
// References of parts are used again.
const joinFor = time.Minute

// maxOdd bounds the characters of Message.SMS.Odd.
const maxOdd = 20

// maxReceipts bounds the receipts that a message remembers.
const maxReceipts = 50

// submitKey is what attempts at one message, and its parts, have in common.
type submitKey struct {
	from, to  string
	reference uint16
	total     int
	text      string // of a message in one piece, which has no reference
}

func keyOf(m *Message, p Part) submitKey {
	k := submitKey{from: m.From, to: m.To, total: m.SMS.Total, reference: p.reference}
	if k.total == 1 {
		k.text = p.Text
	}
	return k
}

// Submitted is for smsctest's OnSubmit.
func (b *Inbox) Submitted(s smsctest.Submit) {
	part := newPart(s)
	m := Message{Channel: ChannelSMS, At: s.At, From: number(s.SourceTON, s.Source), To: number(s.DestTON, s.Dest),
		SMS: &SMS{Encoding: encoding(s.DataCoding), Total: 1, Receipts: []string{}}}
	if seg, ok := s.Segment(); ok && seg.Total > 1 {
		m.SMS.Total, part.Index, part.reference = seg.Total, seg.Index, seg.Reference
	}
	if s.SourceTON == international || strings.Trim(m.From, "0123456789+") == "" {
		m.SMS.Reply = strings.TrimPrefix(m.From, "+")
	}
	key := keyOf(&m, part)

	b.mu.Lock()
	defer b.mu.Unlock()
	id := b.open[key]
	if i, ok := b.find(id); !ok || !b.messages[i].awaits(part, s.At) {
		id = b.add(m)
	}
	b.change(id, func(m *Message) { m.put(part) })
	if part.taken {
		b.ids[part.MessageID] = id
	}
	if i, ok := b.find(id); ok && b.messages[i].complete() || !part.taken && !temporary(s.Status) {
		delete(b.open, key)
	} else {
		b.open[key] = id
	}
}

// Receipted is for smsctest's OnReceipt.
func (b *Inbox) Receipted(s smsctest.Submit, state string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if id, ok := b.ids[s.MessageID]; ok {
		b.change(id, func(m *Message) {
			if len(m.SMS.Receipts) < maxReceipts {
				m.SMS.Receipts = append(m.SMS.Receipts, state)
			}
		})
	}
}

// awaits reports whether the part belongs to the message: it lacks it, or the last attempt
// at it was refused.
func (m *Message) awaits(p Part, at time.Time) bool {
	i := slices.IndexFunc(m.SMS.Parts, func(has Part) bool { return has.Index == p.Index })
	return at.Sub(m.At) < joinFor && (i < 0 || !m.SMS.Parts[i].taken)
}

// put adds a part, or the next attempt at it.
func (m *Message) put(p Part) {
	s := m.SMS
	s.Attempts++
	i, has := slices.BinarySearchFunc(s.Parts, p, func(a, b Part) int { return cmp.Compare(a.Index, b.Index) })
	if has {
		s.Parts[i] = p
	} else {
		s.Parts = slices.Insert(s.Parts, i, p)
	}
	var text strings.Builder
	taken := 0
	for _, p := range s.Parts {
		text.WriteString(p.Text)
		if p.taken {
			taken++
		}
	}
	m.Text = text.String()
	s.Odd = odd(s.Encoding, m.Text)
	switch {
	case m.complete():
		m.State = StateAccepted
	case taken > 0:
		m.State = StateIncomplete
	default:
		m.State = StateRefused
	}
}

func (m *Message) complete() bool {
	return len(m.SMS.Parts) >= m.SMS.Total && !slices.ContainsFunc(m.SMS.Parts, func(p Part) bool { return !p.taken })
}

func newPart(s smsctest.Submit) Part {
	header := 0
	if h := s.UserDataHeader(); h != nil {
		header = 1 + len(h)
	}
	p := Part{Index: 1, Text: s.Text(), Used: len(s.Payload()) - header, Status: s.Status.String(), MessageID: s.MessageID, taken: s.Taken()}
	const octets = 140 // of a short message (3GPP TS 23.040 §9.2.3.16)
	switch s.DataCoding {
	case codingUCS2:
		p.Used, p.Room = p.Used/2, (octets-header)/2
	case codingLatin1:
		p.Room = octets - header
	default:
		p.Room = (octets - header) * 8 / 7
	}
	return p
}

// Values of data_coding and of type of number (SMPP 3.4 §5.2.19, §5.2.5).
const (
	codingIA5     = 1
	codingLatin1  = 3
	codingUCS2    = 8
	international = 1
)

func encoding(coding byte) string {
	switch coding {
	case codingIA5:
		return "IA5"
	case codingLatin1:
		return "Latin-1"
	case codingUCS2:
		return "UCS-2"
	}
	return "GSM 7-bit"
}

// odd returns the characters because of which a text is UCS-2.
func odd(encoding, text string) (list []string) {
	if encoding != "UCS-2" {
		return nil
	}
	for _, r := range text {
		c := string(r)
		if _, err := gsm.Encode(gsm.GSM7, c); err != nil && len(list) < maxOdd && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// temporary reports whether the gateway may submit the message again.
func temporary(s wire.Status) bool {
	return slices.Contains([]wire.Status{wire.ESMEThrottled, wire.ESMEMsgQFul, wire.ESMESysErr}, s)
}

// number returns an address as people write it.
func number(ton byte, address string) string {
	if ton == international && !strings.HasPrefix(address, "+") {
		return "+" + address
	}
	return address
}
