package smpp

import (
	"errors"
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
	d.session.urge(outgoing{Header: h, body: noMessageID, delivery: true})
}

// deliver gives a delivery to its taker, or answers it when it cannot be read or
// too many are waiting.
func (s *Session) deliver(f wire.Frame) {
	body, err := wire.Decode(f)
	m, _ := body.(*wire.Message)
	var fault *wire.DecodeError
	if errors.As(err, &fault) {
		if m == nil || len(m.ShortMessage) == 0 {
			s.undecodable(f, fault)
			return
		}
		s.cfg.Observe.Undecodable(fault) // a TLV, while the text is there
	}
	if !s.admit() {
		s.cfg.Observe.Overflow()
		s.reply(f.ID.Response(), wire.ESMERxTAppn, f.Sequence, nil)
		return
	}
	s.cfg.Deliver(&Delivery{Command: f.ID, Message: m, Received: time.Now(), session: s, sequence: f.Sequence})
}

// admit counts a delivery in, if there is room for it.
func (s *Session) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.unanswered >= s.cfg.Deliveries {
		return false
	}
	s.unanswered++
	return true
}
