package smsctest

import (
	"io"
	"net"
	"sync"
	"testing"

	"straks/smpp/wire"
)

// BenchmarkSMSC measures the simulator with a client that costs next to
// nothing: canned submits, and acknowledgements without decoding. One op is a
// submit, its answer, its receipt and the receipt's acknowledgement.
func BenchmarkSMSC(b *testing.B) {
	s, err := Listen("127.0.0.1:0", Profile{Record: -1})
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

// answerAll reads n answers and n receipts, and acknowledges the receipts.
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
			acks = append(acks, pdu(0, wire.DeliverSMResp, f.Sequence, []byte{0})...)
			if receipts%32 == 0 || receipts == n {
				nc.Write(acks)
				acks = acks[:0]
			}
		}
	}
}
