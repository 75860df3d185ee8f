package smsctest

import (
	"strings"
	"testing"
	"time"

	"straks/smpp/wire"
)

// receipt submits and returns the frame of the receipt, which is not acknowledged.
func (e *esme) receipt() wire.Frame {
	e.t.Helper()
	e.submit(number, "x")
	f, _ := expect[wire.Message](e, wire.DeliverSM)
	return f
}

func TestTemporaryErrorIsSentAgain(t *testing.T) {
	s := listen(t, Profile{Retry: time.Millisecond})
	e := transceiver(t, s)
	first := e.receipt()
	for range 3 {
		e.ack(first, wire.ESMERxTAppn)
		again, _ := expect[wire.Message](e, wire.DeliverSM)
		if string(again.Body) != string(first.Body) || again.Sequence == first.Sequence {
			t.Fatalf("%q was sent again as %q", first.Body, again.Body)
		}
		first = again
	}
	e.ack(first, wire.ESMEOK)
	if err := s.Wait(within(t), func(st Stats) bool {
		return st.Acked == 1 && st.Postponed == 3 && st.Redelivered == 3 && st.WaitingNow == 0
	}); err != nil {
		t.Error(err)
	}
}

func TestPermanentErrorIsFinal(t *testing.T) {
	s := listen(t, Profile{Retry: time.Millisecond})
	e := transceiver(t, s)
	e.ack(e.receipt(), wire.ESMERxPAppn)
	e.write(wire.Header{ID: wire.GenericNack, Status: wire.ESMEInvCmdID, Sequence: e.receipt().Sequence}, nil)
	if err := s.Wait(within(t), func(st Stats) bool { return st.Rejected == 2 && st.WaitingNow == 0 }); err != nil {
		t.Error(err)
	}
}

func TestUnacknowledgedIsSentAtTheNextBind(t *testing.T) {
	s := listen(t, Profile{})
	e := transceiver(t, s)
	first := e.receipt()
	e.nc.Close()
	e = transceiver(t, s)
	again, _ := expect[wire.Message](e, wire.DeliverSM)
	if string(again.Body) != string(first.Body) {
		t.Errorf("%q was sent again as %q", first.Body, again.Body)
	}
	e.ack(again, wire.ESMEOK)
	if err := s.Wait(within(t), func(st Stats) bool { return st.Acked == 1 && st.WaitingNow == 0 }); err != nil {
		t.Error(err)
	}
}

func TestUnacknowledgedIsSentAgainAfterAckTimeout(t *testing.T) {
	s := listen(t, Profile{AckTimeout: 20 * time.Millisecond})
	e := transceiver(t, s)
	first := e.receipt()
	again, _ := expect[wire.Message](e, wire.DeliverSM)
	if string(again.Body) != string(first.Body) {
		t.Errorf("%q was sent again as %q", first.Body, again.Body)
	}
}

func TestDeliveryWindow(t *testing.T) {
	s := listen(t, Profile{Window: 2})
	e := transceiver(t, s)
	for range 5 {
		if err := s.SendMO("4799999999", "1234", "hei"); err != nil {
			t.Fatal(err)
		}
	}
	// Two are sent. Each acknowledgement frees one slot for one more.
	open := []wire.Frame{e.delivered(), e.delivered()}
	for acked := range 5 {
		e.send(wire.EnquireLink, nil)
		expect[any](e, wire.EnquireLinkResp)
		e.ack(open[0], wire.ESMEOK)
		if open = open[1:]; acked < 3 {
			open = append(open, e.delivered())
		}
	}
	if err := s.Wait(within(t), func(st Stats) bool { return st.Acked == 5 && st.Redelivered == 0 }); err != nil {
		t.Error(err)
	}
}

func (e *esme) delivered() wire.Frame {
	e.t.Helper()
	f, _ := expect[wire.Message](e, wire.DeliverSM)
	return f
}

func TestReceiptGoesToTheReceiver(t *testing.T) {
	s := listen(t, Profile{})
	other := dial(t, s)
	other.send(wire.BindReceiver, &wire.Bind{SystemID: "other"})
	expect[wire.BindResp](other, wire.BindReceiverResp)
	tx, rx := bound(t, s, wire.BindTransmitter), bound(t, s, wire.BindReceiver)
	for range 4 {
		tx.submit(number, "x")
		f, _ := expect[wire.Message](rx, wire.DeliverSM)
		rx.ack(f, wire.ESMEOK)
	}
	for _, e := range []*esme{other, tx} {
		e.send(wire.EnquireLink, nil)
		expect[any](e, wire.EnquireLinkResp) // and nothing before it
	}
}

func TestTooManyWaiting(t *testing.T) {
	s := listen(t, Profile{MaxWaiting: 2})
	e := bound(t, s, wire.BindTransmitter)
	for range 5 {
		e.submit(number, "x")
	}
	if err := s.Wait(within(t), func(st Stats) bool { return st.Dropped == 3 && st.WaitingNow == 2 }); err != nil {
		t.Error(err)
	}
}

func TestSendMO(t *testing.T) {
	s := listen(t, Profile{})
	if err := s.SendMO("4799999999", "1234", "hei"); err == nil {
		t.Error("sent without a bind")
	}
	e := transceiver(t, s)
	long := strings.Repeat("a", 200)
	for text, coding := range map[string]byte{"STOP [€] å": 0, "nei 🙂 `": codingUCS2, long: 0} {
		if err := s.SendMO("4799999999", "1234", text); err != nil {
			t.Fatal(err)
		}
		f, m := expect[wire.Message](e, wire.DeliverSM)
		e.ack(f, wire.ESMEOK)
		if got := (Submit{Message: *m}).Text(); got != text || m.DataCoding != coding || m.ESMClass != 0 {
			t.Errorf("%q with data_coding %d, want %q with %d", got, m.DataCoding, text, coding)
		}
	}
	if err := s.Deliver(&wire.Message{Dest: strings.Repeat("1", 21)}); err == nil {
		t.Error("an address of 21 octets was sent")
	}
}
