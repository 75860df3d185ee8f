package smtp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// told is a late answer.
type told struct {
	message string
	Result
}

// listener returns a Late and where it puts what it is told.
func listener() (LateHandler, chan told) {
	all := make(chan told, 100)
	return func(message string, r Result) { all <- told{message, r} }, all
}

// sendUntil sends with a deadline so near that the answer to the dot can't keep it.
func sendUntil(t *testing.T, p *Pool) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(within(t), 200*time.Millisecond)
	defer cancel()
	return p.Send(ctx, to("kari@mottaker.example"))
}

// gated returns a relay that holds its reply to the dot back until answer is called.
func gated(t *testing.T, reply string) (r *relaytest.Relay, answer func()) {
	gate := make(chan struct{})
	r = listen(t, dialogue(relaytest.Reply{Verb: ".", Text: reply, After: gate}))
	answer = sync.OnceFunc(func() { close(gate) })
	t.Cleanup(answer)
	return r, answer
}

func TestLateAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		reply   string
		outcome handover.Outcome
		refusal Refusal
		queueID string
	}{
		"taken":        {"250 2.0.0 Ok: queued as 4XY\r\n", handover.Accepted, NotRefused, "4XY"},
		"taken, oddly": {"251 fine\r\n", handover.Accepted, NotRefused, ""},
		"refused":      {"554 5.7.1 Content refused for kari@mottaker.example\r\n", handover.Refused, Filtered, ""},
		"not now":      {"451 4.3.0 Try again later\r\n", handover.Refused, OtherRefusal, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			relay, answer := gated(t, c.reply)
			late, all := listener()
			p := newLatePool(t, late, plain("mx", relay))
			res := sendUntil(t, p)
			if res.Outcome != handover.Unknown || !hasReason(res.Err, ReasonTimeout) || !errors.Is(res.Err, context.DeadlineExceeded) {
				t.Fatalf("got %+v", res)
			}
			if s := p.States()[0]; s.InUse != 1 || len(all) > 0 {
				t.Fatalf("while the answer is awaited: %+v, %d told", s, len(all))
			}
			answer()
			got := <-all
			if got.message != to("").ID || got.Outcome != c.outcome || got.Refusal != c.refusal || got.QueueID != c.queueID || got.Relay != "mx" {
				t.Errorf("told %+v", got)
			}
			if (got.Err == nil) != (c.outcome == handover.Accepted) {
				t.Errorf("error %v", got.Err)
			}
			// The connection is as good as after an answer in time.
			if p.Send(within(t), to("kari@mottaker.example")); p.States()[0].InUse != 0 {
				t.Errorf("still in use: %+v", p.States()[0])
			}
			if accepted, _ := relay.Connections(); accepted != 1 || len(all) > 0 {
				t.Errorf("%d connections, %d more told", accepted, len(all))
			}
		})
	}
}

// What is no answer tells nothing, and the connection goes.
func TestNoLateAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		profile relaytest.Profile
		timeout time.Duration
	}{
		"never comes":  {relaytest.Profile{Freeze: relaytest.AtDot, Faults: 1}, 300 * time.Millisecond},
		"is lost":      {dialogue(relaytest.Reply{Verb: ".", After: after(600 * time.Millisecond), Close: true}), time.Hour},
		"is nonsense":  {dialogue(relaytest.Reply{Verb: ".", After: after(600 * time.Millisecond), Text: "yes\r\n"}), time.Hour},
		"is a 354":     {dialogue(relaytest.Reply{Verb: ".", After: after(600 * time.Millisecond), Text: "354 more\r\n"}), time.Hour},
		"is in halves": {dialogue(relaytest.Reply{Verb: ".", After: after(600 * time.Millisecond), Text: "25", Close: true}), time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			relay := listen(t, c.profile)
			late, all := listener()
			config := plain("mx", relay)
			config.DataTimeout = c.timeout
			p := newLatePool(t, late, config)
			if res := sendUntil(t, p); res.Outcome != handover.Unknown {
				t.Fatalf("got %+v", res)
			}
			eventually(t, func() bool { return p.States()[0].Open == 0 })
			p.relays[0].listeners.Wait()
			if len(all) > 0 {
				t.Errorf("told %+v", <-all)
			}
		})
	}
}

// after closes a channel in a while: later than sendUntil ends.
func after(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(d, func() { close(c) })
	return c
}

// A mail that needs a connection comes before an answer that is awaited; the keeper's
// sign of life does not.
func TestLateYields(t *testing.T) {
	relay := listen(t, relaytest.Profile{Freeze: relaytest.AtDot, Faults: 1})
	late, all := listener()
	config := plain("mx", relay)
	config.MaxConns = 1
	p := newLatePool(t, late, config)
	if res := sendUntil(t, p); res.Outcome != handover.Unknown {
		t.Fatalf("got %+v", res)
	}
	ctx, cancel := context.WithTimeout(within(t), 3*yieldAfter)
	defer cancel()
	if err := p.relays[0].probe(ctx); !errors.Is(err, context.DeadlineExceeded) || p.States()[0].Open != 1 {
		t.Fatalf("the keeper's probe: %v, %+v", err, p.States()[0])
	}
	if res := p.Send(within(t), to("kari@mottaker.example")); res.Outcome != handover.Accepted {
		t.Fatalf("got %+v", res)
	}
	if len(all) > 0 {
		t.Errorf("told %+v", <-all)
	}
}

// When Run ends, late answers are waited for, but not for ever.
func TestLateAtTheEnd(t *testing.T) {
	relay, answer := gated(t, "250 ok\r\n")
	late, all := listener()
	p := newLatePool(t, late, plain("mx", relay))
	sendUntil(t, p)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		p.Run(ctx, late)
	}()
	eventually(t, func() bool { p.relays[0].mu.Lock(); defer p.relays[0].mu.Unlock(); return p.relays[0].closed })
	answer()
	<-ended
	if len(all) != 1 {
		t.Errorf("%d told when Run had ended", len(all))
	}

	frozen := newLatePool(t, late, plain("mx", listen(t, relaytest.Profile{Freeze: relaytest.AtDot})))
	sendUntil(t, frozen)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	frozen.relays[0].drain(ctx)
	if s := frozen.States()[0]; s.Open != 0 || len(all) != 1 {
		t.Errorf("after the end: %+v, %d told", s, len(all))
	}
}

// Nobody listens for an answer to a mail that was given up by a cancellation, or where
// nobody wants to know.
func TestNobodyWantsTheLateAnswer(t *testing.T) {
	relay := listen(t, relaytest.Profile{Freeze: relaytest.AtDot})
	p := newPool(t, plain("mx", relay))
	if res := sendUntil(t, p); res.Outcome != handover.Unknown || p.States()[0].Open != 0 {
		t.Errorf("got %+v, %+v", res, p.States()[0])
	}

	relay = listen(t, relaytest.Profile{Freeze: relaytest.AtDot})
	late, _ := listener()
	p = newLatePool(t, late, plain("mx", relay))
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		relay.WaitMessages(within(t), 1)
		cancel()
	}()
	if res := p.Send(ctx, to("kari@mottaker.example")); !errors.Is(res.Err, context.Canceled) || p.States()[0].Open != 0 {
		t.Errorf("cancelled: got %+v, %+v", res, p.States()[0])
	}
}

// A dot that is stuck in our own buffers when the deadline passes never left: there is
// no answer to listen for.
func TestNoLateAnswerToADotThatNeverLeft(t *testing.T) {
	c, l := deafToTheMail(t), mustLetter(t, "kari@mottaker.example")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	res, late := c.deliver(ctx, l, time.Now().Add(patience))
	if res.Outcome != handover.NotSent || late || !c.dead {
		t.Errorf("got %+v, late %t", res, late)
	}
}

// A deadline that passes as the dot is about to be written is none that an answer is late for.
func TestNoLateAnswerToADotThatIsNotWritten(t *testing.T) {
	c, l := deafToTheMail(t), mustLetter(t, "kari@mottaker.example")
	if _, err := c.ask(within(t), time.Now().Add(patience), 354, "DATA"); err != nil {
		t.Fatal(err)
	}
	err := c.body(within(t), time.Now().Add(patience), time.Now(), l.data)
	if res := c.result(l, stageData, nil, err); err == nil || res.Outcome != handover.NotSent || !c.dead {
		t.Errorf("got %v, %+v", err, res)
	}
}

// deafToTheMail returns a connection to a relay that reads until DATA, and nothing of the mail.
func deafToTheMail(t *testing.T) *conn {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { theirs.Close() })
	go func() {
		in := bufio.NewScanner(theirs)
		io.WriteString(theirs, "220 ready\r\n")
		for in.Scan() {
			if in.Text() == "DATA" {
				io.WriteString(theirs, "354 go on\r\n")
				return
			}
			io.WriteString(theirs, "250 ok\r\n")
		}
	}()
	config := Relay{Name: "mx", TLS: TLSOff}.WithDefaults()
	c := newClient(ours)
	if err := (&relay{Relay: config}).establish(within(t), time.Now().Add(patience), c); err != nil {
		t.Fatal(err)
	}
	return &conn{client: c, relay: config, used: time.Now()}
}
