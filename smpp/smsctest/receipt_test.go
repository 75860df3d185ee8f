package smsctest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"straks/smpp/wire"
)

// receiptOf submits one message with these receipt quirks and returns the receipt.
func receiptOf(t *testing.T, r Receipt, change func(*wire.Message)) *wire.Message {
	t.Helper()
	_, e := behaving(t, Behaviour{Receipt: r})
	m := message(number, "a code")
	change(m)
	e.send(wire.SubmitSM, m)
	expect[wire.MessageResp](e, wire.SubmitSMResp)
	want := wire.DeliverSM
	if r.DataSM {
		want = wire.DataSM
	}
	f, receipt := expect[wire.Message](e, want)
	e.ack(f, wire.ESMEOK)
	return receipt
}

func unchanged(*wire.Message) {}

func TestReceiptSays(t *testing.T) {
	for _, c := range []struct {
		name  string
		r     Receipt
		text  []string // that the text contains; nil means no text
		state string   // message_state; empty means no TLV
		code  string   // network_error_code
		id    string   // receipted_message_id
	}{
		{"undelivered", Receipt{State: "UNDELIV", Err: "011"}, []string{"id:170000001 ", "dlvrd:000", "stat:UNDELIV err:011 text:"}, "\x05", "\x03\x00\x0b", "170000001\x00"},
		{"expired", Receipt{State: "EXPIRED"}, []string{"stat:EXPIRED err:000"}, "\x03", "", "170000001\x00"},
		{"no such state", Receipt{State: "FAILED", Err: "0A1"}, []string{"stat:FAILED err:0A1"}, "", "", "170000001\x00"},
		{"text only", Receipt{Form: TextOnly}, []string{"id:170000001 ", "stat:DELIVRD"}, "", "", ""},
		{"TLV only", Receipt{Form: TLVOnly, State: "REJECTD"}, nil, "\x08", "", "170000001\x00"},
		{"another id form", Receipt{ID: IDHexUpper}, []string{"id:A21FE81 "}, "\x02", "", "A21FE81\x00"},
		{"no id", Receipt{ID: IDNone}, []string{"id: sub:"}, "\x02", "", ""},
		{"echo", Receipt{EchoText: true}, []string{"text:a code"}, "\x02", "", "170000001\x00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := receiptOf(t, c.r, unchanged)
			for _, part := range c.text {
				if !strings.Contains(string(m.ShortMessage), part) {
					t.Errorf("%q does not say %q", m.ShortMessage, part)
				}
			}
			if c.text == nil && len(m.ShortMessage) > 0 {
				t.Errorf("text %q", m.ShortMessage)
			}
			for tag, want := range map[uint16]string{
				wire.TagMessageState: c.state, wire.TagNetworkErrorCode: c.code, wire.TagReceiptedMessageID: c.id,
			} {
				if v, _ := wire.Lookup(m.TLVs, tag); string(v) != want {
					t.Errorf("TLV 0x%04X is %q, want %q", tag, v, want)
				}
			}
		})
	}
}

func TestReceiptByDataSM(t *testing.T) {
	m := receiptOf(t, Receipt{DataSM: true}, unchanged)
	if p, _ := wire.Lookup(m.TLVs, wire.TagMessagePayload); !strings.Contains(string(p), "stat:DELIVRD") || m.ESMClass != esmReceipt {
		t.Errorf("%+v", m)
	}
}

func TestReceiptEchoesReference(t *testing.T) {
	refer := func(m *wire.Message) {
		m.TLVs = append(m.TLVs, wire.ShortTLV(wire.TagUserMessageReference, 0x1234))
	}
	for echo, want := range map[bool]string{true: "\x12\x34", false: ""} {
		m := receiptOf(t, Receipt{EchoReference: echo}, refer)
		if v, _ := wire.Lookup(m.TLVs, wire.TagUserMessageReference); string(v) != want {
			t.Errorf("echo %v: %q", echo, v)
		}
	}
}

// sequel submits one message with that registered_delivery, and returns the command ids of
// everything that the SMSC sends for it, and the states of the receipts.
func sequel(t *testing.T, b Behaviour, registered byte) (ids []wire.CommandID, states []string) {
	t.Helper()
	_, e := behaving(t, b)
	m := message(number, "x")
	m.RegisteredDelivery = registered
	e.send(wire.SubmitSM, m)
	e.send(wire.EnquireLink, nil)
	for {
		f := e.next()
		if f.ID == wire.EnquireLinkResp {
			return ids, states
		}
		ids = append(ids, f.ID)
		if body, _ := wire.Decode(f); f.ID == wire.DeliverSM {
			v, _ := wire.Lookup(body.(*wire.Message).TLVs, wire.TagMessageState)
			states = append(states, string(v))
			e.ack(f, wire.ESMEOK)
		}
	}
}

func TestReceiptOrderAndNumber(t *testing.T) {
	const resp, deliver = wire.SubmitSMResp, wire.DeliverSM
	for _, c := range []struct {
		name       string
		r          Receipt
		registered byte
		want       []wire.CommandID
		states     []string
	}{
		{"plain", Receipt{}, 1, []wire.CommandID{resp, deliver}, []string{"\x02"}},
		{"early", Receipt{Early: true}, 1, []wire.CommandID{deliver, resp}, []string{"\x02"}},
		{"missing", Receipt{Missing: 1}, 1, []wire.CommandID{resp}, nil},
		{"duplicate", Receipt{Duplicate: 1}, 1, []wire.CommandID{resp, deliver, deliver}, []string{"\x02", "\x02"}},
		{"intermediate", Receipt{Intermediate: "ENROUTE"}, 1, []wire.CommandID{resp, deliver, deliver}, []string{"\x01", "\x02"}},
		{"not requested", Receipt{}, 0, []wire.CommandID{resp}, nil},
		{"failures only, delivered", Receipt{}, 2, []wire.CommandID{resp}, nil},
		{"failures only, failed", Receipt{State: "UNDELIV"}, 2, []wire.CommandID{resp, deliver}, []string{"\x05"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ids, states := sequel(t, Behaviour{Receipt: c.r}, c.registered)
			if !slices.Equal(ids, c.want) || !slices.Equal(states, c.states) {
				t.Errorf("%v with %q, want %v with %q", ids, states, c.want, c.states)
			}
		})
	}
	if ids, _ := sequel(t, Behaviour{Status: wire.ESMEInvDstAdr}, 1); !slices.Equal(ids, []wire.CommandID{resp}) {
		t.Errorf("a refused message got %v", ids)
	}
}

func TestReceiptForTheLastPart(t *testing.T) {
	calls := make(chan string, 10)
	p := Profile{OnReceipt: func(s Submit, _ string) { calls <- s.MessageID }}
	p.Receipt.LastPart = true
	e := transceiver(t, listen(t, p))
	for index := range byte(3) {
		m := message(number, "\x05\x00\x03\x07\x03"+string(index+1)+"x")
		m.ESMClass = esmUDHI
		e.send(wire.SubmitSM, m)
	}
	e.send(wire.SubmitSM, message(number, "in one piece"))
	for _, want := range []string{"170000003", "170000004"} {
		if got := <-calls; got != want {
			t.Errorf("a receipt about %s, want %s", got, want)
		}
	}
}

func TestOnReceipt(t *testing.T) {
	calls := make(chan string, 10)
	p := Profile{OnReceipt: func(s Submit, state string) { calls <- s.MessageID + " " + state }}
	p.Receipt = Receipt{Intermediate: "ENROUTE", State: "EXPIRED", Duplicate: 1}
	s := listen(t, p)
	s.SetProfile(p)
	transceiver(t, s).submit(number, "x")
	for _, want := range []string{"ENROUTE", "EXPIRED", "EXPIRED"} {
		if got := <-calls; got != "170000001 "+want {
			t.Errorf("called for %s, want %s", got, want)
		}
	}
}

// OnAck is called for a receipt that was acknowledged, not for one that must be sent again.
func TestOnAck(t *testing.T) {
	calls := make(chan time.Duration, 10)
	s := listen(t, Profile{Retry: time.Millisecond, OnAck: func(m *wire.Message, took time.Duration) {
		if m.Source != number {
			t.Errorf("acknowledged: a receipt from %q", m.Source)
		}
		calls <- took
	}})
	e := transceiver(t, s)
	e.submit(number, "x")
	e.ack(e.next(), wire.ESMERxTAppn)
	e.ack(e.next(), wire.ESMEOK)
	if took := <-calls; took <= 0 || took > time.Minute {
		t.Errorf("it took %v", took)
	}
	if len(calls) > 0 {
		t.Error("called for more than one acknowledgement")
	}
}
