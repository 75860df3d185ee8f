package smpp

import (
	"strings"
	"testing"
	"time"

	"straks/smpp/gsm"
	"straks/smpp/wire"
)

// buildFor builds a message for an SMSC of that configuration.
func buildFor(c SMSC, text string) (*smsc, *build, []Fault) {
	c.fillDefaults()
	s := &smsc{SMSC: c}
	b, faults := s.build(&Message{To: number, Text: text, Expires: epoch.Add(time.Hour)}, "Straks", 0x0102)
	return s, b, faults
}

func TestEncodings(t *testing.T) {
	f1 := 0xF1
	for _, c := range []struct {
		smsc     SMSC
		text     string
		encoding gsm.Encoding
		coding   byte
		octets   string
	}{
		{SMSC{}, "@ 5 €", gsm.GSM7, 0, "\x00 5 \x1be"},
		{SMSC{DataCoding: &f1}, "å", gsm.GSM7, 0xF1, "\x0f"},
		{SMSC{DataCoding: &f1}, "ж", gsm.UCS2, 8, "\x04\x36"},
		{SMSC{Alphabet: AlphabetLatin1}, "å", gsm.Latin1, 3, "\xe5"},
		{SMSC{Alphabet: AlphabetLatin1}, "€", gsm.UCS2, 8, "\x20\xac"},
		{SMSC{Alphabet: AlphabetGSMPacked}, "hellohello", gsm.GSM7Packed, 0, "\xe8\x32\x9b\xfd\x46\x97\xd9\xec\x37"},
	} {
		_, b, faults := buildFor(c.smsc, c.text)
		if faults != nil || b.encoding != c.encoding || b.base.DataCoding != c.coding || string(b.parts[0]) != c.octets {
			t.Errorf("%q: %v, %v, %d, %q", c.text, faults, b.encoding, b.base.DataCoding, b.parts)
		}
	}
}

func TestNumberingOverrides(t *testing.T) {
	c := SMSC{Address: Address{Alphanumeric: &Numbering{5, 1}, ShortCode: &Numbering{0, 0}, Destination: &Numbering{2, 8}}}
	c.fillDefaults()
	s := &smsc{SMSC: c}
	for sender, want := range map[string][2]byte{"Straks": {5, 1}, "2440": {0, 0}, "+4799999999": {1, 1}, "": {0, 0}} {
		b, faults := s.build(&Message{To: number, Text: "x"}, sender, 0)
		if faults != nil || b.base.SourceTON != want[0] || b.base.SourceNPI != want[1] || b.base.DestTON != 2 || b.base.DestNPI != 8 {
			t.Errorf("%q: %v, %+v", sender, faults, b.base)
		}
	}
}

// The validity period is the time to live that is left when a part is written.
func TestFinish(t *testing.T) {
	s, b, _ := buildFor(SMSC{MinRest: 5 * time.Second}, "x")
	m := b.part(s, 0, 7)
	if err := b.finish(s, m, epoch.Add(30*time.Minute)); err != nil || m.Validity != "000000003000000R" {
		t.Errorf("%v, %q", err, m.Validity)
	}
	if err := b.finish(s, m, epoch.Add(time.Hour-4*time.Second)); err != errTooLate {
		t.Error(err)
	}
	b.expires = time.Time{}
	if m = b.part(s, 0, 7); b.finish(s, m, epoch) != nil || m.Validity != "" {
		t.Errorf("%q without expiry", m.Validity)
	}
}

// For any text and sender there are faults, or parts that the codec accepts.
func FuzzBuild(f *testing.F) {
	f.Add("Straks", "Koden er 123456", byte(0))
	f.Add("+4799999999", strings.Repeat("Ёжик 🦔", 40), byte(5))
	f.Add("2440", strings.Repeat("{€}", 200), byte(11))
	f.Fuzz(func(t *testing.T, sender, text string, form byte) {
		c := SMSC{
			Alphabet:     []Alphabet{AlphabetGSM, AlphabetGSMPacked, AlphabetLatin1}[form%3],
			LongMessages: []LongMode{LongUDH8, LongUDH16, LongSAR, LongPayload}[form/3%4],
		}
		c.fillDefaults()
		s := &smsc{SMSC: c}
		b, faults := s.build(&Message{To: number, Text: text, Expires: epoch.Add(time.Hour)}, sender, 1)
		if faults != nil {
			return
		}
		if len(b.parts) == 0 || len(b.parts) > gsm.MaxParts || b.segments < len(b.parts) {
			t.Fatalf("%d parts, %d segments", len(b.parts), b.segments)
		}
		for i := range b.parts {
			m := b.part(s, i, uint16(i))
			if err := b.finish(s, m, epoch); err != nil {
				t.Fatal(err)
			}
			if _, err := wire.Append(nil, wire.Header{ID: wire.SubmitSM, Sequence: 1}, m); err != nil {
				t.Fatal(err)
			}
			if !b.payload && len(m.ShortMessage) > 160 {
				t.Fatalf("%d octets", len(m.ShortMessage))
			}
		}
	})
}

func TestValidityPeriod(t *testing.T) {
	now := time.Date(2026, 2, 28, 23, 59, 30, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		smsc SMSC
		left time.Duration
		want string
	}{
		{SMSC{Validity: ValidityRelative}, 5 * time.Minute, "000000000500000R"},
		{SMSC{Validity: ValidityRelative}, 59*time.Second + 999*time.Millisecond, "000000000059000R"},
		{SMSC{Validity: ValidityRelative}, 48 * time.Hour, "000002000000000R"},
		{SMSC{Validity: ValidityRelative}, 26*time.Hour + 3*time.Minute + 4*time.Second, "000001020304000R"},
		{SMSC{Validity: ValidityRelative}, time.Millisecond, "000000000001000R"},
		{SMSC{Validity: ValidityRelative}, 10000 * time.Hour, "000098235959000R"},
		{SMSC{Validity: ValidityRelative, ValidityFloor: time.Minute}, 10 * time.Second, "000000000100000R"},
		{SMSC{Validity: ValidityRelative, ValidityCeiling: time.Hour}, 2 * time.Hour, "000000010000000R"},
		{SMSC{Validity: ValidityAbsolute}, 5 * time.Minute, "260228230430000+"},
		{SMSC{Validity: ValidityNone}, 5 * time.Minute, ""},
	} {
		if got := c.smsc.validityPeriod(now, now.Add(c.left)); got != c.want {
			t.Errorf("%v, %v: %q, want %q", c.smsc.Validity, c.left, got, c.want)
		}
	}
}
