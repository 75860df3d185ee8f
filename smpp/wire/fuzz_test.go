package wire

import (
	"bytes"
	"reflect"
	"testing"
)

// seeds gives the fuzzer one PDU of each kind, whole and cut short.
func seeds(f *testing.F) {
	for id, body := range sample() {
		if id == DataSM {
			continue // 65 kB slow the fuzzer down
		}
		b, err := Append(nil, Header{ID: id, Sequence: 1}, body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-1])
	}
}

// FuzzReader: for any input, frames are within bounds and add up to no more than the input.
func FuzzReader(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := NewReader(bytes.NewReader(stream))
		total := 0
		for {
			frame, err := r.Next()
			if err != nil {
				break
			}
			if total += int(frame.Length); len(frame.Body)+HeaderLen != int(frame.Length) || total > len(stream) {
				t.Fatalf("frame of %d with a body of %d after %d of %d octets", frame.Length, len(frame.Body), total, len(stream))
			}
		}
	})
}

// FuzzDecode: no body panics, and one that may be sent is read back the same.
func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, pdu []byte) {
		if len(pdu) < HeaderLen {
			return
		}
		frame := Frame{parseHeader(pdu), pdu[HeaderLen:]}
		body, err := Decode(frame)
		if err != nil {
			if fault, ok := err.(*DecodeError); !ok || fault.Status == ESMEOK {
				t.Fatalf("%v has no status to answer with", err)
			}
			return
		}
		out, err := Append(nil, frame.Header, body)
		if err != nil {
			return // read tolerantly, and not allowed to be sent
		}
		again, err := Decode(Frame{parseHeader(out), out[HeaderLen:]})
		if err != nil || !reflect.DeepEqual(again, body) {
			t.Fatalf("%v: %+v became %+v, %v", frame.ID, body, again, err)
		}
	})
}

// FuzzMessage: a message that may be sent is read back as it was written, for all three
// commands. Any other is refused with a status.
func FuzzMessage(f *testing.F) {
	f.Add(uint8(0), "CMT", uint8(5), uint8(0), "Straks", uint8(1), uint8(1), "4799999999", uint8(0x40), "000000000500000R", uint8(8), []byte("hei"), uint16(0x1400), []byte("x"))
	f.Add(uint8(2), "", uint8(1), uint8(1), "47900\x00\x40", uint8(1), uint8(1), "47", uint8(0), "", uint8(0), []byte{}, TagMessagePayload, make([]byte, 300))
	ids := []CommandID{SubmitSM, DeliverSM, DataSM}
	f.Fuzz(func(t *testing.T, which uint8, service string, ston, snpi uint8, source string, dton, dnpi uint8, dest string,
		class uint8, validity string, coding uint8, text []byte, tag uint16, value []byte) {
		m := &Message{ServiceType: service, SourceTON: ston, SourceNPI: snpi, Source: source, DestTON: dton, DestNPI: dnpi, Dest: dest,
			ESMClass: class, Validity: validity, DataCoding: coding, TLVs: []TLV{{tag, value}, {tag, value}}}
		if len(text) > 0 {
			m.ShortMessage = text
		}
		id := ids[int(which)%len(ids)]
		out, err := Append(nil, Header{ID: id, Sequence: 1}, m)
		if err != nil {
			if fault, ok := err.(*FieldError); !ok || fault.Status == ESMEOK {
				t.Fatalf("%v has no status", err)
			}
			return
		}
		frame, err := NewReader(bytes.NewReader(out)).Next()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Decode(frame); err != nil || !reflect.DeepEqual(got, m) {
			t.Fatalf("%+v became %+v, %v", m, got, err)
		}
	})
}
