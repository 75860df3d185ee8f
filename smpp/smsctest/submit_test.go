package smsctest

import (
	"testing"

	"straks/smpp/wire"
)

func TestSubmitText(t *testing.T) {
	payload := func(b string) []wire.TLV { return []wire.TLV{{Tag: wire.TagMessagePayload, Value: []byte(b)}} }
	for _, c := range []struct {
		name string
		s    Submit
		want string
	}{
		{"GSM", Submit{Message: wire.Message{ShortMessage: []byte("\x0f \x1be \x02")}}, "å € $"},
		{"UCS-2", Submit{Message: wire.Message{DataCoding: 8, ShortMessage: []byte("\x00h\xd8\x3d\xde\x42")}}, "h🙂"},
		{"Latin-1", Submit{Message: wire.Message{DataCoding: 3, ShortMessage: []byte("bl\xe5b\xe6r\x80")}}, "blåbær\u0080"},
		{"Latin-1 by default", Submit{alphabet: Latin1, Message: wire.Message{ShortMessage: []byte("\xf8")}}, "ø"},
		{"IA5", Submit{Message: wire.Message{DataCoding: 1, ShortMessage: []byte("@$")}}, "@$"},
		{"payload", Submit{Message: wire.Message{TLVs: payload("\x0f")}}, "å"},
		{"header", Submit{Message: wire.Message{ESMClass: 0x40, ShortMessage: []byte("\x05\x00\x03\x07\x02\x01hello")}}, "hello"},
		{"header that runs past the end", Submit{Message: wire.Message{ESMClass: 0x40, ShortMessage: []byte("hi")}}, "hi"},
		// "hellohello" is the usual example of packed septets.
		{"packed", Submit{alphabet: GSMPacked, Message: wire.Message{ShortMessage: []byte("\xe8\x32\x9b\xfd\x46\x97\xd9\xec\x37")}}, "hellohello"},
		{"packed, seven", Submit{alphabet: GSMPacked, Message: wire.Message{ShortMessage: []byte("\x31\xd9\x8c\x56\xb3\xdd\x00")}}, "1234567"},
		// One bit of padding between a header of 6 octets and the septets.
		{"packed after a header", Submit{alphabet: GSMPacked, Message: wire.Message{ESMClass: 0x40, ShortMessage: []byte("\x05\x00\x03\x07\x02\x01\xd0\x65\x36\xfb\x0d")}}, "hello"},
	} {
		if got := c.s.Text(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSubmitSegment(t *testing.T) {
	udh := func(b string) Submit {
		return Submit{Message: wire.Message{ESMClass: 0x40, ShortMessage: []byte(b)}}
	}
	sar := []wire.TLV{
		wire.ShortTLV(wire.TagSARMsgRefNum, 0x1234),
		wire.OctetTLV(wire.TagSARTotalSegments, 3), wire.OctetTLV(wire.TagSARSegmentSeqnum, 2),
	}
	for _, c := range []struct {
		name string
		s    Submit
		want Segment
		ok   bool
	}{
		{"8 bits", udh("\x05\x00\x03\x07\x02\x01x"), Segment{7, 2, 1}, true},
		{"16 bits", udh("\x06\x08\x04\x12\x34\x03\x02x"), Segment{0x1234, 3, 2}, true},
		{"after another element", udh("\x09\x24\x01\x01\x00\x03\x07\x02\x01\x00x"), Segment{7, 2, 1}, true},
		{"SAR", Submit{Message: wire.Message{TLVs: sar}}, Segment{0x1234, 3, 2}, true},
		{"two of three SAR", Submit{Message: wire.Message{TLVs: sar[:2]}}, Segment{}, false},
		{"element that runs past the end", udh("\x05\x00\x09\x07\x02\x01x"), Segment{}, false},
		{"none", Submit{Message: wire.Message{ShortMessage: []byte("x")}}, Segment{}, false},
	} {
		if got, ok := c.s.Segment(); got != c.want || ok != c.ok {
			t.Errorf("%s: %+v %v", c.name, got, ok)
		}
	}
}

func FuzzSubmit(f *testing.F) {
	f.Add(byte(0x40), byte(0), byte(1), []byte("\x05\x00\x03\x07\x02\x01\xd0\x65\x36"))
	f.Add(byte(0), byte(8), byte(0), []byte("\xd8\x3d\xde"))
	f.Fuzz(func(t *testing.T, class, coding, alphabet byte, b []byte) {
		s := Submit{alphabet: Alphabet(alphabet % 3), Message: wire.Message{ESMClass: class, DataCoding: coding, ShortMessage: b}}
		if text := s.Text(); len(text) > 4*len(b) {
			t.Errorf("%d octets became %d", len(b), len(text))
		}
		if seg, ok := s.Segment(); ok && seg.Total > 255 {
			t.Errorf("%+v", seg)
		}
	})
}

func TestRecordKeepsTheNewest(t *testing.T) {
	var seen int
	s := listen(t, Profile{Record: 3, OnSubmit: func(Submit) { seen++ }})
	e := transceiver(t, s)
	e.statuses(5)
	got, err := s.WaitSubmits(within(t), 5)
	if err != nil || len(got) != 3 || got[0].Sequence != 4 || got[2].Sequence != 6 {
		t.Errorf("%v: %d kept", err, len(got))
	}
	if s.Forget(); len(s.Submits()) != 0 || s.Stats().Submits != 5 {
		t.Error("the record is not empty, or the counters are")
	}
	s.Close() // joins the reader, which calls OnSubmit
	if seen != 5 {
		t.Errorf("OnSubmit called %d times", seen)
	}
}
