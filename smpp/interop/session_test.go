package interop

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"straks/internal/eventually"
	"straks/smpp/session"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

// TestDissectorReadsEveryPDU plays sessions that send every PDU that a session can send, and
// reads them with Wireshark.
func TestDissectorReadsEveryPDU(t *testing.T) {
	smsc := listen(t, smsctest.Profile{Behaviour: smsctest.Behaviour{
		Mischief: smsctest.UnknownCommand, MischiefOneIn: 1, // to be answered by generic_nack
		Receipt: smsctest.Receipt{DataSM: true},
	}})
	tap := newTap(t, smsc.Addr())

	receiver := dial(t, tap, session.Receiver)
	transmitter := dial(t, tap, session.Transmitter)
	submit(t, transmitter)
	transceiver := dial(t, tap, session.Transceiver)
	submit(t, transceiver)
	if err := smsc.SendMO("4799999999", "1963", "STOPP"); err != nil {
		t.Fatal(err)
	}
	smsc.Enquire()
	awaitCommands(t, tap, wire.EnquireLink, wire.EnquireLinkResp, wire.DeliverSMResp, wire.DataSMResp, wire.GenericNack)
	unbind(t, receiver)
	unbind(t, transmitter)
	smsc.Unbind()
	awaitCommands(t, tap, wire.UnbindResp)

	d := dissect(t, tap.recorded()...)
	if faults := d.run(t, "tcp.dstport == 2775 && ("+faulty+")", "-V", "-O", "smpp"); faults != "" {
		t.Errorf("Wireshark finds faults in what we sent:\n%s", faults)
	}
	sent, over := tap.commands()
	if over > 0 {
		t.Errorf("%d octets of an incomplete PDU", over)
	}
	total := 0
	for _, n := range sent {
		total += n
	}
	if read := d.fields(t, "tcp.dstport == 2775 && smpp", "smpp.command_id")["smpp.command_id"]; len(read) != total {
		t.Errorf("Wireshark reads %d PDUs of ours, we count %d", len(read), total)
	}
	for _, want := range []wire.CommandID{
		wire.BindReceiver, wire.BindTransmitter, wire.BindTransceiver, wire.SubmitSM, wire.DeliverSMResp, wire.DataSMResp,
		wire.EnquireLink, wire.EnquireLinkResp, wire.GenericNack, wire.Unbind, wire.UnbindResp,
	} {
		if sent[want] == 0 {
			t.Errorf("no %v was sent", want)
		}
		delete(sent, want)
	}
	if len(sent) > 0 {
		t.Errorf("sent, but not in the list above: %v", slices.Collect(maps.Keys(sent)))
	}
}

func listen(t *testing.T, p smsctest.Profile) *smsctest.SMSC {
	t.Helper()
	smsc, err := smsctest.Listen("127.0.0.1:0", p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = smsc.Close() })
	return smsc
}

// dial binds through the tap, with enquire_link after 50 ms of silence.
func dial(t *testing.T, p *tap, mode session.Mode) *session.Session {
	t.Helper()
	s, err := session.Dial(t.Context(), session.Config{
		Addr: p.addr(), Mode: mode,
		Bind:            wire.Bind{SystemID: "straks", Password: "secret", SystemType: "VMA"},
		EnquireInterval: 50 * time.Millisecond,
		Deliver:         func(d *session.Delivery) { d.Respond(wire.ESMEOK) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func submit(t *testing.T, s *session.Session) {
	t.Helper()
	a, err := s.Submit(t.Context(), session.Request{Message: &wire.Message{
		SourceTON: 5, Source: "Straks", DestTON: 1, DestNPI: 1, Dest: "4799999999",
		RegisteredDelivery: 1, Validity: "000000000500000R", ShortMessage: []byte("hei"),
	}})
	if err != nil || a.Status != wire.ESMEOK {
		t.Fatalf("submit: %+v, %v", a, err)
	}
}

func unbind(t *testing.T, s *session.Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Unbind(ctx); err != nil {
		t.Errorf("unbind: %v", err)
	}
}

// awaitCommands waits until each of them was sent to the server.
func awaitCommands(t *testing.T, p *tap, ids ...wire.CommandID) {
	t.Helper()
	for _, id := range ids {
		eventually.True(t, id.String(), func() bool { sent, _ := p.commands(); return sent[id] > 0 })
	}
}
