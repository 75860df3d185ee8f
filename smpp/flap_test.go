package smpp

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/logtest"
	"straks/smpp/peertest"
	"straks/smpp/wire"
)

// An SMSC that accepts each bind and hangs up is tried several times a second, and
// logged a few times a minute.
func TestFlappingFillsNoLog(t *testing.T) {
	addr, accept := peertest.Listen(t)
	var log logtest.Log
	g, err := New(Config{SMSCs: []SMSC{{Name: "telco", Addr: addr, SystemID: "straks"}}},
		slog.New(slog.NewJSONHandler(&log, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx, new(inbox).handler()) }()
	for range maxChanges + 5 {
		p := peertest.New(t, accept())
		f := p.Next(wire.BindTransceiver)
		p.Send(wire.BindTransceiverResp, wire.ESMEOK, f.Sequence, &wire.BindResp{SystemID: "flap"})
		p.Conn.Close()
	}
	eventually.True(t, "the last bind to be lost", func() bool { return g.States()[0].Binds == maxChanges+5 && g.States()[0].State != StateBound })
	cancel()
	if err := peertest.Wait(t, ended); err != nil {
		t.Error(err)
	}
	if bound, lost := strings.Count(log.String(), `"msg":"bound"`), strings.Count(log.String(), `"msg":"bind lost"`); max(bound, lost) >= maxChanges+5 || min(bound, lost) < maxChanges {
		t.Errorf("%d lines that it is bound, %d that it is lost; want %d of each", bound, lost, maxChanges)
	}
}
