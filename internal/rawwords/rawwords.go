// Package rawwords carries what SMSCs and relays say, word for word, to an operator who listens just
// now. Such words may quote a message, its recipient or a password, so they are never stored: where
// nobody listens they are gone, and a listener that falls behind loses some.
package rawwords

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// MaxOctets bounds Words.Text.
const MaxOctets = 4 << 10

// Further bounds. A listener holds at most maxWaiting × MaxOctets, 1 MiB.
const (
	maxListeners = 4
	maxWaiting   = 256
)

// ErrBusy reports that as many listen as may.
var ErrBusy = errors.New("4 operators listen already")

// Words is what a carrier said.
type Words struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"`           // "reply", "receipt", "response"
	Text string    `json:"text"`           // at most 4 KiB; not fit for a terminal as it is
	Lost int       `json:"lost,omitempty"` // before these, since the listener fell behind
}

// Hub carries words from carriers to listeners. Its zero value is ready, and a nil *Hub carries
// nothing. It is safe for concurrent use.
type Hub struct {
	listening atomic.Int32 // so that a carrier that nobody listens to costs one load
	mu        sync.Mutex
	listeners []*listener
}

type listener struct {
	carrier string
	words   chan Words
	lost    int // Hub.mu guards it
}

// Say gives text() to those who listen to the carrier, and does not wait. It calls text only if
// someone listens.
func (h *Hub) Say(carrier, kind string, text func() string) {
	if h == nil || h.listening.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w := Words{}
	for _, l := range h.listeners {
		if l.carrier != carrier {
			continue
		}
		if w.Kind == "" {
			w = Words{At: time.Now().UTC(), Kind: kind, Text: text()}
			w.Text = w.Text[:min(len(w.Text), MaxOctets)]
		}
		w.Lost = l.lost
		select {
		case l.words <- w:
			l.lost = 0
		default:
			l.lost++
		}
	}
}

// Listen calls each with what the carrier says until ctx ends, or each fails: at once and whenever a
// pause has passed without a word, with the zero Words. It returns ErrBusy, the error of each, or nil
// at the end of ctx.
func (h *Hub) Listen(ctx context.Context, carrier string, pause time.Duration, each func(Words) error) error {
	l := &listener{carrier: carrier, words: make(chan Words, maxWaiting)}
	if !h.add(l) {
		return ErrBusy
	}
	defer h.remove(l)
	silence := time.NewTicker(pause)
	defer silence.Stop()
	for w := (Words{}); ; {
		if err := each(w); err != nil {
			return err
		}
		silence.Reset(pause)
		select {
		case w = <-l.words:
		case <-silence.C:
			w = Words{}
		case <-ctx.Done():
			return nil
		}
	}
}

func (h *Hub) add(l *listener) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.listeners) == maxListeners {
		return false
	}
	h.listeners = append(h.listeners, l)
	h.listening.Store(int32(len(h.listeners)))
	return true
}

func (h *Hub) remove(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, other := range h.listeners {
		if other == l {
			h.listeners = append(h.listeners[:i:i], h.listeners[i+1:]...)
			break
		}
	}
	h.listening.Store(int32(len(h.listeners)))
}
