package session

import (
	"encoding/binary"
	"sync/atomic"
	"testing"

	"straks/smpp/peertest"
	"straks/smpp/wire"
)

// Both sides number their requests alike, so a deliver_sm often has the
// sequence_number of a submit in flight. Neither may be taken for the other.
func TestSequenceNumbersOfTheTwoDirections(t *testing.T) {
	deliveries := make(chan *Delivery, 1)
	s, p := bound(t, Config{Deliver: func(d *Delivery) { deliveries <- d }})
	got := submit(t.Context(), s, Request{Message: peertest.Hei()})
	f := p.Next(wire.SubmitSM)
	p.Send(wire.DeliverSM, wire.ESMEOK, f.Sequence, peertest.Hei())
	d := peertest.Wait(t, deliveries)
	d.Respond(wire.ESMEOK)
	d.Respond(wire.ESMERxTAppn) // the first one counts
	if r := p.Next(wire.DeliverSMResp); r.Sequence != f.Sequence || r.Status != wire.ESMEOK || len(r.Body) != 1 {
		t.Errorf("delivery answered with %+v", r)
	}
	p.Send(wire.DeliverSMResp, wire.ESMEOK, f.Sequence, &wire.MessageResp{}) // a response, but to no submit
	p.Answer(f, "right")
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

// A receipt that cannot be read, repeated for ever, is refused for ever; the
// session serves everybody else meanwhile.
func TestPoisonDeliverSM(t *testing.T) {
	var seen atomic.Int32
	s, p := bound(t, Config{Observe: Observer{Undecodable: func(*wire.DecodeError) { seen.Add(1) }}})
	good, err := wire.Append(nil, wire.Header{ID: wire.DeliverSM, Sequence: 9}, peertest.Hei())
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
	got := submit(t.Context(), s, Request{Message: peertest.Hei()})
	p.Answer(p.Next(wire.SubmitSM), "alive")
	if o := peertest.Wait(t, got); o.MessageID != "alive" || seen.Load() != 100 {
		t.Errorf("got %+v after %d", o, seen.Load())
	}
}

// withBrokenTLV is a delivery with a vendor's TLV behind the others that runs past its end.
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

// A TLV that cannot be read does not cost the receipt that can: in the text, in
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

// What comes beyond the bound is refused at once and the rest stays untouched.
func TestDeliveriesBeyondTheBound(t *testing.T) {
	deliveries := make(chan *Delivery, 100)
	var overflow atomic.Int32
	_, p := bound(t, Config{
		Deliveries: 3, Deliver: func(d *Delivery) { deliveries <- d },
		Observe: Observer{Overflow: func() { overflow.Add(1) }},
	})
	for i := range 10 {
		p.Send(wire.DeliverSM, wire.ESMEOK, uint32(i+1), peertest.Hei())
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
	p.Send(wire.DeliverSM, wire.ESMEOK, 11, peertest.Hei()) // there is room again
	peertest.Wait(t, deliveries).Respond(wire.ESMEOK)
	if r := p.Next(wire.DeliverSMResp); r.Status != wire.ESMEOK || overflow.Load() != 7 {
		t.Errorf("afterwards: %+v, %d overflows", r, overflow.Load())
	}
}

// Deliveries that carry 60,000 octets each meet the bound on octets long before
// that on their number; the first of any length is taken.
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
	p.Send(wire.DeliverSM, wire.ESMEOK, 11, peertest.Hei()) // a short one still has room
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

// A bound that is less than one delivery lets one in at a time.
func TestADeliveryLongerThanTheBound(t *testing.T) {
	deliveries := make(chan *Delivery, 10)
	_, p := bound(t, Config{DeliveryOctets: 20, Deliver: func(d *Delivery) { deliveries <- d }})
	for i := range 3 {
		p.Send(wire.DeliverSM, wire.ESMEOK, uint32(i+1), peertest.Hei())
		peertest.Wait(t, deliveries).Respond(wire.ESMEOK)
		if r := p.Next(wire.DeliverSMResp); r.Status != wire.ESMEOK {
			t.Errorf("delivery %d: %+v", i, r)
		}
	}
}
