package smsctest

import (
	"strings"
	"testing"

	"straks/smpp/wire"
)

const number = "4799999999"

func TestPlainMessage(t *testing.T) {
	s := listen(t, Profile{})
	e := transceiver(t, s)
	_, resp := e.submit(number, "hello")
	f, receipt := expect[wire.Message](e, wire.DeliverSM)
	e.ack(f, wire.ESMEOK)

	id, _ := wire.Lookup(receipt.TLVs, wire.TagReceiptedMessageID)
	state, _ := wire.Lookup(receipt.TLVs, wire.TagMessageState)
	if resp.MessageID != "170000001" || wire.CString(id) != resp.MessageID || string(state) != "\x02" {
		t.Errorf("response %q, receipt %q, state %v", resp.MessageID, id, state)
	}
	if receipt.Source != number || receipt.Dest != "straks" || receipt.ESMClass != 0x04 {
		t.Errorf("receipt %+v", receipt)
	}
	if text := string(receipt.ShortMessage); !strings.HasPrefix(text, "id:170000001 sub:001 dlvrd:001 submit date:") ||
		!strings.HasSuffix(text, " stat:DELIVRD err:000 text:") {
		t.Errorf("receipt text %q", text)
	}
	submits, err := s.WaitSubmits(within(t), 1)
	if err != nil || len(submits) != 1 || submits[0].Text() != "hello" || submits[0].Dest != number ||
		submits[0].MessageID != resp.MessageID || !submits[0].Taken() || submits[0].SystemID != "test" {
		t.Fatalf("%+v, %v", submits, err)
	}
	if err := s.Wait(within(t), func(st Stats) bool { return st.Acked == 1 && st.WaitingNow == 0 }); err != nil {
		t.Error(err)
	}
}

func TestRefusesRemoteAddress(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:2775", "example.org:2775", "127.0.0.1"} {
		if s, err := Listen(addr, Profile{}); err == nil {
			s.Close()
			t.Errorf("Listen(%q) succeeded", addr)
		}
	}
	s, err := Listen("0.0.0.0:0", Profile{AllowRemote: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
