package inbox

import (
	"context"
	"slices"
	"sync"
)

// MaxMessages bounds the messages of an inbox, whatever their size.
const MaxMessages = 10_000

// overhead is what a message counts for beside its texts, in octets.
const overhead = 1 << 10

// Inbox keeps the newest messages. All methods are safe for concurrent use.
type Inbox struct {
	limit int // octets

	mu       sync.Mutex
	messages []*Message          // oldest first
	size     int                 // octets, the sum of theirs
	last     int64               // highest ID
	open     map[submitKey]int64 // SMS of which some part was not taken yet
	ids      map[string]int64    // the SMS by the SMSC's message ids of its parts
	changed  chan struct{}       // closed and replaced with every change
}

// New returns an empty inbox that keeps limit octets.
func New(limit int) *Inbox {
	return &Inbox{limit: limit, open: map[submitKey]int64{}, ids: map[string]int64{}, changed: make(chan struct{})}
}

// add stores a new message and returns its ID. The caller holds mu.
func (b *Inbox) add(m Message) int64 {
	b.last++
	m.ID = b.last
	m.size = m.octets()
	b.size += m.size
	b.messages = append(b.messages, &m)
	b.trim()
	b.announce()
	return m.ID
}

// change replaces a message by what edit makes of a copy. Readers may still have the one
// before. The caller holds mu.
func (b *Inbox) change(id int64, edit func(*Message)) {
	i, ok := b.find(id)
	if !ok {
		return
	}
	m := *b.messages[i]
	if m.SMS != nil {
		sms := *m.SMS
		sms.Parts, sms.Receipts, sms.Answers = slices.Clone(sms.Parts), slices.Clone(sms.Receipts), slices.Clone(sms.Answers)
		m.SMS = &sms
	}
	edit(&m)
	b.size -= m.size
	m.size = m.octets()
	b.size += m.size
	b.messages[i] = &m
	b.trim()
	b.announce()
}

// octets is what a message counts for in the bound.
func (m *Message) octets() int {
	n := overhead + len(m.From) + len(m.To) + len(m.Text)
	if m.SMS != nil {
		for _, p := range m.SMS.Parts {
			n += 100 + len(p.Text) + len(p.MessageID)
		}
		n += 20 * (len(m.SMS.Receipts) + len(m.SMS.Odd))
		for _, a := range m.SMS.Answers {
			n += 20 + len(a)
		}
	}
	if m.Email != nil {
		n += len(m.Email.raw) + len(m.Email.HTML) + len(m.Email.Subject)
		for _, h := range m.Email.Headers {
			n += 40 + len(h.Name) + len(h.Value)
		}
		for _, l := range m.Email.Links {
			n += 20 + len(l)
		}
	}
	return n
}

// trim removes the oldest messages beyond the bounds. The newest stays, whatever its size:
// the simulators bound that.
func (b *Inbox) trim() {
	for len(b.messages) > 1 && (b.size > b.limit || len(b.messages) > MaxMessages) {
		b.forget(b.messages[0])
		b.messages = slices.Delete(b.messages, 0, 1)
	}
}

// forget removes what refers to a message.
func (b *Inbox) forget(m *Message) {
	b.size -= m.size
	if m.SMS == nil {
		return
	}
	for _, p := range m.SMS.Parts {
		delete(b.ids, p.MessageID)
		if key := keyOf(m, p); b.open[key] == m.ID {
			delete(b.open, key)
		}
	}
}

func (b *Inbox) announce() {
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *Inbox) find(id int64) (int, bool) {
	return slices.BinarySearchFunc(b.messages, id, func(m *Message, id int64) int { return int(m.ID - id) })
}

// Get returns a message; nil if there is none with that ID, or no longer.
func (b *Inbox) Get(id int64) *Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i, ok := b.find(id); ok {
		return b.messages[i]
	}
	return nil
}

// List returns at most limit of the messages asked for, newest first, and how many there are.
func (b *Inbox) List(q Query, limit int) (list []*Message, total int) {
	b.mu.Lock()
	messages := slices.Clone(b.messages)
	b.mu.Unlock()
	for _, m := range slices.Backward(messages) {
		if q.matches(m) {
			if total++; len(list) < limit {
				list = append(list, m)
			}
		}
	}
	return list, total
}

// Wait returns the newest of the messages asked for, as soon as there is one. If ctx ends
// first, it returns nil.
func (b *Inbox) Wait(ctx context.Context, q Query) *Message {
	for {
		changed := b.Changed()
		if list, _ := b.List(q, 1); len(list) > 0 {
			return list[0]
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// Changed returns a channel that is closed with the next change.
func (b *Inbox) Changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changed
}

// Touch announces a change of what pages show besides messages.
func (b *Inbox) Touch() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.announce()
}

// Delete removes the messages asked for, and returns how many there were. IDs go on.
func (b *Inbox) Delete(q Query) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.messages)
	b.messages = slices.DeleteFunc(b.messages, func(m *Message) bool {
		gone := q.matches(m)
		if gone {
			b.forget(m)
		}
		return gone
	})
	b.announce()
	return before - len(b.messages)
}
