package smpp

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smpp/peertest"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// scripted is a gateway with one bind to a peer that the test plays by hand. For a bubble.
func scripted(t *testing.T, change func(*SMSC)) (*running, *peertest.Peer) {
	t.Helper()
	addr, accept := listen(t)
	c := SMSC{Name: "telco", Addr: addr, SystemID: "straks", Window: 10, ResponseTimeout: 300 * time.Millisecond}
	if change != nil {
		change(&c)
	}
	peers := make(chan *peertest.Peer, 1)
	go func() {
		p := peertest.New(t, accept())
		p.AcceptBind()
		peers <- p
	}()
	g := run(t, Config{SMSCs: []SMSC{c}, DrainTime: 100 * time.Millisecond})
	p := peertest.Wait(t, peers)
	return g.allUp(t), p
}

func refuse(p *peertest.Peer, f wire.Frame, status wire.Status) {
	p.T.Helper()
	p.Send(wire.SubmitSMResp, status, f.Sequence, nil)
}

var threeParts = strings.Repeat("x", 153*3)

// nextParts are the submit_sm of threeParts.
func nextParts(p *peertest.Peer) []wire.Frame {
	p.T.Helper()
	return []wire.Frame{p.Next(wire.SubmitSM), p.Next(wire.SubmitSM), p.Next(wire.SubmitSM)}
}

func sending(g *running, text string, d time.Duration) <-chan Result {
	results := make(chan Result, 1)
	go func() { results <- g.send(text, d) }()
	return results
}

// partIndexes returns the index of each part, negative for one that may have left.
func partIndexes(r Result) (indexes []int) {
	for _, p := range r.Parts {
		if !p.Taken {
			indexes = append(indexes, -1-p.Index)
			continue
		}
		indexes = append(indexes, p.Index)
	}
	return indexes
}

func wantParts(t *testing.T, r Result, want ...int) {
	t.Helper()
	got := partIndexes(r)
	if len(got) != len(want) {
		t.Fatalf("parts %v, want %v", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("parts %v, want %v", got, want)
		}
	}
}

// All parts are on the wire before the first is answered, in order.
func TestPartsAreWrittenInOrderWithoutWaiting(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, p := scripted(t, nil)
		results := sending(g, threeParts, peertest.Patience)
		frames := nextParts(p)
		for i, f := range frames {
			m, err := wire.Decode(f)
			if err != nil {
				t.Fatal(err)
			}
			if got := m.(*wire.Message).ShortMessage[5]; got != byte(i+1) {
				t.Errorf("part %d is written in position %d", got, i+1)
			}
		}
		p.Accept(frames[2], "c") // responses may overtake each other
		p.Accept(frames[0], "a")
		p.Accept(frames[1], "b")
		r := peertest.Wait(t, results)
		wantOutcome(t, r, handover.Accepted)
		wantParts(t, r, 0, 1, 2)
		if r.Parts[0].MessageID+r.Parts[1].MessageID+r.Parts[2].MessageID != "abc" {
			t.Errorf("%+v", r.Parts)
		}
	})
}

func TestALaterPartIsThrottled(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, p := scripted(t, nil)
		results := sending(g, threeParts, peertest.Patience)
		frames := nextParts(p)
		p.Accept(frames[0], "a")
		refuse(p, frames[1], wire.ESMEThrottled)
		p.Accept(frames[2], "c")
		again := p.Next(wire.SubmitSM)
		m, _ := wire.Decode(again)
		if got := m.(*wire.Message).ShortMessage[5]; got != 2 {
			t.Errorf("part %d is sent again", got)
		}
		p.Accept(again, "b")
		r := peertest.Wait(t, results)
		wantOutcome(t, r, handover.Accepted)
		wantParts(t, r, 0, 1, 2)
	})
}

func TestALaterPartIsRefused(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, p := scripted(t, nil)
		results := sending(g, threeParts, peertest.Patience)
		frames := nextParts(p)
		p.Accept(frames[0], "a")
		refuse(p, frames[1], wire.ESMEInvDstAdr)
		p.Accept(frames[2], "c")
		r := peertest.Wait(t, results)
		wantOutcome(t, r, handover.Refused)
		wantParts(t, r, 0, 2)
		if r.Refusal != RefusedInvalidRecipient || r.Total != 3 || r.Status != wire.ESMEInvDstAdr {
			t.Errorf("%+v", r)
		}
		g.idle(t)
	})
}

// The last part is throttled until time is up: the message can't
// be complete any more, and the result says so.
func TestIncomplete(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, p := scripted(t, nil)
		results := sending(g, threeParts, 800*time.Millisecond)
		frames := nextParts(p)
		p.Accept(frames[0], "a")
		p.Accept(frames[1], "b")
		refuse(p, frames[2], wire.ESMEMsgQFul)
		done := make(chan Result, 1)
		go func() { done <- <-results; p.Conn.Close() }()
		for {
			f, err := p.Frames.Next()
			if err != nil {
				break
			}
			if f.ID == wire.SubmitSM {
				refuse(p, f, wire.ESMEMsgQFul)
			}
		}
		r := peertest.Wait(t, done)
		wantOutcome(t, r, handover.Refused)
		wantParts(t, r, 0, 1)
		if r.Refusal != RefusedIncomplete || r.Err == nil || r.Status != wire.ESMEMsgQFul {
			t.Errorf("%+v", r)
		}
	})
}

// A part without a response makes the message unknown. The others are still sent.
func TestAPartIsUnknown(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, p := scripted(t, nil)
		results := sending(g, threeParts, peertest.Patience)
		frames := nextParts(p)
		p.Accept(frames[0], "a")
		p.Accept(frames[2], "c")
		r := peertest.Wait(t, results)
		wantOutcome(t, r, handover.Unknown)
		wantParts(t, r, 0, -2, 2)
		p.Accept(frames[1], "b")
		eventually.True(t, "the late response", func() bool { return len(g.lates()) == 1 })
		if l := g.lates()[0]; l.Index != 1 || l.Total != 3 || l.MessageID != "b" || l.Reference != r.Parts[1].Reference {
			t.Errorf("%+v", l)
		}
		g.idle(t)
	})
}

// The first part is throttled: the SMSC has no part, so all go elsewhere, or are sent again.
func TestAllPartsThrottled(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, p := scripted(t, nil)
		results := sending(g, threeParts, peertest.Patience)
		for range 3 {
			refuse(p, p.Next(wire.SubmitSM), wire.ESMEThrottled)
		}
		for _, id := range []string{"a", "b", "c"} {
			p.Accept(p.Next(wire.SubmitSM), id)
		}
		r := peertest.Wait(t, results)
		wantOutcome(t, r, handover.Accepted)
		wantParts(t, r, 0, 1, 2)
	})
}

// With a window of one, the refusal of a part is known before the next is written.
func TestRefusalHoldsTheOtherPartsBack(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, p := scripted(t, func(c *SMSC) { c.Window = 1 })
		results := sending(g, threeParts, peertest.Patience)
		p.Accept(p.Next(wire.SubmitSM), "a")
		refuse(p, p.Next(wire.SubmitSM), wire.ESMERxRAppn)
		r := peertest.Wait(t, results)
		wantOutcome(t, r, handover.Refused)
		wantParts(t, r, 0)
		results = sending(g, "next", peertest.Patience)
		f := p.Next(wire.SubmitSM)
		if m, _ := wire.Decode(f); string(m.(*wire.Message).ShortMessage) != "next" {
			t.Error("the third part was sent")
		}
		p.Accept(f, "b")
		wantOutcome(t, peertest.Wait(t, results), handover.Accepted)
		g.idle(t)
	})
}

// boundTwice accepts two binds, one after the other.
func boundTwice(t *testing.T) (addr string, peers <-chan *peertest.Peer) {
	t.Helper()
	addr, accept := listen(t)
	bound := make(chan *peertest.Peer, 2)
	go func() {
		for range 2 {
			p := peertest.New(t, accept())
			p.AcceptBind()
			bound <- p
		}
	}()
	return addr, bound
}

// The connection breaks between the parts: a part that was not written goes to the
// same bind when it is back, and one without a response stays unknown.
func TestConnectionBreaksBetweenParts(t *testing.T) {
	addr, peers := boundTwice(t)
	g := run(t, Config{SMSCs: []SMSC{{Name: "telco", Addr: addr, SystemID: "straks", Window: 1}}, DrainTime: 100 * time.Millisecond})
	p := peertest.Wait(t, peers)
	results := sending(g, threeParts, peertest.Patience)
	p.Accept(p.Next(wire.SubmitSM), "a")
	p.Next(wire.SubmitSM)
	p.Conn.Close()
	p = peertest.Wait(t, peers)
	p.Accept(p.Next(wire.SubmitSM), "c")
	r := peertest.Wait(t, results)
	wantOutcome(t, r, handover.Unknown)
	wantParts(t, r, 0, -2, 2)
	g.idle(t)
}

func TestLateRefusal(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, p := scripted(t, nil)
		results := sending(g, "hei", peertest.Patience)
		f := p.Next(wire.SubmitSM)
		wantOutcome(t, peertest.Wait(t, results), handover.Unknown)
		refuse(p, f, wire.ESMEThrottled)
		eventually.True(t, "the late response", func() bool { return len(g.lates()) == 1 })
		if l := g.lates()[0]; l.Status != wire.ESMEThrottled || l.Refusal != RefusedFailed || l.MessageID != "" {
			t.Errorf("%+v", l)
		}
	})
}

// A late nack that may mean anything proves nothing, and a clear one counts, as for one in time.
func TestLateNack(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, p := scripted(t, nil)
		for _, status := range []wire.Status{wire.ESMESysErr, wire.ESMEInvCmdLen} {
			results := sending(g, "hei", 400*time.Millisecond)
			f := p.Next(wire.SubmitSM)
			wantOutcome(t, peertest.Wait(t, results), handover.Unknown)
			p.Send(wire.GenericNack, status, f.Sequence, nil)
		}
		eventually.True(t, "the clear nack", func() bool { return len(g.lates()) > 0 })
		if all := g.lates(); len(all) != 1 || all[0].Status != wire.ESMEInvCmdLen || all[0].Refusal != RefusedFailed {
			t.Errorf("%+v", all)
		}
		g.idle(t)
	})
}

// A submit that the caller didn't wait for keeps its slot until the response comes.
func TestAbandonedSubmitKeepsItsSlotUntilAnswered(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		g, p := scripted(t, func(c *SMSC) { c.Window, c.ResponseTimeout = 1, peertest.Patience })
		results := sending(g, "one", 200*time.Millisecond)
		f := p.Next(wire.SubmitSM)
		wantOutcome(t, peertest.Wait(t, results), handover.Unknown)
		results = sending(g, "two", peertest.Patience)
		eventually.True(t, "a message to wait", func() bool { return g.slots.queued(g.smscs())["telco"] == 1 })
		p.Accept(f, "a")
		p.Accept(p.Next(wire.SubmitSM), "b")
		wantOutcome(t, peertest.Wait(t, results), handover.Accepted)
		g.idle(t)
	})
}

func TestPeerUnbinds(t *testing.T) {
	addr, peers := boundTwice(t)
	g := run(t, Config{SMSCs: []SMSC{{Name: "telco", Addr: addr, SystemID: "straks"}}, DrainTime: 100 * time.Millisecond})
	p := peertest.Wait(t, peers)
	g.allUp(t)
	p.Send(wire.Unbind, wire.ESMEOK, 7, nil)
	p.Next(wire.UnbindResp)
	p.Conn.Close()
	results := sending(g, "hei", peertest.Patience)
	p = peertest.Wait(t, peers)
	p.Accept(p.Next(wire.SubmitSM), "a")
	wantOutcome(t, peertest.Wait(t, results), handover.Accepted)
}

// An SMSC that has forgotten the session never answers some message, or the
// unbind: it is bound again without waiting for those responses.
func TestBindsAgainWithAResponseOwed(t *testing.T) {
	for _, owes := range []bool{true, false} {
		memory.Bubble(t, func(t *testing.T) {
			const least = 50 * time.Second // for which nothing may wait
			addr, peers := boundTwice(t)
			c := SMSC{Name: "telco", Addr: addr, SystemID: "straks", ResponseTimeout: least, ConnectTimeout: least}
			g := run(t, Config{SMSCs: []SMSC{c}, DrainTime: least})
			p := peertest.Wait(t, peers)
			g.allUp(t)
			began := time.Now()
			var owed <-chan Result
			if owes {
				owed = sending(g, "one", least)
				p.Next(wire.SubmitSM)
			}
			results := sending(g, "two", least)
			refuse(p, p.Next(wire.SubmitSM), wire.ESMEInvBndSts)
			if owes {
				wantOutcome(t, peertest.Wait(t, owed), handover.Unknown)
			}
			p = peertest.Wait(t, peers)
			p.Accept(p.Next(wire.SubmitSM), "a")
			wantOutcome(t, peertest.Wait(t, results), handover.Accepted)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("owes a response: %v; bound again after %v", owes, took)
			}
			p.Conn.Close()
			g.stop()
		})
	}
}

// A message that waits for a held-up writer until the last part of its time is not written
// any more: its response would come too late.
func TestNothingIsWrittenAtTheLastMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := boundInMemory(t, 256)
		g, err := New(Config{SMSCs: []SMSC{{Name: "telco", Addr: "127.0.0.1:1", SystemID: "straks"}}},
			slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		g.slots.open(g.smscs()[0].binds[0], s)
		long := peertest.Message()
		long.ShortMessage = make([]byte, 254)
		first := make(chan error, 1)
		go func() { // holds the writer up
			_, err := s.Submit(t.Context(), session.Request{Message: long})
			first <- err
		}()
		synctest.Wait()
		results := make(chan Result, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			results <- g.Send(ctx, Message{ID: "m1", To: number, Text: "hei"})
		}()
		time.Sleep(2*time.Second - responseTime/2)
		p.Accept(p.Next(wire.SubmitSM), "a") // from here on the writer writes
		if r := <-results; r.Outcome != handover.NotSent || !errors.Is(r.Err, errHeldUp) {
			t.Errorf("%+v", r)
		}
		if err := <-first; err != nil {
			t.Error(err)
		}
		s.Close()
		if f, err := p.Frames.Next(); err == nil {
			t.Errorf("%v was written", f.ID)
		}
	})
}
