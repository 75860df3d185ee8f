package smsctest

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net"
	"reflect"
	"slices"
	"sync"
	"testing"

	"straks/smpp/wire"
)

// samples are messages that use every field.
var samples = []*wire.Message{
	{},
	message(number, "123456 is your code"),
	{ServiceType: "VMA", SourceTON: 1, SourceNPI: 3, Source: "47", DestTON: 3, DestNPI: 4, Dest: "48", ESMClass: 0x40,
		ProtocolID: 5, Priority: 3, ScheduleDelivery: "260101000000000R", Validity: "000000000500000R", RegisteredDelivery: 1,
		ReplaceIfPresent: 1, DataCoding: 8, DefaultMessageID: 9, ShortMessage: bytes.Repeat([]byte{0}, 254)},
	{Source: "1", Dest: "2", TLVs: []wire.TLV{{Tag: wire.TagMessagePayload, Value: make([]byte, 65_000)}, wire.OctetTLV(wire.TagMessageState, 2),
		{Tag: wire.TagReceiptedMessageID, Value: []byte("1\x00")}, {Tag: 0x1400}}},
}

// TestCodecsAgree checks that the simulator writes what package wire writes, octet by octet.
func TestCodecsAgree(t *testing.T) {
	for _, c := range []struct {
		h    wire.Header
		body any
	}{
		{wire.Header{ID: wire.EnquireLink, Sequence: 7}, nil},
		{wire.Header{ID: wire.GenericNack, Status: wire.ESMEInvCmdLen}, nil},
		{wire.Header{ID: wire.SubmitSMResp, Status: wire.ESMEThrottled, Sequence: 0x7FFFFFFF}, nil},
		{wire.Header{ID: wire.BindTransceiverResp, Sequence: 1}, &wire.BindResp{SystemID: "smsctest", TLVs: []wire.TLV{wire.OctetTLV(wire.TagSCInterfaceVersion, 0x34)}}},
		{wire.Header{ID: wire.SubmitSMResp, Sequence: 2}, &wire.MessageResp{MessageID: "170000001"}},
		{wire.Header{ID: wire.DataSMResp, Sequence: 3}, &wire.MessageResp{MessageID: "1", TLVs: []wire.TLV{wire.OctetTLV(wire.TagCongestionState, 80)}}},
		{wire.Header{ID: wire.DeliverSM, Sequence: 4}, samples[0]},
		{wire.Header{ID: wire.DeliverSM, Sequence: 5}, samples[2]},
		{wire.Header{ID: wire.DeliverSM, Sequence: 6}, samples[3]},
		{wire.Header{ID: wire.DataSM, Sequence: 7}, samples[3]},
	} {
		got, err := encode(c.h, c.body)
		want, errWire := wire.Append(nil, c.h, c.body)
		if err != nil || errWire != nil || !bytes.Equal(got, want) {
			t.Errorf("%v: %x (%v), want %x (%v)", c.h.ID, got, err, want, errWire)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	long := &wire.Message{ShortMessage: make([]byte, 256)} // sm_length modulo 256 is 0
	for name, m := range map[string]*wire.Message{
		"text too long": long, "NUL in an address": {Dest: "47\x00"},
		"PDU too long": {TLVs: []wire.TLV{{Tag: wire.TagMessagePayload, Value: make([]byte, 65_535)}, {Tag: 0x1400, Value: make([]byte, 5000)}}},
	} {
		if _, err := encode(wire.Header{ID: wire.DeliverSM}, m); err == nil {
			t.Errorf("%s: encoded", name)
		}
	}
}

// TestFast checks that the SMSC of a load benchmark behaves like any other.
func TestFast(t *testing.T) {
	s := listen(t, Profile{Fast: true})
	e := transceiver(t, s)
	e.submit(number, "hello")
	f, _ := expect[wire.Message](e, wire.DeliverSM)
	e.ack(f, wire.ESMEOK)
	if got := s.Submits(); len(got) != 1 || got[0].Text() != "hello" {
		t.Errorf("%+v", got)
	}
	e.nc.Write(rawPDU(0, wire.SubmitSM, 9, []byte("\x00\x01")))
	if f := e.next(); f.ID != wire.SubmitSMResp || f.Status != wire.ESMEInvCmdLen {
		t.Errorf("cut submit_sm: %v %v", f.ID, f.Status)
	}
}

// FuzzDecode compares the simulator's reading of any octets with package wire's.
func FuzzDecode(f *testing.F) {
	for _, m := range samples {
		b, err := wire.Append(nil, wire.Header{ID: wire.SubmitSM}, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(false, b[wire.HeaderLen:])
		f.Add(false, b[wire.HeaderLen:len(b)-1])
	}
	f.Add(true, []byte("\x00\x01\x0147\x00\x01\x0148\x00\x00\x01\x00\x04\x24\x00\x02hi\x04\x24\x00\x01x\x00"))
	f.Fuzz(func(t *testing.T, data bool, body []byte) {
		frame := wire.Frame{Header: wire.Header{ID: wire.SubmitSM}, Body: body}
		if data {
			frame.ID = wire.DataSM
		}
		got, status := decodeMessage(frame)
		v, err := wire.Decode(frame)
		if fault := (*wire.DecodeError)(nil); errors.As(err, &fault) {
			if status != fault.Status {
				t.Errorf("%v, want %v", status, fault)
			}
			return
		}
		want := v.(*wire.Message)
		want.TLVs = lastOfEach(want.TLVs)
		if status != wire.ESMEOK || !reflect.DeepEqual(normal(got), normal(want)) {
			t.Errorf("%v: %+v, want %+v", status, got, want)
		}
	})
}

// lastOfEach returns the last TLV of each tag, by tag.
func lastOfEach(tlvs []wire.TLV) (all []wire.TLV) {
	slices.Reverse(tlvs)
	slices.SortStableFunc(tlvs, func(a, b wire.TLV) int { return cmp.Compare(a.Tag, b.Tag) })
	return slices.CompactFunc(tlvs, func(a, b wire.TLV) bool { return a.Tag == b.Tag })
}

// normal returns the message without the difference between nil and empty.
func normal(m *wire.Message) wire.Message {
	n := *m
	n.ShortMessage, n.TLVs = append([]byte{}, m.ShortMessage...), nil
	for _, t := range m.TLVs {
		n.TLVs = append(n.TLVs, wire.TLV{Tag: t.Tag, Value: append([]byte{}, t.Value...)})
	}
	return n
}

// BenchmarkSMSC measures the simulator with a client that costs little: prepared submits, and
// acknowledgements without decoding. One op is a submit, its response, its receipt and the
// receipt's response.
func BenchmarkSMSC(b *testing.B) {
	b.Run("go-smpp", func(b *testing.B) { benchmark(b, Profile{Record: -1}) })
	b.Run("fast", func(b *testing.B) { benchmark(b, Profile{Record: -1, Fast: true}) })
}

func benchmark(b *testing.B, p Profile) {
	s, err := Listen("127.0.0.1:0", p)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	nc, err := net.Dial("tcp", s.Addr())
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	hello, _ := wire.Append(nil, wire.Header{ID: wire.BindTransceiver, Sequence: 1}, &wire.Bind{SystemID: "bench"})
	nc.Write(hello)
	wire.NewReader(io.LimitReader(nc, 16+9+5)).Next() // bind_transceiver_resp, and no octet more

	const window = 64
	room := make(chan struct{}, window)
	var wg sync.WaitGroup
	defer wg.Wait()
	b.ReportAllocs()
	b.ResetTimer()
	wg.Go(func() { answerAll(nc, room, b.N) })
	one, _ := wire.Append(nil, wire.Header{ID: wire.SubmitSM, Sequence: 2}, message(number, "123456 is your code"))
	var burst []byte
	for range b.N {
		select {
		case room <- struct{}{}:
		default:
			nc.Write(burst)
			burst = burst[:0]
			room <- struct{}{}
		}
		burst = append(burst, one...)
	}
	nc.Write(burst)
	wg.Wait()
}

// answerAll reads n responses and n receipts, and acknowledges the receipts.
func answerAll(nc net.Conn, room chan struct{}, n int) {
	r := wire.NewReader(nc)
	var acks []byte
	for answers, receipts := 0, 0; answers < n || receipts < n; {
		f, err := r.Next()
		if err != nil {
			return
		}
		switch f.ID {
		case wire.SubmitSMResp:
			answers++
			<-room
		case wire.DeliverSM:
			receipts++
			acks = append(acks, rawPDU(0, wire.DeliverSMResp, f.Sequence, []byte{0})...)
			if receipts%32 == 0 || receipts == n {
				nc.Write(acks)
				acks = acks[:0]
			}
		}
	}
}
