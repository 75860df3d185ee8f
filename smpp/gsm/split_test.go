package gsm_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"straks/smpp/gsm"
)

func TestSplitSizes(t *testing.T) {
	for _, c := range []struct {
		e      gsm.Encoding
		text   string // repeated
		n      int
		header int
		want   []int // characters of each part
	}{
		{gsm.GSM7, "a", 0, gsm.UDH8Len, []int{0}},
		{gsm.GSM7, "a", 160, gsm.UDH8Len, []int{160}},
		{gsm.GSM7, "a", 161, gsm.UDH8Len, []int{153, 8}},
		{gsm.GSM7, "a", 306, gsm.UDH8Len, []int{153, 153}},
		{gsm.GSM7, "a", 306, gsm.UDH16Len, []int{152, 152, 2}},
		{gsm.GSM7Packed, "å", 161, gsm.UDH16Len, []int{152, 9}},
		{gsm.GSM7, "€", 80, gsm.UDH8Len, []int{80}},
		{gsm.GSM7, "€", 81, gsm.UDH8Len, []int{76, 5}}, // 153 is odd: the pair stays whole
		{gsm.UCS2, "č", 70, gsm.UDH8Len, []int{70}},
		{gsm.UCS2, "č", 71, gsm.UDH8Len, []int{67, 4}},
		{gsm.UCS2, "č", 71, gsm.UDH16Len, []int{66, 5}},
		{gsm.UCS2, "👍", 35, gsm.UDH8Len, []int{35}},
		{gsm.UCS2, "👍", 36, gsm.UDH8Len, []int{33, 3}},
		{gsm.UCS2, "🇳🇴", 18, gsm.UDH8Len, []int{32, 4}}, // flags stay whole
		{gsm.Latin1, "ç", 141, gsm.UDH8Len, []int{134, 7}},
		{gsm.Latin1, "ç", 141, gsm.UDH16Len, []int{133, 8}},
	} {
		parts, err := gsm.Split(c.e, strings.Repeat(c.text, c.n), c.header)
		if err != nil {
			t.Errorf("%v %q: %v", c.e, c.text, err)
			continue
		}
		var got []int
		for _, p := range parts {
			got = append(got, utf8.RuneCountInString(p))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d of %q in %v, header %d: %v, want %v", c.n, c.text, c.e, c.header, got, c.want)
		}
	}
}

func TestSplitNeverCutsWhatIsReadAsOne(t *testing.T) {
	for name, one := range map[string]string{
		"family":        "👨‍👩‍👧‍👦",
		"skin tone":     "👍🏽",
		"both":          "👩🏽‍❤️‍💋‍👨🏿",
		"keycap":        "1️⃣",
		"flag":          "🇳🇴",
		"England":       "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
		"marks":         "q\u0323\u0307",
		"Devanagari":    "कि",
		"CR LF":         "č\r\n",
		"line and mark": "č\r\n\u0301",
	} {
		for shift := range 67 {
			text := strings.Repeat("x", shift) + strings.Repeat(one, 70/utf8.RuneCountInString(one)+2)
			parts, err := gsm.Split(gsm.UCS2, text, gsm.UDH8Len)
			if err != nil {
				t.Fatal(name, err)
			}
			for _, p := range parts[1:] {
				if rest := strings.TrimLeft(p, "x"); !strings.HasPrefix(rest, one) && name != "CR LF" && name != "line and mark" {
					t.Fatalf("%s, shifted by %d: a part begins with %q", name, shift, p)
				}
				if p[0] == '\n' {
					t.Fatalf("%s, shifted by %d: CR LF was cut", name, shift)
				}
			}
		}
	}
}

func TestSplitTakesPathologicalSequences(t *testing.T) {
	text := "x" + strings.Repeat("\u200D", 300) + strings.Repeat("🇳", 101)
	parts, err := gsm.Split(gsm.UCS2, text, gsm.UDH8Len)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(parts, "") != gsm.Normalize(text) {
		t.Error("the parts do not give the text back")
	}
}

func TestSplitTellsHowManyPartsAreNeeded(t *testing.T) {
	full := strings.Repeat("a", 153*gsm.MaxParts)
	if parts, err := gsm.Split(gsm.GSM7, full, gsm.UDH8Len); len(parts) != gsm.MaxParts || err != nil {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	_, err := gsm.Split(gsm.GSM7, full+"aa"+full, gsm.UDH8Len)
	var tooLong *gsm.TooLongError
	if !errors.Is(err, gsm.ErrTooLong) || !errors.As(err, &tooLong) || tooLong.Needed != 33 {
		t.Errorf("got %v, want 33 parts needed", err)
	}
}

func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		got  []byte
		want string
		size int
	}{
		{gsm.UDH8(0xAB, 16, 15), "\x05\x00\x03\xAB\x10\x10", gsm.UDH8Len},
		{gsm.UDH16(0xABCD, 2, 0), "\x06\x08\x04\xAB\xCD\x02\x01", gsm.UDH16Len},
	} {
		n, ok := gsm.HeaderLen(append(c.got, 'x'))
		if string(c.got) != c.want || n != c.size || !ok {
			t.Errorf("got %x (length %d, %v), want %x", c.got, n, ok, c.want)
		}
	}
	for _, bad := range []string{"", "\x05\x00\x03", "\xff"} {
		if _, ok := gsm.HeaderLen([]byte(bad)); ok {
			t.Errorf("HeaderLen took %x", bad)
		}
	}
}

// FuzzSplit: the parts give the text back, and each fits a short message.
func FuzzSplit(f *testing.F) {
	f.Add(strings.Repeat("€👍", 90), 6)
	f.Add(strings.Repeat("a\u0301\u0302", 150), 7)
	f.Add(strings.Repeat("🇳🇴👨‍👩‍👧‍👦", 40), 6)
	f.Fuzz(func(t *testing.T, text string, header int) {
		header = gsm.UDH8Len + header&1
		for e := gsm.GSM7; e <= gsm.Latin1; e++ {
			parts, err := gsm.Split(e, text, header)
			if err != nil {
				continue
			}
			if strings.Join(parts, "") != gsm.Normalize(text) {
				t.Fatalf("%v: %q does not give %q back", e, parts, text)
			}
			for i, p := range parts {
				checkPart(t, e, p, header, i, len(parts))
			}
		}
	})
}

func checkPart(t *testing.T, e gsm.Encoding, part string, header, i, total int) {
	t.Helper()
	if part == "" && total > 1 {
		t.Fatalf("%v: part %d of %d is empty", e, i, total)
	}
	if total == 1 {
		header = 0
	}
	octets, err := gsm.Append(make([]byte, header), e, part)
	limit := 140
	if e == gsm.GSM7 {
		limit = header + (140-header)*8/7
	}
	if err != nil || len(octets) > limit {
		t.Fatalf("%v: part %d of %d has %d octets, at most %d fit: %v", e, i, total, len(octets), limit, err)
	}
	if back, err := gsm.Decode(e, octets, header); back != part && e != gsm.GSM7Packed {
		t.Fatalf("%v: %q became %q, %v", e, part, back, err)
	}
}

// naive reads packed septets as a receiver does that knows the number of octets only: as many
// septets as they have room for, and no filler. It shares nothing with the package.
func naive(octets []byte, header int) (septets []byte) {
	var bits []byte
	for _, o := range octets {
		for i := range 8 {
			bits = append(bits, o>>i&1)
		}
	}
	for at := (8*header + 6) / 7 * 7; at+7 <= len(bits); at += 7 {
		var code byte
		for i := range 7 {
			code |= bits[at+i] << i
		}
		septets = append(septets, code)
	}
	return septets
}

// A part of packed septets has no filler that a receiver takes for a character, whether the
// header is before it or the SMSC writes it. At the end of the whole message there may be one, a
// carriage return, where the last part can't be made longer.
func TestPackedPartsHaveNoFiller(t *testing.T) {
	texts := []string{strings.Repeat("a", 152) + "€" + strings.Repeat("b", 30), strings.Repeat("å", 305), strings.Repeat("€", 200)}
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		text, letters := "", []string{"a", "b", "€", "{", "å", "\r", "\r\n", "\n", "@"}[:2+random.IntN(8)]
		for range 140 + random.IntN(600) {
			text += letters[random.IntN(len(letters))]
		}
		texts = append(texts, text)
	}
	for _, text := range texts {
		for _, header := range []int{gsm.UDH8Len, gsm.UDH16Len} {
			parts, err := gsm.Split(gsm.GSM7Packed, text, header)
			if err != nil || strings.Join(parts, "") != text {
				t.Fatalf("%q: %q, %v", text, parts, err)
			}
			if len(parts) == 1 {
				continue
			}
			for i, p := range parts {
				checkFiller(t, p, header, i == len(parts)-1)
				if header == gsm.UDH8Len {
					checkFiller(t, p, 0, i == len(parts)-1)
				}
			}
		}
	}
}

func checkFiller(t *testing.T, part string, header int, last bool) {
	t.Helper()
	octets, err := gsm.Append(make([]byte, header), gsm.GSM7Packed, part)
	if err != nil || len(octets) > 140 {
		t.Fatalf("%q: %d octets, %v", part, len(octets), err)
	}
	want, _ := gsm.Encode(gsm.GSM7, part)
	got := naive(octets, header)
	if last && len(got) == len(want)+1 && got[len(want)] == '\r' {
		got = got[:len(want)]
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q beside a header of %d octets is read as % x, want % x", part, header, got, want)
	}
	if back, err := gsm.Decode(gsm.GSM7Packed, octets, header); !last && (back != part || err != nil) {
		t.Fatalf("%q became %q, %v", part, back, err)
	}
}

// The last part is made longer where that avoids its filler: 153 and 8 septets would have one.
func TestPackedLastPartHasNoFiller(t *testing.T) {
	for n := 161; n < 300; n++ {
		parts, err := gsm.Split(gsm.GSM7Packed, strings.Repeat("a", n), gsm.UDH8Len)
		if err != nil || len(parts) != 2 {
			t.Fatalf("%d: %d parts, %v", n, len(parts), err)
		}
		octets, _ := gsm.Append(make([]byte, gsm.UDH8Len), gsm.GSM7Packed, parts[1])
		if got := naive(octets, gsm.UDH8Len); len(got) != len(parts[1]) {
			t.Errorf("%d: the last part of %d septets is read as %d", n, len(parts[1]), len(got))
		}
	}
}

// The longest texts in octets that 16 parts hold are under MaxOctets, and above it the length alone refuses a text.
func TestMaxOctets(t *testing.T) {
	hangul, ring := strings.Repeat("\u1100\u1161\u11a8", gsm.MaxParts*67), strings.Repeat("A\u030a", gsm.MaxParts*153)
	for e, text := range map[gsm.Encoding]string{gsm.UCS2: hangul, gsm.GSM7: ring} {
		if got := gsm.Choose(text); got != e {
			t.Errorf("%v was chosen, want %v", got, e)
		}
		if parts, err := gsm.Split(e, text, gsm.UDH8Len); len(parts) != gsm.MaxParts || err != nil {
			t.Errorf("%v: %d parts, %v", e, len(parts), err)
		}
	}
	long := strings.Repeat("x", gsm.MaxOctets+1)
	if _, err := gsm.Split(gsm.Choose(long), long, gsm.UDH8Len); !errors.Is(err, gsm.ErrTooLong) || !strings.Contains(err.Error(), "2448 characters") {
		t.Errorf("%v", err)
	}
}
