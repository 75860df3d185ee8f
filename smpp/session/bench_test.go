package session

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"straks/smpp/peertest"
	"straks/smpp/wire"
)

// BenchmarkSession is the session alone over loopback: each submit has a response and a
// receipt, each receipt is acknowledged. The peer only writes prepared frames; its share of
// the CPU is in the figure.
func BenchmarkSession(b *testing.B) {
	for _, window := range []int{1, 64} {
		b.Run(fmt.Sprintf("window=%d", window), func(b *testing.B) { benchSession(b, window) })
	}
}

func benchSession(b *testing.B, window int) {
	addr, accept := listenBench(b)
	receipts := newLightPeer(b)
	served := make(chan struct{})
	go func() {
		defer close(served)
		receipts.serve(accept())
	}()
	var delivered sync.WaitGroup
	delivered.Add(b.N)
	s, err := Dial(context.Background(), Config{Addr: addr, Deliver: func(d *Delivery) {
		d.Respond(wire.ESMEOK)
		delivered.Done()
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var callers sync.WaitGroup
	todo := make(chan struct{}, window)
	for range window {
		callers.Go(func() {
			m := peertest.Message()
			for range todo {
				if a, err := s.Submit(context.Background(), Request{Message: m}); err != nil || a.MessageID == "" {
					b.Error(a, err)
				}
			}
		})
	}
	for range b.N {
		todo <- struct{}{}
	}
	close(todo)
	callers.Wait()
	delivered.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "submits/s")
	s.Close()
	<-served
}

func listenBench(b *testing.B) (string, func() net.Conn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l.Addr().String(), func() net.Conn {
		c, err := l.Accept()
		if err != nil {
			b.Error(err)
		}
		return c
	}
}

// lightPeer answers submit_sm with a prepared response and a prepared receipt.
type lightPeer struct {
	answer, receipt []byte
}

func newLightPeer(b *testing.B) *lightPeer {
	answer, err := wire.Append(nil, wire.Header{ID: wire.SubmitSMResp}, &wire.MessageResp{MessageID: "5f2c81a0"})
	if err != nil {
		b.Fatal(err)
	}
	receipt, err := wire.Append(nil, wire.Header{ID: wire.DeliverSM, Sequence: 1}, &wire.Message{
		SourceTON: 1, SourceNPI: 1, Source: "4799999999", DestTON: 5, Dest: "Straks", ESMClass: 4,
		ShortMessage: []byte("id:5f2c81a0 sub:001 dlvrd:001 submit date:2602041133 done date:2602041133 stat:DELIVRD err:000 text:hei"),
		TLVs:         []wire.TLV{{Tag: wire.TagReceiptedMessageID, Value: []byte("5f2c81a0\x00")}, wire.OctetTLV(wire.TagMessageState, 2)},
	})
	if err != nil {
		b.Fatal(err)
	}
	return &lightPeer{answer, receipt}
}

// serve reads frames until the connection ends, and writes when nothing is
// left to read.
func (p *lightPeer) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReaderSize(c, 64<<10)
	var head [wire.HeaderLen]byte
	var out []byte
	for {
		if r.Buffered() == 0 && len(out) > 0 {
			if _, err := c.Write(out); err != nil {
				return
			}
			out = out[:0]
		}
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		if _, err := r.Discard(int(binary.BigEndian.Uint32(head[:])) - wire.HeaderLen); err != nil {
			return
		}
		out = p.reply(out, wire.CommandID(binary.BigEndian.Uint32(head[4:])), binary.BigEndian.Uint32(head[12:]))
	}
}

func (p *lightPeer) reply(out []byte, id wire.CommandID, seq uint32) []byte {
	switch id {
	case wire.SubmitSM:
		at := len(out)
		out = append(out, p.answer...)
		binary.BigEndian.PutUint32(out[at+12:], seq)
		out = append(out, p.receipt...)
	case wire.EnquireLink, wire.BindTransceiver:
		out, _ = wire.Append(out, wire.Header{ID: id.Response(), Sequence: seq}, benchBody(id))
	}
	return out
}

func benchBody(id wire.CommandID) any {
	if id == wire.BindTransceiver {
		return &wire.BindResp{SystemID: "light"}
	}
	return nil
}
