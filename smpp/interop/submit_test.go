package interop

import (
	"slices"
	"strings"
	"testing"

	"straks/smpp"
	"straks/smpp/smsctest"
)

// TestDissectorReadsEverySubmit sends messages in every form that a gateway has a setting
// for, and reads the sessions with Wireshark.
func TestDissectorReadsEverySubmit(t *testing.T) {
	for _, c := range []struct {
		name string
		smsc smpp.SMSC
		peer smsctest.Alphabet
	}{
		{"defaults", smpp.SMSC{}, smsctest.GSM},
		{"udh16", smpp.SMSC{LongMessages: smpp.LongUDH16, ServiceType: "VMA", SystemType: "VMA"}, smsctest.GSM},
		{"sar", smpp.SMSC{LongMessages: smpp.LongSAR, Validity: smpp.ValidityAbsolute}, smsctest.GSM},
		{"payload", smpp.SMSC{LongMessages: smpp.LongPayload, Validity: smpp.ValidityNone}, smsctest.GSM},
		{"packed", smpp.SMSC{Alphabet: smpp.AlphabetGSMPacked}, smsctest.GSMPacked},
		{"latin1", smpp.SMSC{Alphabet: smpp.AlphabetLatin1, Mode: smpp.ModeSeparate}, smsctest.Latin1},
	} {
		t.Run(c.name, func(t *testing.T) {
			smsc := listen(t, smsctest.Profile{Alphabet: c.peer})
			tap := newTap(t, smsc.Addr())
			c.smsc.Addr = tap.addr()
			g := gateway(t, c.smsc)
			parts := sendAll(t, g, smsc)
			g.stop()
			checkSession(t, tap, parts, c.smsc.Validity)
		})
	}
}

// sendAll sends every text from every kind of sender, awaits the receipts, and returns the
// number of submit_sm.
func sendAll(t *testing.T, g *running, smsc *smsctest.SMSC) (parts int) {
	t.Helper()
	for _, from := range []string{"Straks", "1963", "+4790000000", ""} {
		for _, c := range texts {
			smsc.Forget()
			parts += g.send(t, from, c.text).Total
			var joined strings.Builder
			for _, s := range smsc.Submits() {
				joined.WriteString(s.Text())
				g.delivery(t)
			}
			if joined.String() != c.text {
				t.Errorf("the simulator reads %q, want %q", joined.String(), c.text)
			}
		}
	}
	return parts
}

// checkSession compares what Wireshark reads with what was sent.
func checkSession(t *testing.T, p *tap, parts int, validity smpp.ValidityMode) {
	t.Helper()
	const (
		reference, number  = "smpp.user_message_reference", "smpp.destination_addr"
		absolute, relative = "smpp.validity_period", "smpp.validity_period_r"
	)
	d := dissect(t, p.recorded()...)
	if faults := d.faults(t); faults != "" {
		t.Errorf("Wireshark finds faults:\n%s", faults)
	}
	read := d.fields(t, "smpp.command_id == 4", reference, number, absolute, relative)
	if got := read[reference]; len(got) != parts {
		t.Errorf("%d references are read in %d submit_sm", len(got), parts)
	}
	want := map[string]int{relative: parts}
	switch validity {
	case smpp.ValidityAbsolute:
		want = map[string]int{absolute: parts}
	case smpp.ValidityNone:
		want = nil
	}
	for _, name := range []string{absolute, relative} {
		got := slices.DeleteFunc(read[name], func(value string) bool {
			return value == "0.000000000" // an empty field
		})
		if len(got) != want[name] {
			t.Errorf("%s is read %d times, want %d: %v", name, len(got), want[name], got)
		}
	}
	if got := read[number]; !slices.Equal(got, slices.Repeat([]string{"4799999999"}, parts)) {
		t.Errorf("destinations are read as %v", got)
	}
}
