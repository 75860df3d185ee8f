package daemon_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
	"straks/smtp/relaytest"
)

// mobileOriginated is a message from a phone to the organisation's number.
func mobileOriginated(text string) *wire.Message {
	return &wire.Message{SourceTON: 1, SourceNPI: 1, Source: "4799999999", DestTON: 3, Dest: "2077", ShortMessage: []byte(text)}
}

// A stop word counts in every encoding of a phone or an SMSC.
func TestStopWordInEveryGuise(t *testing.T) {
	ucs2 := func(text string) func(*wire.Message) {
		var units []byte
		for _, u := range utf16.Encode([]rune(text)) {
			units = append(units, byte(u>>8), byte(u))
		}
		return func(m *wire.Message) { m.DataCoding, m.ShortMessage = 8, units }
	}
	says := func(text string) func(*wire.Message) {
		return func(m *wire.Message) { m.ShortMessage = []byte(text) }
	}
	guises := map[string]func(*wire.Message){
		"UCS-2":      ucs2("Avslutt"),
		"full width": ucs2("ＳＴＯＰＰ"),
		"in quotes":  ucs2("«Stopp»"),
		"with marks": ucs2("\ufeffSTOPP\u200b。"),
		"full stop":  says("Stopp."),
		"shouted":    says("STOP!!!"),
		"bracketed":  says("(stop)"),
		"Latin-1":    func(m *wire.Message) { m.DataCoding = 3 },
		"message_payload": func(m *wire.Message) {
			m.ShortMessage, m.TLVs = nil, []wire.TLV{{Tag: wire.TagMessagePayload, Value: []byte("Stop ")}}
		},
		"segment":             func(m *wire.Message) { m.ESMClass, m.ShortMessage = 0x40, []byte("\x05\x00\x03\x07\x01\x01STOP") },
		"with 00":             func(m *wire.Message) { m.Source = "004799999999" },
		"with +":              func(m *wire.Message) { m.Source, m.Dest = "+4799999999", "2077" },
		"to a number with 00": func(m *wire.Message) { m.Dest = "004759440000" },
		"to a number with +":  func(m *wire.Message) { m.Dest = "+4759440000" },
		"to a bare number":    func(m *wire.Message) { m.Dest = "4759440000" },
	}
	for name, guise := range guises {
		t.Run(name, func(t *testing.T) {
			w := daemontest.New(t, smsctest.Profile{}, "")
			m := mobileOriginated("stop")
			guise(m)
			deliver(w, m)
			p := w.Send("k", "+4799999999")
			if got := w.Status(p.ShipmentID); got != "SMS_Failed_RecipientReserved" {
				t.Errorf("%s, %d submits", got, len(w.SMSC.Submits()))
			}
		})
	}
}

// An SMSC whose default alphabet is packed may deliver packed texts, or not.
func TestStopWordPacked(t *testing.T) {
	for name, octets := range map[string]string{
		"four septets":            "\x73\xfa\x1b\x0e", // 3GPP TS 23.038 §6.1.2.1: "stop" and "Avslutt"
		"seven, filled with CR":   "\x41\xfb\x9c\x5d\xa7\xd3\x1b",
		"seven, filled with zero": "\x41\xfb\x9c\x5d\xa7\xd3\x01",
		"not packed":              "stop",
	} {
		t.Run(name, func(t *testing.T) {
			w := daemontest.New(t, smsctest.Profile{}, `alphabet = "gsm-packed"`)
			deliver(w, mobileOriginated(octets))
			p := w.Send("k", "+4799999999")
			if got := w.Status(p.ShipmentID); got != "SMS_Failed_RecipientReserved" {
				t.Errorf("%s, %d submits", got, len(w.SMSC.Submits()))
			}
		})
	}
}

// A number in national form may be another country's: nothing is blocked, and the log
// says so without the number.
func TestStopWordFromANationalNumber(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	log := w.KeepLog()
	w.Start()
	for range 3 {
		m := mobileOriginated("stop")
		m.SourceTON, m.Source = 2, "4799999999"
		deliver(w, m)
	}
	p := w.Send("k", "+4799999999")
	w.Await(p.ShipmentID, "SMS_Delivered")
	if n := strings.Count(log.String(), "national form"); n != 1 || strings.Contains(log.String(), "4799999999") {
		t.Errorf("told %d times: %s", n, log.String())
	}
	m := mobileOriginated("stop")
	m.SourceTON, m.Source = 2, "+4799999999" // the '+' makes it international, whatever its TON
	deliver(w, m)
	p = w.Send("l", "+4799999999")
	if got := w.Status(p.ShipmentID); got != "SMS_Failed_RecipientReserved" {
		t.Error(got)
	}
}

// Other messages are acknowledged and counted, and change nothing.
func TestOtherMessagesFromPhones(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	broken := mobileOriginated("\xff\x00\x03STOP") // a header that is longer than the message
	broken.ESMClass = 0x40
	elsewhere := mobileOriginated("STOP")
	elsewhere.Dest = "2440"
	halves := mobileOriginated("\x05\x00\x03\x07\x02\x01Please don't ST")
	halves.ESMClass = 0x40
	for _, m := range []*wire.Message{broken, elsewhere, halves, mobileOriginated("Stop it!"), mobileOriginated("")} {
		deliver(w, m)
	}
	if _, metrics := w.Admin("/metrics"); !strings.Contains(metrics, `straks_inbound_messages_total{word="other"} 5`) {
		t.Error("five messages were not counted")
	}
	p := w.Send("k", "+4799999999")
	w.Await(p.ShipmentID, "SMS_Delivered")
}

// A phone that imitates a receipt changes nothing about messages to other phones.
func TestReceiptByHand(t *testing.T) {
	profile := smsctest.Profile{}
	profile.Receipt.Missing = 1
	w := daemontest.New(t, profile, "")
	p := w.Send("k", "+4799999999")
	id := w.SMSC.Submits()[0].MessageID
	imitation := func(source, state string) *wire.Message {
		m := mobileOriginated("id:" + id + " sub:001 dlvrd:001 submit date:2602041133 done date:2602041133 stat:" + state + " err:000 text:")
		m.Source = source
		return m
	}
	deliver(w, imitation("4791234567", "UNDELIV"))
	if got := w.Status(p.ShipmentID); got != "SMS_Accepted" {
		t.Errorf("a stranger made it %s", got)
	}
	deliver(w, imitation("4799999999", "DELIVRD")) // as SMSCs do that don't set esm_class
	w.Await(p.ShipmentID, "SMS_Delivered")
}

// deliver makes the SMSC deliver m, and returns when it is acknowledged.
func deliver(w *daemontest.World, m *wire.Message) {
	w.T.Helper()
	if err := w.SMSC.Deliver(m); err != nil {
		w.T.Fatal(err)
	}
	eventually.True(w.T, "the acknowledgement", func() bool { return w.SMSC.Stats().WaitingNow == 0 })
}
