package daemon_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
)

const (
	shortText = "Kode: 12 €, blåbær"
	longText  = "Blåbærsyltetøy og 10 € til deg. Blåbærsyltetøy og 10 € til deg. Blåbærsyltetøy og 10 € til deg. Blåbærsyltetøy og 10 € til deg. Blåbærsyltetøy og 10 € til deg. "
)

// An SMSC's settings decide the fields of its submit_sm.
func TestSettingsReachTheSMSC(t *testing.T) {
	validity := func(want string) func(smsctest.Submit) bool {
		return func(s smsctest.Submit) bool { return s.Validity == want }
	}
	coding := func(n byte) func(smsctest.Submit) bool {
		return func(s smsctest.Submit) bool { return s.DataCoding == n }
	}
	for _, c := range []struct {
		setting  string
		alphabet smsctest.Alphabet
		text     string
		ok       func(smsctest.Submit) bool
	}{
		{``, smsctest.GSM, shortText, func(s smsctest.Submit) bool {
			return s.Validity > "000000000150000R" && s.Validity <= "000000000200000R"
		}},
		{`validity_floor = "10m"`, smsctest.GSM, shortText, validity("000000001000000R")},
		{`validity_ceiling = "1m"`, smsctest.GSM, shortText, validity("000000000100000R")},
		{`validity = "none"`, smsctest.GSM, shortText, func(s smsctest.Submit) bool { return s.Validity == "" }},
		{`validity = "absolute"`, smsctest.GSM, shortText, func(s smsctest.Submit) bool {
			at, err := time.Parse("060102150405000+", s.Validity)
			left := at.Sub(s.At)
			return err == nil && left > 110*time.Second && left <= 120*time.Second
		}},
		{`address.alphanumeric = { ton = 1, npi = 3 }`, smsctest.GSM, shortText, func(s smsctest.Submit) bool {
			return s.SourceTON == 1 && s.SourceNPI == 3 && s.DestTON == 1 && s.DestNPI == 1
		}},
		{`address.destination = { ton = 0, npi = 1 }`, smsctest.GSM, shortText, func(s smsctest.Submit) bool { return s.DestTON == 0 }},
		{`data_coding = 241`, smsctest.GSM, shortText, coding(241)},
		{`alphabet = "gsm-packed"`, smsctest.GSMPacked, shortText, coding(0)},
		{`alphabet = "gsm-packed"`, smsctest.GSMPacked, longText, coding(0)},
		{`alphabet = "latin1"`, smsctest.Latin1, "blåbær", coding(3)},
		{`alphabet = "latin1"`, smsctest.Latin1, shortText, coding(8)}, // it has no €
		{``, smsctest.GSM, "Ёжик 🦔", coding(8)},
		{``, smsctest.GSM, longText, segment(3)},
		{`long_messages = "udh16"`, smsctest.GSM, longText, segment(4)},
		{`long_messages = "sar"`, smsctest.GSM, longText, segment(0)},
		{`long_messages = "payload"`, smsctest.GSM, longText, func(s smsctest.Submit) bool { return len(s.ShortMessage) == 0 }},
	} {
		t.Run(c.setting, func(t *testing.T) {
			w := daemontest.New(t, smsctest.Profile{Alphabet: c.alphabet}, c.setting)
			order := daemontest.SMS("k", "+4799999999")
			order.Recipient.Settings.Body = c.text
			if _, err := w.Client.SendSMS(t.Context(), order); err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			for _, s := range w.SMSC.Submits() {
				text.WriteString(s.Text())
				if !c.ok(s) {
					t.Errorf("got %+v", s.Message)
				}
			}
			if text.String() != c.text {
				t.Errorf("the phone shows %q", text.String())
			}
		})
	}
}

// An SMSC that speaks SMPP 3.3 only: with interface_version = "3.3" messages and receipts
// go through, without it nothing does.
func TestSMPP33(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{Version33: true}, `interface_version = "3.3"`)
	order := daemontest.SMS("k", "+4799999999")
	order.Recipient.Settings.Body = longText
	p, err := w.Client.SendSMS(t.Context(), order)
	if err != nil {
		t.Fatal(err)
	}
	w.Await(p.ShipmentID, "SMS_Delivered")
	if n := len(w.SMSC.Submits()); n != 2 || w.SMSC.Stats().Malformed != 0 {
		t.Errorf("%d parts, %+v", n, w.SMSC.Stats())
	}
	for _, b := range w.SMSC.Binds() {
		if b.Version != 0x33 {
			t.Errorf("bound as %#x", b.Version)
		}
	}

	w = daemontest.New(t, smsctest.Profile{Version33: true}, `mode = "transmitter+receiver"`)
	w.Client.SendSMS(t.Context(), order)
	if n := len(w.SMSC.Submits()); n != 0 || w.SMSC.Stats().Malformed == 0 {
		t.Errorf("%d taken with TLVs, %+v", n, w.SMSC.Stats())
	}
}

// segment returns a check for parts with a user data header element of n octets, or,
// for 0, with SAR TLVs and no header.
func segment(n int) func(smsctest.Submit) bool {
	return func(s smsctest.Submit) bool {
		seg, ok := s.Segment()
		header := s.UserDataHeader()
		return ok && seg.Total == 2 && (n == 0 && header == nil || n > 0 && len(header) == 2+n)
	}
}

func TestTooLittleTimeLeft(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, `min_rest = "1m"`)
	order := daemontest.SMS("k", "+4799999999")
	order.Recipient.TTLSeconds = 60 // less is left when it would be written
	var problem *client.Problem
	if p, err := w.Client.SendSMS(t.Context(), order); !errors.As(err, &problem) || problem.Status != 503 || len(w.SMSC.Submits()) != 0 {
		t.Errorf("%+v, %v, %d submits", p, err, len(w.SMSC.Submits()))
	}
}
