package wire

import (
	"bytes"
	"reflect"
	"testing"
)

// seeds gives the fuzzer one good PDU of each kind, and what it gets wrong.
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

// FuzzReader: whatever comes in, frames are within bounds and add up to it.
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

// FuzzDecode: no body panics, and one that may be sent comes back the same.
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
				t.Fatalf("%v does not say how to answer", err)
			}
			return
		}
		out, err := Append(nil, frame.Header, body)
		if err != nil {
			return // read tolerantly, not to be sent
		}
		again, err := Decode(Frame{parseHeader(out), out[HeaderLen:]})
		if err != nil || !reflect.DeepEqual(again, body) {
			t.Fatalf("%v: %+v became %+v, %v", frame.ID, body, again, err)
		}
	})
}
