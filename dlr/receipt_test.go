package dlr

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestEveryStandardStateReadsBack(t *testing.T) {
	for s := Enroute; s <= Skipped; s++ {
		for _, word := range []string{s.String(), strings.ToLower(s.String()), " " + s.String() + ","} {
			if got := parseState(word); got != s {
				t.Errorf("parseState(%q) = %v, want %v", word, got, s)
			}
		}
	}
	for _, word := range []string{"", "0", "10", "-2", "NONE", "DELIVRD2"} {
		if got := parseState(word); got != None {
			t.Errorf("parseState(%q) = %v, want %v", word, got, None)
		}
	}
}

// "Delivered" counts only if it is the whole value: a second word can reverse it.
func TestDeliveredIsTheWholeValue(t *testing.T) {
	for value, want := range map[string]State{
		"DELIVRD": Delivered, " \"DELIVERED\", ": Delivered, "DELIVRD ,": Delivered, "DELIVRD route:A": Delivered, "2": Delivered,
		"DELIVERY FAILED": None, "Delivery failure": None, "DELIVERED NO": None, "DELIVRD 0": None, "2 failed": None,
		"UNDELIV BARRED": Undeliverable, "FAILED TO BE DELIVERED": Undeliverable,
	} {
		if got := parseState(value); got != want {
			t.Errorf("parseState(%q) = %v, want %v", value, got, want)
		}
	}
}

func TestDates(t *testing.T) {
	for value, want := range map[string]string{
		"2402031405":           "2024-02-03 14:05:00",
		" 240203140507 ":       "2024-02-03 14:05:07",
		"202602031405":         "2026-02-03 14:05:00",
		"20260203140507":       "2026-02-03 14:05:07",
		"2026-02-03T14:05:07Z": "2026-02-03 14:05:07",
		"2026/02/03 14:05":     "2026-02-03 14:05:00",
		"2402031405+0100":      "2024-02-03 14:05:00",
		"2402301405":           "", // no 30 February
		"240203":               "",
		"1707000000":           "", // seconds since 1970: month 07, day 00
		"":                     "",
	} {
		if got := when(parseDate(value)); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

func TestNoNumberOrTextGetsIntoLogs(t *testing.T) {
	var log bytes.Buffer
	d := Deliver{ESMClass: 4, Source: "4799999999", Text: []byte("id:1 stat:DELIVRD err:hemmelig.kode text:hemmelig")}
	r, _ := Parse(d)
	slog.New(slog.NewTextHandler(&log, nil)).Info("receipt", "deliver", d, "receipt", r)
	if s := log.String(); strings.Contains(s, "4799999999") || strings.Contains(s, "hemmelig") || !strings.Contains(s, "DELIVRD") {
		t.Errorf("logged: %s", s)
	}
}

func TestLongValuesAreLeftOut(t *testing.T) {
	long := strings.Repeat("9", 70_000)
	r, ok := Parse(Deliver{ESMClass: 4, ReceiptedMessageID: long, Text: []byte("id:" + long + " stat:DELIVRD err:" + long)})
	if !ok || r.ID != "" || r.Error != "" || !r.Done.IsZero() {
		t.Errorf("%v, %+v", ok, r)
	}
}

// unmasked returns a word of an unknown state that is neither a state, harmless nor masked.
func unmasked(state string) string {
	for _, word := range strings.Fields(state) {
		if shown := strings.TrimRight(word, "*"); stateWord(word) == None && !harmless(word) && (len(shown) > 2 || !all(shown, letter)) {
			return word
		}
	}
	return ""
}

// FuzzParse: every value is bounded and printable, and no octets after "text:" change
// the fields of a receipt.
func FuzzParse(f *testing.F) {
	f.Add(byte(4), byte(0), []byte("id:1 sub:001 dlvrd:001 submit date:2402031405 done date:2402031406 stat:DELIVRD err:000 text:x"), "1", []byte{2}, []byte{3, 0, 13})
	f.Add(byte(0), byte(8), []byte("\x00i\x00d\x00:\x001"), "", []byte{}, []byte{})
	f.Add(byte(0x20), byte(0), []byte("text:stat:id:err:::: _ submit - date:"), "a b", []byte{0, 0, 5}, []byte{1})
	f.Fuzz(func(t *testing.T, class, coding byte, text []byte, id string, state, network []byte) {
		d := Deliver{ESMClass: class, DataCoding: coding, Text: text, ReceiptedMessageID: id,
			MessageState: state, NetworkErrorCode: network}
		r, ok := Parse(d)
		if !ok && r != (Receipt{}) {
			t.Fatalf("not a receipt, but %+v", r)
		}
		if len(r.ID) > maxID || len(r.Error) > maxError || strings.ContainsFunc(r.ID+r.Error, notGraphic) || r.State > Skipped {
			t.Fatalf("%+v", r)
		}
		if len(r.UnknownState) > 2*maxWord+1 || unmasked(r.UnknownState) != "" {
			t.Fatalf("unknown state %q", r.UnknownState)
		}
		var dialect Dialect
		for _, h := range dialect.MismatchHints(r.ID) {
			if h.Ref == dialect.ReceiptRef(r.ID) {
				t.Fatalf("hint %v is the reference that is tried anyway", h)
			}
		}
		checkPrefix(t, text)
	})
}

// checkPrefix appends octets to a whole receipt that ends with "text:".
func checkPrefix(t *testing.T, tail []byte) {
	t.Helper()
	if bytes.Count(tail, []byte{0}) > 20 {
		return // would pass for UTF-16
	}
	r, ok := Parse(Deliver{Text: append([]byte("id:77 sub:001 dlvrd:001 stat:EXPIRED err:5 text:"), tail...)})
	if !ok || r.ID != "77" || r.State != Expired || r.Error != "5" {
		t.Fatalf("%q after text: changed the receipt to %+v, %v", tail, r, ok)
	}
}

func notGraphic(r rune) bool { return r <= ' ' || r > '~' }

func BenchmarkParse(b *testing.B) {
	d := Deliver{ESMClass: 4, Text: []byte("id:1234567890 sub:001 dlvrd:001 submit date:2402031405 done date:2402031406 stat:DELIVRD err:000 text:Din kode")}
	for b.Loop() {
		Parse(d)
	}
}
