package session

import (
	"context"
	"io"
	"testing"
	"time"

	"straks/internal/memnet"
	"straks/smpp/peertest"
	"straks/smpp/wire"
)

// FuzzPeer sends arbitrary octets after bind_resp. The session
// may end, but it does not panic or hang, and a submit in flight
// ends too.
func FuzzPeer(f *testing.F) {
	for _, id := range []wire.CommandID{wire.DeliverSM, wire.DataSM} {
		m := &wire.Message{Source: "47", Dest: "1"}
		b, err := wire.Append(nil, wire.Header{ID: id, Sequence: 2}, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	for _, id := range []wire.CommandID{wire.SubmitSMResp, wire.GenericNack, wire.EnquireLink, wire.Unbind, wire.UnbindResp} {
		b, err := wire.Append(nil, wire.Header{ID: id, Status: wire.ESMESysErr, Sequence: 2}, nil)
		if err != nil && id.IsResponse() {
			f.Fatal(err)
		}
		f.Add(append(b, b...))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		ours, theirs := memnet.Pipe(1 << 16)
		p := peertest.New(t, theirs)
		go func() {
			p.AcceptBind()
			theirs.Write(said)
			theirs.CloseWrite()
			io.Copy(io.Discard, theirs)
		}()
		cfg := Config{Deliver: func(d *Delivery) { d.Respond(wire.ESMEOK) }}
		s, err := bind(context.Background(), ours, ours, cfg.withDefaults())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), peertest.Patience)
		defer cancel()
		s.Submit(ctx, Request{Message: peertest.Message()})
		select {
		case <-s.Done():
		case <-time.After(peertest.Patience):
			t.Fatal("the session outlives its connection")
		}
		theirs.Close()
	})
}
