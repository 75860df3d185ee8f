package smtp

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
	"straks/internal/logtest"
	"straks/smtp/relaytest"
)

func TestAccepted(t *testing.T) {
	relay := listen(t, relaytest.Profile{})
	p := newPool(t, plain("mx", relay))
	res := p.Send(within(t), to("kari@mottaker.example"))
	if res.Outcome != handover.Accepted || res.Relay != "mx" || res.Code != 250 || res.Err != nil {
		t.Fatalf("got %+v", res)
	}
	got, err := relay.WaitMessages(within(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got[0].From != "varsel@avsender.example" || got[0].To != "kari@mottaker.example" {
		t.Errorf("envelope %s -> %s", got[0].From, got[0].To)
	}
}

func TestOutcomeByReply(t *testing.T) {
	tests := []struct {
		local   string
		outcome handover.Outcome
		refusal Refusal
		code    int
	}{
		{"nosuch", handover.Refused, NoSuchMailbox, 550},
		{"badsyntax", handover.Refused, BadAddress, 553},
		{"spam", handover.Refused, Filtered, 550},
		{"full", handover.Refused, OtherRefusal, 552},
		{"later", handover.NotSent, NotRefused, 451},
		{"toolate", handover.NotSent, NotRefused, 452},
		{"filtered", handover.Refused, Filtered, 554},
		{"lost", handover.Unknown, NotRefused, 0},
		{"kari", handover.Accepted, NotRefused, 250},
	}
	relay := listen(t, relaytest.Profile{Rules: relaytest.StandardRules()})
	p := newPool(t, plain("mx", relay)) // one connection: each leaves it fit for the next
	for _, test := range tests {
		res := p.Send(within(t), to(test.local+"@mottaker.example"))
		if res.Outcome != test.outcome || res.Refusal != test.refusal || res.Code != test.code {
			t.Errorf("%s: got %+v", test.local, res)
		}
		if (res.Err == nil) != (test.outcome == handover.Accepted) {
			t.Errorf("%s: error %v", test.local, res.Err)
		}
	}
	if accepted, _ := relay.Connections(); accepted != 3 { // "lost" cost one, so many refusals another
		t.Errorf("took %d connections", accepted)
	}
}

func TestOutcomeByBreak(t *testing.T) {
	tests := []struct {
		name    string
		profile relaytest.Profile
		outcome handover.Outcome
	}{
		{"drop at MAIL", relaytest.Profile{Drop: relaytest.AtMail}, handover.NotSent},
		{"drop at RCPT", relaytest.Profile{Drop: relaytest.AtRcpt}, handover.NotSent},
		{"drop at dot", relaytest.Profile{Drop: relaytest.AtDot}, handover.Unknown},
		{"freeze at MAIL", relaytest.Profile{Freeze: relaytest.AtMail}, handover.NotSent},
		{"freeze at RCPT", relaytest.Profile{Freeze: relaytest.AtRcpt}, handover.NotSent},
		{"freeze at dot", relaytest.Profile{Freeze: relaytest.AtDot}, handover.Unknown},
		{"mute", relaytest.Profile{Script: relaytest.Mute}, handover.NotSent},
		{"garbage", relaytest.Profile{Script: relaytest.Garbage}, handover.NotSent},
		{"nonsense after the dot", dialogue(relaytest.Reply{Verb: ".", Text: "yes\r\n"}), handover.Unknown},
		{"354 after the dot", dialogue(relaytest.Reply{Verb: ".", Text: "354 more\r\n"}), handover.Unknown},
		{"251 after the dot", dialogue(relaytest.Reply{Verb: ".", Text: "251 fine\r\n"}), handover.Accepted},
		{"421 after the dot", dialogue(relaytest.Reply{Verb: ".", Text: "421 bye\r\n", Close: true}), handover.NotSent},
		{"login wanted", dialogue(relaytest.Reply{Verb: "MAIL", Text: "530 5.7.0 Authentication required\r\n"}), handover.NotSent},
		{"relaying denied", dialogue(relaytest.Reply{Verb: "RCPT", Text: "554 5.7.1 Relay access denied\r\n"}), handover.NotSent},
		{"250 to DATA", dialogue(relaytest.Reply{Verb: "DATA", Text: "250 eh\r\n"}), handover.NotSent},
		{"one reply too many", dialogue(relaytest.Reply{Verb: "MAIL", Text: "250 ok\r\n250 ok\r\n"}), handover.NotSent},
		{"an answer ahead of the dot", dialogue(relaytest.Reply{Verb: "DATA", Text: "354 go on\r\n250 ok\r\n"}), handover.NotSent},
		{"half a code after the dot", dialogue(relaytest.Reply{Verb: ".", Text: "25", Close: true}), handover.Unknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := plain("mx", listen(t, test.profile))
			config.DataTimeout = 300 * time.Millisecond
			p := newPool(t, config)
			ctx := within(t)
			if test.outcome == handover.NotSent { // Send goes on until the deadline
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 300*time.Millisecond)
				defer cancel()
			}
			if res := p.Send(ctx, to("kari@mottaker.example")); res.Outcome != test.outcome {
				t.Errorf("got %s: %v", res.Outcome, res.Err)
			}
		})
	}
}

func dialogue(replies ...relaytest.Reply) relaytest.Profile {
	return relaytest.Profile{Script: relaytest.Dialogue(replies...)}
}

func TestNobodyListens(t *testing.T) {
	relay := listen(t, relaytest.Profile{})
	relay.Close()
	p := newPool(t, plain("mx", relay))
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	res := p.Send(ctx, to("kari@mottaker.example"))
	if res.Outcome != handover.NotSent || !hasReason(res.Err, ReasonDial) {
		t.Fatalf("got %+v", res)
	}
	if err := p.Ready(); err == nil {
		t.Error("ready without a connection")
	}
}

// A relay that comes back within the deadline still gets the mail.
func TestWaitsForRelay(t *testing.T) {
	relay := listen(t, relaytest.Profile{})
	addr := relay.Addr()
	relay.Close()
	p := newPool(t, Relay{Name: "mx", Addr: addr})
	done := make(chan Result)
	go func() { done <- p.Send(within(t), to("kari@mottaker.example")) }()
	eventually(t, func() bool { return p.States()[0].Failures > 1 })
	back, err := relaytest.Listen(addr, relaytest.Profile{})
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	if res := <-done; res.Outcome != handover.Accepted {
		t.Fatalf("got %+v", res)
	}
}

func TestFailOver(t *testing.T) {
	good := listen(t, relaytest.Profile{Rules: []relaytest.Rule{}})
	first := map[string]relaytest.Profile{
		"busy":                                  {Rules: relaytest.StandardRules()},
		"dropped":                               {Drop: relaytest.AtRcpt},
		"frozen":                                {Freeze: relaytest.AtMail},
		"mute":                                  {Script: relaytest.Mute},
		"rejecting us, at RCPT as Postfix does": dialogue(relaytest.Reply{Verb: "RCPT", Text: "554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied\r\n"}),
		"rejecting the sender":                  dialogue(relaytest.Reply{Verb: "MAIL", Text: "550 5.7.1 Not from here\r\n"}),
	}
	for name, profile := range first {
		t.Run(name, func(t *testing.T) {
			bad := listen(t, profile)
			one := plain("bad", bad)
			one.CommandTimeout, one.DialTimeout = 100*time.Millisecond, 100*time.Millisecond
			p := newPool(t, one, plain("good", good))
			res := p.Send(within(t), to("later@mottaker.example"))
			if res.Outcome != handover.Accepted || res.Relay != "good" || bad.Taken() != 0 {
				t.Fatalf("got %+v", res)
			}
		})
	}
}

// After the final dot no other relay gets the mail, whatever happens.
func TestNoFailOverAfterDot(t *testing.T) {
	second := listen(t, relaytest.Profile{})
	for name, profile := range map[string]relaytest.Profile{
		"dropped": {Drop: relaytest.AtDot},
		"frozen":  {Freeze: relaytest.AtDot},
	} {
		t.Run(name, func(t *testing.T) {
			first := listen(t, profile)
			one := plain("first", first)
			one.DataTimeout = 100 * time.Millisecond
			p := newPool(t, one, plain("second", second))
			res := p.Send(within(t), to("kari@mottaker.example"))
			if res.Outcome != handover.Unknown || res.Relay != "first" || first.Taken() != 1 || second.Taken() != 0 {
				t.Fatalf("got %+v, relays took %d and %d", res, first.Taken(), second.Taken())
			}
		})
	}
}

// A cancelled context ends Send at once, at whatever the relay is frozen.
func TestCancel(t *testing.T) {
	for name, profile := range map[string]relaytest.Profile{
		"at MAIL": {Freeze: relaytest.AtMail}, "at dot": {Freeze: relaytest.AtDot}, "mute": {Script: relaytest.Mute},
	} {
		t.Run(name, func(t *testing.T) {
			relay := listen(t, profile)
			config := plain("mx", relay)
			config.DialTimeout, config.CommandTimeout, config.DataTimeout = time.Hour, time.Hour, time.Hour
			p := newPool(t, config)
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan Result)
			go func() { done <- p.Send(ctx, to("kari@mottaker.example")) }()
			eventually(t, func() bool { accepted, _ := relay.Connections(); return accepted == 1 })
			if profile.Freeze == relaytest.AtDot {
				relay.WaitMessages(within(t), 1)
			}
			cancel()
			select {
			case res := <-done:
				if !errors.Is(res.Err, context.Canceled) {
					t.Errorf("got %+v", res)
				}
				if (res.Outcome == handover.Unknown) != (profile.Freeze == relaytest.AtDot) {
					t.Errorf("outcome %s", res.Outcome)
				}
			case <-time.After(patience):
				t.Fatal("Send did not notice")
			}
		})
	}
}

// A peer that never stops talking costs no memory.
func TestEndlessReplies(t *testing.T) {
	endless := strings.Repeat("250-and so on\r\n", 10_000)
	for name, profile := range map[string]relaytest.Profile{
		"banner": {Script: relaytest.EndlessBanner},
		"line":   {Script: relaytest.EndlessLine},
		"EHLO":   dialogue(relaytest.Reply{Verb: "EHLO", Text: endless}),
		"MAIL":   dialogue(relaytest.Reply{Verb: "MAIL", Text: endless}),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, plain("mx", listen(t, profile)))
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
			defer cancel()
			if res := p.Send(ctx, to("kari@mottaker.example")); res.Outcome != handover.NotSent {
				t.Errorf("got %+v", res)
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4<<20 {
				t.Errorf("heap grew by %d", grown)
			}
		})
	}
}

// Neither text nor subject nor recipient reaches a log or an error, even where
// the relay quotes them.
func TestNothingLeaks(t *testing.T) {
	secrets := []string{"483920", "Din kode", "ola.nordmann"}
	quote := "550 5.7.1 <ola.nordmann@mottaker.example>: user ola.nordmann got 'Koden er 483920', see (483920)\r\n"
	for _, verb := range []string{"RCPT", "."} {
		relay := listen(t, dialogue(relaytest.Reply{Verb: verb, Text: quote}))
		var log logtest.Log
		p, err := New([]Relay{plain("mx", relay)}, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		res := p.Send(within(t), to("ola.nordmann@mottaker.example"))
		if res.Outcome != handover.Refused || !strings.Contains(log.String(), "***@mottaker.example") {
			t.Fatalf("got %+v", res)
		}
		for _, secret := range secrets {
			if strings.Contains(log.String(), secret) || strings.Contains(res.Text, secret) || strings.Contains(res.Err.Error(), secret) {
				t.Errorf("%q leaks: %s, %v", secret, res.Text, res.Err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Run(ctx, nil)
	}
}
