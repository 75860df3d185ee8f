package smpp

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/logtest"
	"straks/smpp/peertest"
	"straks/smpp/wire"
)

func TestBackoff(t *testing.T) {
	b := backoff{most: 30 * time.Second}
	now := epoch
	attempts := 0
	for now.Before(epoch.Add(fastPhase)) {
		d := b.next(now)
		if d < 150*time.Millisecond || d > 450*time.Millisecond {
			t.Fatalf("%v in the first minute", d)
		}
		now = now.Add(d)
		attempts++
	}
	var last time.Duration
	for range 40 {
		last = b.next(now)
		now = now.Add(last)
	}
	if last < 20*time.Second || last > 40*time.Second {
		t.Errorf("%v in a long outage", last)
	}
	if b.lost(now, time.Hour); b.next(now) > time.Second {
		t.Error("a new outage begins slowly")
	}
}

// A lasting failure is logged at once, and then once a minute.
func TestWorthLogging(t *testing.T) {
	b, told := backoff{}, 0
	for s := range 150 {
		if b.worthLogging(epoch.Add(time.Duration(s)*time.Second), s == 0) {
			told++
		}
	}
	if told != 3 {
		t.Errorf("logged %d times in two minutes and a half", told)
	}
	if !b.worthLogging(epoch.Add(151*time.Second), true) {
		t.Error("a new failure was not logged")
	}
}

// An SMSC that accepts every bind and drops it is not bound to for ever at full speed.
func TestBackoffOfFlapping(t *testing.T) {
	b := backoff{most: 30 * time.Second}
	now := epoch
	var d time.Duration
	for range 400 {
		b.lost(now, time.Second)
		d = b.next(now)
		now = now.Add(d + time.Second)
	}
	if d < 15*time.Second {
		t.Errorf("still every %v", d)
	}
}

// An SMSC that accepts each bind and hangs up is tried several times a second, and
// logged a few times a minute.
func TestFlappingFillsNoLog(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		addr, accept := listen(t)
		var log logtest.Log
		g, err := New(Config{SMSCs: []SMSC{{Name: "telco", Addr: addr, SystemID: "straks"}}},
			slog.New(slog.NewJSONHandler(&log, nil)), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		g.dial = memory.DialContext
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
	})
}
