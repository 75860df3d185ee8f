package session

import (
	"encoding/binary"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"straks/smpp/peertest"
	"straks/smpp/wire"
)

// A message_id goes into the journal. One that is too long counts as none; the
// message counts as accepted all the same.
func TestMessageIDIsBounded(t *testing.T) {
	var faults atomic.Int32
	s, p := bound(t, Config{Observe: Observer{Undecodable: func(*wire.DecodeError) { faults.Add(1) }}})
	for octets, want := range map[int]int{65: 65, maxMessageID: maxMessageID, maxMessageID + 1: 0, 69_000: 0} {
		got := submit(t.Context(), s, Request{Message: peertest.Message()})
		p.RespondRaw(p.Next(wire.SubmitSM), strings.Repeat("x", octets))
		if o := peertest.Wait(t, got); o.err != nil || o.Status != wire.ESMEOK || len(o.MessageID) != want {
			t.Errorf("%d octets: %v, %v, an id of %d", octets, o.err, o.Status, len(o.MessageID))
		}
	}
	if n := faults.Load(); n != 2 {
		t.Errorf("%d of them were counted as faulty", n)
	}
}

func TestUnknownAndForeignPDUs(t *testing.T) {
	s, p := bound(t, Config{})
	for _, id := range []wire.CommandID{0x99, 0x00010203, wire.QuerySM, wire.SubmitSM, wire.BindReceiver} {
		p.Write([]byte{0, 0, 0, 18, byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id), 0, 0, 0, 0, 0, 0, 0, 3, 'j', 'k'})
		if r := p.Next(wire.GenericNack); r.Status != wire.ESMEInvCmdID || r.Sequence != 3 {
			t.Errorf("%v answered with %+v", id, r)
		}
	}
	p.Write([]byte{0, 0, 0, 16, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 4})                                 // alert_notification, without a response
	p.Write([]byte{0, 0, 0, 18, 0x80, 0, 0, 0x15, 0, 0, 0, 0, 0, 0, 0, 3, 'j', 'k'})                 // enquire_link_resp with junk
	p.Write([]byte{0, 0, 0, 20, 0x80, 0, 0, 4, 0, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF, 'a', 0, 0x14, 0}) // a response to no request
	p.Send(wire.EnquireLink, wire.ESMEOK, 0x80000001, nil)
	if r := p.Next(wire.EnquireLinkResp); r.Sequence != 0x80000001 {
		t.Errorf("enquire_link answered with %+v", r)
	}
	if s.Err() != nil {
		t.Error(s.Err())
	}
}

func TestGarbage(t *testing.T) {
	s, p := bound(t, Config{})
	p.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	if r := p.Next(wire.GenericNack); r.Status != wire.ESMEInvCmdLen {
		t.Errorf("got %+v", r)
	}
	p.Gone()
	<-s.Done()
	var fault *wire.FrameError
	if !errors.As(s.Err(), &fault) {
		t.Errorf("ended with %v", s.Err())
	}
}

// Both sides count their requests from 1, so a deliver_sm often has the
// sequence_number of a submit in flight. They must not be confused.
func TestSequenceNumbersOfTheTwoDirections(t *testing.T) {
	deliveries := make(chan *Delivery, 1)
	s, p := bound(t, Config{Deliver: func(d *Delivery) { deliveries <- d }})
	got := submit(t.Context(), s, Request{Message: peertest.Message()})
	f := p.Next(wire.SubmitSM)
	p.Send(wire.DeliverSM, wire.ESMEOK, f.Sequence, peertest.Message())
	d := peertest.Wait(t, deliveries)
	d.Respond(wire.ESMEOK)
	d.Respond(wire.ESMERxTAppn) // the first call counts
	if r := p.Next(wire.DeliverSMResp); r.Sequence != f.Sequence || r.Status != wire.ESMEOK || len(r.Body) != 1 {
		t.Errorf("delivery answered with %+v", r)
	}
	p.Send(wire.DeliverSMResp, wire.ESMEOK, f.Sequence, &wire.MessageResp{}) // a response, but to no submit
	p.Accept(f, "right")
	if o := peertest.Wait(t, got); o.err != nil || o.MessageID != "right" {
		t.Errorf("got %+v", o)
	}
}

func TestDataSMIsADelivery(t *testing.T) {
	deliveries := make(chan *Delivery, 1)
	_, p := bound(t, Config{Deliver: func(d *Delivery) { deliveries <- d }})
	m := &wire.Message{Source: "47", Dest: "1", ESMClass: 4, TLVs: []wire.TLV{{Tag: wire.TagReceiptedMessageID, Value: []byte("x\x00")}}}
	p.Send(wire.DataSM, wire.ESMEOK, 5, m)
	d := peertest.Wait(t, deliveries)
	if id, ok := wire.Lookup(d.Message.TLVs, wire.TagReceiptedMessageID); d.Command != wire.DataSM || !ok || wire.CString(id) != "x" {
		t.Errorf("got %+v", d)
	}
	d.Respond(wire.ESMERxTAppn)
	if r := p.Next(wire.DataSMResp); r.Sequence != 5 || r.Status != wire.ESMERxTAppn {
		t.Errorf("answered with %+v", r)
	}
}

// A receipt that cannot be read, repeated for ever, is refused for ever. The
// session serves all other requests meanwhile.
func TestPoisonDeliverSM(t *testing.T) {
	var seen atomic.Int32
	s, p := bound(t, Config{Observe: Observer{Undecodable: func(*wire.DecodeError) { seen.Add(1) }}})
	good, err := wire.Append(nil, wire.Header{ID: wire.DeliverSM, Sequence: 9}, peertest.Message())
	if err != nil {
		t.Fatal(err)
	}
	poison := good[:len(good)-2] // sm_length runs past the end
	poison[3] -= 2
	for range 100 {
		p.Write(poison)
		if r := p.Next(wire.DeliverSMResp); r.Status != wire.ESMEInvMsgLen || r.Sequence != 9 {
			t.Fatalf("answered with %+v", r)
		}
	}
	got := submit(t.Context(), s, Request{Message: peertest.Message()})
	p.Accept(p.Next(wire.SubmitSM), "alive")
	if o := peertest.Wait(t, got); o.MessageID != "alive" || seen.Load() != 100 {
		t.Errorf("got %+v after %d", o, seen.Load())
	}
}

// withBrokenTLV is a delivery whose last TLV, a vendor's, runs past its end.
func withBrokenTLV(t *testing.T, id wire.CommandID, seq uint32, m *wire.Message) []byte {
	t.Helper()
	b, err := wire.Append(nil, wire.Header{ID: id, Sequence: seq}, m)
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, 0x14, 0x00, 0x00, 200, 'x')
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// A TLV that cannot be read does not cost a readable receipt: in the text, in
// message_payload, which is all that data_sm has, or in the TLVs of receipts.
func TestReceiptWithABrokenTLV(t *testing.T) {
	deliveries := make(chan *Delivery, 1)
	_, p := bound(t, Config{Deliver: func(d *Delivery) { deliveries <- d; d.Respond(wire.ESMEOK) }})
	state := wire.OctetTLV(wire.TagMessageState, 2)
	other := wire.TLV{Tag: wire.TagUserMessageReference, Value: []byte{0, 1}}
	for name, c := range map[string]struct {
		id   wire.CommandID
		text string
		tlvs []wire.TLV
		want wire.Status
	}{
		"text":                 {wire.DeliverSM, "hei", []wire.TLV{other}, wire.ESMEOK},
		"message_state":        {wire.DeliverSM, "", []wire.TLV{state}, wire.ESMEOK},
		"receipted_message_id": {wire.DeliverSM, "", []wire.TLV{{Tag: wire.TagReceiptedMessageID, Value: []byte("42\x00")}, state}, wire.ESMEOK},
		"data_sm":              {wire.DataSM, "", []wire.TLV{{Tag: wire.TagMessagePayload, Value: []byte("hei")}}, wire.ESMEOK},
		"nothing to be read":   {wire.DeliverSM, "", nil, wire.ESMEInvOptParStream},
		"nothing that counts":  {wire.DataSM, "", []wire.TLV{other}, wire.ESMEInvOptParStream},
	} {
		t.Run(name, func(t *testing.T) {
			p.T = t
			m := &wire.Message{Source: "4799999999", Dest: "2440", ESMClass: 4, ShortMessage: []byte(c.text), TLVs: c.tlvs}
			p.Write(withBrokenTLV(t, c.id, 9, m))
			if r := p.Next(c.id.Response()); r.Status != c.want {
				t.Errorf("answered with %v, want %v", r.Status, c.want)
			}
			if c.want != wire.ESMEOK {
				return
			}
			if d := peertest.Wait(t, deliveries); string(d.Message.ShortMessage) != c.text || len(d.Message.TLVs) != len(c.tlvs) {
				t.Errorf("got %+v", d.Message)
			}
		})
	}
}

// Deliveries beyond the bound are refused at once. The others are not affected.
func TestDeliveriesBeyondTheBound(t *testing.T) {
	deliveries := make(chan *Delivery, 100)
	var overflow atomic.Int32
	_, p := bound(t, Config{
		Deliveries: 3, Deliver: func(d *Delivery) { deliveries <- d },
		Observe: Observer{Overflow: func() { overflow.Add(1) }},
	})
	for i := range 10 {
		p.Send(wire.DeliverSM, wire.ESMEOK, uint32(i+1), peertest.Message())
	}
	for i := range 7 {
		if r := p.Next(wire.DeliverSMResp); r.Status != wire.ESMERxTAppn || r.Sequence != uint32(i+4) {
			t.Errorf("refusal %d: %+v", i, r)
		}
	}
	for range 3 {
		d := peertest.Wait(t, deliveries)
		d.Respond(wire.ESMEOK)
		if r := p.Next(wire.DeliverSMResp); r.Status != wire.ESMEOK || r.Sequence != d.sequence {
			t.Errorf("answer: %+v", r)
		}
	}
	p.Send(wire.DeliverSM, wire.ESMEOK, 11, peertest.Message()) // there is room again
	peertest.Wait(t, deliveries).Respond(wire.ESMEOK)
	if r := p.Next(wire.DeliverSMResp); r.Status != wire.ESMEOK || overflow.Load() != 7 {
		t.Errorf("afterwards: %+v, %d overflows", r, overflow.Load())
	}
}

// Deliveries of 60,000 octets each reach the bound on octets long before
// the one on their number. The first, of any length, is accepted.
func TestDeliveriesBeyondTheBoundOnOctets(t *testing.T) {
	deliveries := make(chan *Delivery, 100)
	_, p := bound(t, Config{DeliveryOctets: 200_000, Deliver: func(d *Delivery) { deliveries <- d }})
	long := &wire.Message{Source: "47", Dest: "1", TLVs: []wire.TLV{{Tag: wire.TagMessagePayload, Value: make([]byte, 60_000)}}}
	for i := range 10 {
		p.Send(wire.DeliverSM, wire.ESMEOK, uint32(i+1), long)
	}
	for i := range 7 {
		if r := p.Next(wire.DeliverSMResp); r.Status != wire.ESMERxTAppn || r.Sequence != uint32(i+4) {
			t.Fatalf("refusal %d: %+v", i, r)
		}
	}
	p.Send(wire.DeliverSM, wire.ESMEOK, 11, peertest.Message()) // a short one still has room
	for range 4 {
		d := peertest.Wait(t, deliveries)
		d.Respond(wire.ESMEOK)
		if r := p.Next(wire.DeliverSMResp); r.Status != wire.ESMEOK || r.Sequence != d.sequence {
			t.Errorf("answer: %+v", r)
		}
	}
	for i := range 3 { // there is room again, and none leaked
		p.Send(wire.DeliverSM, wire.ESMEOK, uint32(20+i), long)
	}
	for range 3 {
		peertest.Wait(t, deliveries).Respond(wire.ESMEOK)
		if r := p.Next(wire.DeliverSMResp); r.Status != wire.ESMEOK {
			t.Errorf("afterwards: %+v", r)
		}
	}
}

// A bound that is less than one delivery admits one at a time.
func TestADeliveryLongerThanTheBound(t *testing.T) {
	deliveries := make(chan *Delivery, 10)
	_, p := bound(t, Config{DeliveryOctets: 20, Deliver: func(d *Delivery) { deliveries <- d }})
	for i := range 3 {
		p.Send(wire.DeliverSM, wire.ESMEOK, uint32(i+1), peertest.Message())
		peertest.Wait(t, deliveries).Respond(wire.ESMEOK)
		if r := p.Next(wire.DeliverSMResp); r.Status != wire.ESMEOK {
			t.Errorf("delivery %d: %+v", i, r)
		}
	}
}
