package gsm_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"

	"straks/smpp/gsm"
)

const norwegian = "Blåbærgrøt på Ærøy: 100 € {kode} [1^2] ~\\|"

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		text   string
		wanted []gsm.Encoding
		want   gsm.Encoding
	}{
		{"", nil, gsm.GSM7},
		{norwegian, nil, gsm.GSM7},
		{"bla\u030Aba\u0308r", nil, gsm.GSM7}, // decomposed å and ä
		{"\u2126 \u212B", nil, gsm.GSM7},      // Ohm and Ångström signs
		{"ça va", nil, gsm.UCS2},              // only the capital is in the alphabet
		{"čaj", nil, gsm.UCS2},
		{"ring\u030A", nil, gsm.UCS2},
		{"👍", nil, gsm.UCS2},
		{"tab\there", nil, gsm.UCS2},
		{"\x1b", nil, gsm.UCS2},
		{"ça va", []gsm.Encoding{gsm.GSM7Packed, gsm.Latin1}, gsm.Latin1},
		{"ca va", []gsm.Encoding{gsm.GSM7Packed, gsm.Latin1}, gsm.GSM7Packed},
		{"100 €", []gsm.Encoding{gsm.Latin1}, gsm.UCS2}, // CP1252 has it, ISO 8859-1 has not
		{"\xff", nil, gsm.UCS2},
	} {
		if got := gsm.Choose(c.text, c.wanted...); got != c.want {
			t.Errorf("Choose(%q, %v) = %v, want %v", c.text, c.wanted, got, c.want)
		}
	}
}

// The octets are worked out by hand from the standards' tables.
func TestEncode(t *testing.T) {
	for _, c := range []struct {
		e    gsm.Encoding
		text string
		want string
	}{
		{gsm.GSM7, "@£$¥_ æøå ÆØÅ é", "0001020311" + "20" + "1d0c0f" + "20" + "1c0b0e" + "2005"},
		{gsm.GSM7, "€{}[]~^|\\\f", "1b651b281b291b3c1b3e1b3d1b141b401b2f1b0a"},
		{gsm.GSM7, "a\u030A", "0f"},
		{gsm.GSM7Packed, "hellohello", "e8329bfd4697d9ec37"},
		{gsm.GSM7Packed, "1234567", "31d98c56b3dd1a"}, // CR where seven bits are left
		{gsm.UCS2, "å€👍", "00e520acd83ddc4d"},
		{gsm.Latin1, "På ÿ", "50e520ff"},
	} {
		got, err := gsm.Encode(c.e, c.text)
		if err != nil || hex.EncodeToString(got) != c.want {
			t.Errorf("Encode(%v, %q) = %x, %v, want %s", c.e, c.text, got, err, c.want)
		}
	}
}

func TestEncodeRefusesMissingCharacters(t *testing.T) {
	for _, c := range []struct {
		e    gsm.Encoding
		text string
		want error
	}{
		{gsm.GSM7, "hemmelig č", gsm.ErrNotInAlphabet},
		{gsm.GSM7Packed, "hemmelig 👍", gsm.ErrNotInAlphabet},
		{gsm.Latin1, "hemmelig €", gsm.ErrNotInAlphabet},
		{gsm.UCS2, "hemmelig \xc3", gsm.ErrInvalidText},
		{gsm.GSM7, "hemmelig \xff", gsm.ErrInvalidText},
	} {
		got, err := gsm.Encode(c.e, c.text)
		if got != nil || !errors.Is(err, c.want) {
			t.Errorf("Encode(%v, %q) = %x, %v, want %v", c.e, c.text, got, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "hemmelig") {
			t.Errorf("the error contains the text: %v", err)
		}
		if _, splitErr := gsm.Split(c.e, c.text, gsm.UDH8Len); !errors.Is(splitErr, c.want) {
			t.Errorf("Split(%v, %q): %v, want %v", c.e, c.text, splitErr, c.want)
		}
	}
}

func TestDecodeForeignOctets(t *testing.T) {
	for _, c := range []struct {
		e      gsm.Encoding
		octets string
		header int
		want   string
		err    error
	}{
		{gsm.GSM7, "1b65", 0, "€", nil},
		{gsm.GSM7, "1b61", 0, "a", nil},    // not in the extension table
		{gsm.GSM7, "611b", 0, "a ", nil},   // cut by another system
		{gsm.GSM7, "1b1b61", 0, " a", nil}, // reserved for a second table
		{gsm.GSM7, "6180", 0, "", gsm.ErrMalformed},
		{gsm.UCS2, "006100", 0, "a", nil},
		{gsm.UCS2, "d83d0061", 0, "\uFFFDa", nil},
		{gsm.UCS2, "050003010201006f", 6, "o", nil},
		{gsm.Latin1, "e5", 0, "å", nil},
		{gsm.GSM7, "61", 2, "", gsm.ErrMalformed},
		{gsm.GSM7, "61", -1, "", gsm.ErrMalformed},
	} {
		octets, err := hex.DecodeString(c.octets)
		if err != nil {
			t.Fatal(err)
		}
		got, err := gsm.Decode(c.e, octets, c.header)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("Decode(%v, %s, %d) = %q, %v, want %q, %v", c.e, c.octets, c.header, got, err, c.want, c.err)
		}
	}
}

func TestEveryEncodingRoundTrips(t *testing.T) {
	for e, text := range map[gsm.Encoding]string{
		gsm.GSM7: norwegian, gsm.GSM7Packed: norwegian, gsm.Latin1: "På ÿ\n", gsm.UCS2: norwegian + "čķ👨‍👩‍👧",
	} {
		for _, header := range [][]byte{nil, gsm.UDH8(7, 2, 0), gsm.UDH16(700, 2, 1)} {
			octets, err := gsm.Append(header, e, text)
			if err != nil {
				t.Fatal(e, err)
			}
			if !bytes.HasPrefix(octets, header) {
				t.Errorf("%v: the header is missing: %x", e, octets)
			}
			if back, err := gsm.Decode(e, octets, len(header)); back != text || err != nil {
				t.Errorf("%v after %d octets: %q, %v, want %q", e, len(header), back, err, text)
			}
		}
	}
}

func TestPackedWithHeaderStartsAtSeptet(t *testing.T) {
	got, err := gsm.Append(gsm.UDH8(1, 2, 0), gsm.GSM7Packed, "a")
	if want := "050003010201c2"; err != nil || hex.EncodeToString(got) != want {
		t.Errorf("one fill bit, then 'a': %x, %v, want %s", got, err, want)
	}
}

// go-smpp's table is known to be correct (its error handling is not, so only
// characters that it has are compared).
func TestAgreesWithGoSMPP(t *testing.T) {
	for r := rune(0); r < 0x3000; r++ {
		text := string(r)
		if gsm.Normalize(text) != text {
			continue
		}
		theirs := pdutext.GSM7(text).Encode()
		known := string(pdutext.GSM7(theirs).Decode()) == text && len(theirs) <= 2 && (r < 0x80 || string(theirs) != text)
		ours, err := gsm.Encode(gsm.GSM7, text)
		if (err == nil) != known && r != 0x1B {
			t.Errorf("U+%04X: ours %x, %v; theirs %x", r, ours, err, theirs)
		}
		if err == nil && !bytes.Equal(ours, theirs) {
			t.Errorf("U+%04X: ours %x, theirs %x", r, ours, theirs)
		}
	}
}

func TestTransliterate(t *testing.T) {
	for text, want := range map[string]string{
		"“Din” kode – ‘1234’…":   `"Din" kode - '1234'...`,
		"kode\u00A0\u200B1234\t": "kode 1234 ",
		"ΑΘΗΝΑ":                  "AΘHNA",
		"ＡＢＣ１":                   "ABC1",
		"«blåbær» ça":            "«blåbær» ça", // ç needs UCS-2 anyway: unharmed
		"“👍”":                    "“👍”",
		"a\u030A ok":             "å ok",
		"bare GSM €":             "bare GSM €",
		"\xff":                   "\xff",
	} {
		if got := gsm.Transliterate(text); got != want {
			t.Errorf("Transliterate(%q) = %q, want %q", text, got, want)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add(norwegian, 0)
	f.Add("1234567", 6)
	f.Add("e\u0301👍", 7)
	f.Fuzz(func(t *testing.T, text string, header int) {
		header = (header%8 + 8) % 8
		for e := gsm.GSM7; e <= gsm.Latin1; e++ {
			octets, err := gsm.Append(make([]byte, header), e, text)
			if err != nil {
				continue
			}
			back, err := gsm.Decode(e, octets, header)
			if err != nil {
				t.Fatalf("%v: %v", e, err)
			}
			want := gsm.Normalize(text)
			if e == gsm.GSM7Packed { // a final CR may have been taken for the filler
				back, want = strings.TrimRight(back, "\r"), strings.TrimRight(want, "\r")
			}
			if back != want {
				t.Fatalf("%v: %q became %q", e, want, back)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x05\x00\x03\x01\x02\x01\x1b\x65"), 6)
	f.Fuzz(func(t *testing.T, message []byte, header int) {
		for e := gsm.GSM7; e <= gsm.Latin1; e++ {
			text, err := gsm.Decode(e, message, header)
			if err == nil && len(utf16.Encode([]rune(text))) > 2*len(message) {
				t.Fatalf("%v: %d octets became %q", e, len(message), text)
			}
		}
	})
}
