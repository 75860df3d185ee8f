package session

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"straks/smpp/wire"
)

// read handles frame after frame until the connection ends.
func (s *Session) read() error {
	for {
		f, err := s.frames.Next()
		if err != nil {
			return s.readFailed(err)
		}
		s.lastRead.Store(int64(s.since()))
		s.handle(f)
		if !s.waitForWriter() {
			return nil
		}
	}
}

// readFailed returns ErrLost for a lost connection. Where framing is lost instead, the
// peer gets a generic_nack, and the session ends once that is written.
func (s *Session) readFailed(err error) error {
	var fault *wire.FrameError
	if !errors.As(err, &fault) {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	s.reply(wire.GenericNack, wire.ESMEInvCmdLen, 0, fmt.Errorf("%w: %w", errUnreadable, err))
	return nil
}

// waitForWriter waits while too many control PDUs are queued: a peer that
// asks and does not read is not read either. False means that the session ends.
func (s *Session) waitForWriter() bool {
	for {
		s.mu.Lock()
		full := len(s.controls) >= maxControls+s.cfg.Deliveries
		s.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-s.taken:
		case <-s.closing:
			return false
		}
	}
}

func (s *Session) handle(f wire.Frame) {
	switch {
	case f.ID == wire.EnquireLinkResp: // it counts as a sign of life, and that is all
	case f.ID.IsResponse():
		s.respond(f)
	case f.ID == wire.EnquireLink:
		s.reply(wire.EnquireLinkResp, wire.ESMEOK, f.Sequence, nil)
	case f.ID == wire.DeliverSM || f.ID == wire.DataSM:
		s.deliver(f)
	case f.ID == wire.Unbind:
		s.unbindFromPeer(f.Sequence)
	case f.ID == wire.AlertNotification || f.ID == wire.Outbind:
		// They have no response (SMPP 3.4 §4.1.7, §4.12.1), and we asked for no alerts.
	default:
		s.undecodable(f, &wire.DecodeError{ID: f.ID, Status: wire.ESMEInvCmdID, Reason: "is not for an ESME"})
	}
}

// reply queues a response. With last, the session ends after it.
func (s *Session) reply(id wire.CommandID, status wire.Status, seq uint32, last error) {
	s.sendControl(control{Header: wire.Header{ID: id, Status: status, Sequence: seq}, body: emptyBody(id), last: last})
}

// emptyBody returns the body of a response without content. The response to a
// delivery has a message_id, which is always empty, beside an error
// too (SMPP 3.4 §4.6.2, §4.7.2).
func emptyBody(id wire.CommandID) any {
	if id == wire.DeliverSMResp || id == wire.DataSMResp {
		return noMessageID
	}
	return nil
}

var noMessageID = &wire.MessageResp{} // nobody writes to it

// undecodable answers a request that is of no use: an unknown command with
// generic_nack (SMPP 3.4 §4.3), any other with its own response.
func (s *Session) undecodable(f wire.Frame, fault *wire.DecodeError) {
	s.cfg.Observe.Undecodable(fault)
	id := f.ID.Response()
	if fault.Status == wire.ESMEInvCmdID {
		id = wire.GenericNack
	}
	s.reply(id, fault.Status, f.Sequence, nil)
}

// respond gives a response to the exchange that waits for it, or to Late, or
// counts it as unmatched. A second response is unmatched.
func (s *Session) respond(f wire.Frame) {
	body := s.responseBody(f)
	now := s.since()
	res := result{response: response(f, body), body: body}
	s.mu.Lock()
	x := s.match(f.Header)
	var late bool
	var ref any
	if x != nil {
		res.response.Took = now - x.sent
		late, ref = x.abandoned, x.req.Ref
		s.settle(x, res)
	} else if f.ID == wire.SubmitSMResp || f.ID == wire.GenericNack {
		var e expiredSubmit
		if e, late = s.expired.take(f.Sequence); late {
			res.response.Took, ref = now-e.sent, e.ref
		}
	}
	s.mu.Unlock()
	switch {
	case late:
		s.cfg.Late(Late{Ref: ref, Response: res.response})
	case x == nil:
		s.cfg.Observe.Unmatched(f.ID)
	case x.id == wire.SubmitSM:
		s.cfg.Observe.Response(res.response.Took, res.response.Status)
	}
}

// maxMessageID bounds a message_id in octets: twice the length in SMPP 3.4 §5.2.23, and the
// bound of package dlr. Anything longer is no SMSC's, and would go into the journal whole.
const maxMessageID = 128

// responseBody decodes a response. A fault in its TLVs costs the TLVs only: a response
// counts. A message_id beyond maxMessageID is dropped.
func (s *Session) responseBody(f wire.Frame) any {
	body, err := wire.Decode(f)
	var fault *wire.DecodeError
	if errors.As(err, &fault) {
		s.cfg.Observe.Undecodable(fault)
	}
	if r, ok := body.(*wire.MessageResp); ok && len(r.MessageID) > maxMessageID {
		r.MessageID = ""
		s.cfg.Observe.Undecodable(&wire.DecodeError{ID: f.ID, Status: wire.ESMEInvMsgID, Reason: "has a message_id that is too long"})
	}
	return body
}

func response(f wire.Frame, body any) Response {
	r := Response{Status: f.Status, Nack: f.ID == wire.GenericNack}
	if r.Nack && r.Status == wire.ESMEOK {
		r.Status = wire.ESMEUnknownErr // a generic_nack is a refusal, whatever its status
	}
	if m, ok := body.(*wire.MessageResp); ok {
		r.MessageID, r.TLVs = m.MessageID, m.TLVs
	}
	return r
}

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
// to have it repeated. It never blocks and may be called from any goroutine.
// Only the first call counts. After the session's end it does nothing, and the
// SMSC will deliver again.
func (d *Delivery) Respond(status wire.Status) {
	if d.answered.Swap(true) {
		return
	}
	h := wire.Header{ID: d.Command.Response(), Status: status, Sequence: d.sequence}
	d.session.sendControl(control{Header: h, body: noMessageID, delivery: d.octets})
}

// deliver gives a delivery to Deliver, or answers it when it cannot be read or
// too many wait for Respond.
func (s *Session) deliver(f wire.Frame) {
	body, err := wire.Decode(f)
	m, _ := body.(*wire.Message)
	var fault *wire.DecodeError
	if errors.As(err, &fault) {
		if m == nil || !hasContent(m) {
			s.undecodable(f, fault)
			return
		}
		s.cfg.Observe.Undecodable(fault) // a TLV, after those that matter
	}
	octets := int(f.Length)
	if !s.admit(octets) {
		s.cfg.Observe.Overflow()
		s.reply(f.ID.Response(), wire.ESMERxTAppn, f.Sequence, nil)
		return
	}
	s.cfg.Deliver(&Delivery{Command: f.ID, Message: m, Received: time.Now(), session: s, sequence: f.Sequence, octets: octets})
}

// hasContent reports whether the readable part of a delivery is worth keeping: a text,
// or a receipt in TLVs. If it were refused, it would come again, as broken as it is.
func hasContent(m *wire.Message) bool {
	return len(m.ShortMessage) > 0 || slices.ContainsFunc(m.TLVs, func(t wire.TLV) bool {
		return t.Tag == wire.TagMessagePayload || t.Tag == wire.TagReceiptedMessageID || t.Tag == wire.TagMessageState
	})
}

// admit counts a delivery in, if the bounds allow it. Where none waits, one of any length
// is admitted: if it were refused, it would come again for ever.
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

// released counts a delivery out whose response is with the writer. Under mu.
func (s *Session) released(octets int) {
	s.unanswered--
	s.unansweredOctets -= octets
}
