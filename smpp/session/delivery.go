package session

import (
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"straks/smpp/wire"
)

// Delivery is a deliver_sm or data_sm from the SMSC: a receipt or a message. The
// SMSC keeps it until it is answered, and repeats it when it is not.
type Delivery struct {
	Command  wire.CommandID // wire.DeliverSM or wire.DataSM
	Message  *wire.Message
	Received time.Time

	session  *Session
	sequence uint32
	octets   int // of its PDU
	answered atomic.Bool
}

// Respond answers the delivery: ESME_ROK when it is safely stored, ESME_RX_T_APPN
// to have it repeated. It never blocks and may be called from any goroutine;
// only the first call counts. After the session's end it does nothing, and the
// SMSC will deliver again.
func (d *Delivery) Respond(status wire.Status) {
	if d.answered.Swap(true) {
		return
	}
	h := wire.Header{ID: d.Command.Response(), Status: status, Sequence: d.sequence}
	d.session.urge(outgoing{Header: h, body: noMessageID, delivery: d.octets})
}

// deliver gives a delivery to its taker, or answers it when it cannot be read or
// too many are waiting.
func (s *Session) deliver(f wire.Frame) {
	body, err := wire.Decode(f)
	m, _ := body.(*wire.Message)
	var fault *wire.DecodeError
	if errors.As(err, &fault) {
		if m == nil || !saysSomething(m) {
			s.undecodable(f, fault)
			return
		}
		s.cfg.Observe.Undecodable(fault) // a TLV, behind what counts
	}
	octets := int(f.Length)
	if !s.admit(octets) {
		s.cfg.Observe.Overflow()
		s.reply(f.ID.Response(), wire.ESMERxTAppn, f.Sequence, nil)
		return
	}
	s.cfg.Deliver(&Delivery{Command: f.ID, Message: m, Received: time.Now(), session: s, sequence: f.Sequence, octets: octets})
}

// saysSomething tells whether what could be read of a delivery is worth keeping: a text,
// or a receipt in TLVs. Refused, it would come again as broken as it is.
func saysSomething(m *wire.Message) bool {
	return len(m.ShortMessage) > 0 || slices.ContainsFunc(m.TLVs, func(t wire.TLV) bool {
		return t.Tag == wire.TagMessagePayload || t.Tag == wire.TagReceiptedMessageID || t.Tag == wire.TagMessageState
	})
}

// admit counts a delivery in, if there is room for it. Where none waits there is
// room for one of any length: refused, it would come again for ever.
func (s *Session) admit(octets int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unanswered >= s.cfg.Deliveries || s.unanswered > 0 && s.unansweredOctets+octets > s.cfg.DeliveryOctets {
		return false
	}
	s.unanswered++
	s.unansweredOctets += octets
	return true
}

// released counts a delivery out whose answer is on its way. Under mu.
func (s *Session) released(octets int) {
	s.unanswered--
	s.unansweredOctets -= octets
}
