package session

import (
	"errors"
	"fmt"

	"straks/smpp/wire"
)

// read takes frame after frame until the connection ends.
func (s *Session) read() error {
	for {
		f, err := s.frames.Next()
		if err != nil {
			return s.unreadable(err)
		}
		s.life.Store(int64(s.since()))
		s.handle(f)
		if !s.waitRoom() {
			return nil
		}
	}
}

// unreadable tells a lost connection from one on which framing is lost. To the
// latter the peer is told why before it is closed.
func (s *Session) unreadable(err error) error {
	var fault *wire.FrameError
	if !errors.As(err, &fault) {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	s.reply(wire.GenericNack, wire.ESMEInvCmdLen, 0, fmt.Errorf("%w: %w", errUnreadable, err))
	return nil
}

// waitRoom waits while too many answers crowd before the writer: a peer that
// asks and does not read is not read either. False means that the session ends.
func (s *Session) waitRoom() bool {
	for {
		s.mu.Lock()
		full := len(s.urgent) >= crowd+s.cfg.Deliveries
		s.mu.Unlock()
		if !full {
			return true
		}
		select {
		case <-s.room:
		case <-s.closing:
			return false
		}
	}
}

func (s *Session) handle(f wire.Frame) {
	switch {
	case f.ID == wire.EnquireLinkResp: // it was life; no more is asked of it
	case f.ID.IsResponse():
		s.answered(f)
	case f.ID == wire.EnquireLink:
		s.reply(wire.EnquireLinkResp, wire.ESMEOK, f.Sequence, nil)
	case f.ID == wire.DeliverSM || f.ID == wire.DataSM:
		s.deliver(f)
	case f.ID == wire.Unbind:
		s.peerUnbinds(f.Sequence)
	case f.ID == wire.AlertNotification || f.ID == wire.OutbindID:
		// They ask for no answer (SMPP 3.4 §4.1.7, §4.12.1), and we for no alerts.
	default:
		s.undecodable(f, &wire.DecodeError{ID: f.ID, Status: wire.ESMEInvCmdID, Reason: "is not for an ESME"})
	}
}

// reply queues an answer; with last, the session ends behind it.
func (s *Session) reply(id wire.CommandID, status wire.Status, seq uint32, last error) {
	s.urge(outgoing{Header: wire.Header{ID: id, Status: status, Sequence: seq}, body: emptyBody(id), last: last})
}

// emptyBody returns the body of an answer that has nothing to say. That to a
// delivery has a message_id even so, which is always empty, beside an error
// too (SMPP 3.4 §4.6.2, §4.7.2).
func emptyBody(id wire.CommandID) any {
	if id == wire.DeliverSMResp || id == wire.DataSMResp {
		return noMessageID
	}
	return nil
}

var noMessageID = &wire.MessageResp{} // nobody writes to it

// undecodable answers a request that is of no use: what is unknown with
// generic_nack (SMPP 3.4 §4.3), the rest with its own response.
func (s *Session) undecodable(f wire.Frame, fault *wire.DecodeError) {
	s.cfg.Observe.Undecodable(fault)
	id := f.ID.Response()
	if fault.Status == wire.ESMEInvCmdID {
		id = wire.GenericNack
	}
	s.reply(id, fault.Status, f.Sequence, nil)
}

// answered hands a response to the exchange that waits for it, or to Late, or
// counts it as answering nothing. A second answer is one that answers nothing.
func (s *Session) answered(f wire.Frame) {
	body := s.responseBody(f)
	now := s.since()
	res := result{answer: answerOf(f, body), body: body}
	s.mu.Lock()
	x := s.claim(f.Header)
	var late bool
	var ref any
	if x != nil {
		res.answer.Took = now - x.sent
		late, ref = x.abandoned, x.req.Ref
		s.settle(x, res)
	} else if f.ID == wire.SubmitSMResp || f.ID == wire.GenericNack {
		var t tombstone
		if t, late = s.graves.exhume(f.Sequence); late {
			res.answer.Took, ref = now-t.sent, t.ref
		}
	}
	s.mu.Unlock()
	switch {
	case late:
		s.cfg.Late(Late{Ref: ref, Answer: res.answer})
	case x == nil:
		s.cfg.Observe.Unmatched(f.ID)
	case x.id == wire.SubmitSM:
		s.cfg.Observe.Answered(res.answer.Took, res.answer.Status)
	}
}

// maxMessageID bounds a message_id in octets: twice what SMPP 3.4 §5.2.23 has, and as
// much as package dlr reads. What is longer than any SMSC's would go into the journal whole.
const maxMessageID = 128

// responseBody decodes a response. A fault in its TLVs leaves the rest, which is
// what counts: an answer is an answer. One with an endless message_id has none.
func (s *Session) responseBody(f wire.Frame) any {
	body, err := wire.Decode(f)
	var fault *wire.DecodeError
	if errors.As(err, &fault) {
		s.cfg.Observe.Undecodable(fault)
	}
	if r, ok := body.(*wire.MessageResp); ok && len(r.MessageID) > maxMessageID {
		r.MessageID = ""
		s.cfg.Observe.Undecodable(&wire.DecodeError{ID: f.ID, Status: wire.ESMEInvMsgID, Reason: "has a message_id beyond all bounds"})
	}
	return body
}

func answerOf(f wire.Frame, body any) Answer {
	a := Answer{Status: f.Status, Nack: f.ID == wire.GenericNack}
	if a.Nack && a.Status == wire.ESMEOK {
		a.Status = wire.ESMEUnknownErr // a refusal, whatever its status says
	}
	if r, ok := body.(*wire.MessageResp); ok {
		a.MessageID, a.TLVs = r.MessageID, r.TLVs
	}
	return a
}
