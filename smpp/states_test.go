package smpp

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smpp/peertest"
	"straks/smpp/session"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

func TestStatesAndMetrics(t *testing.T) {
	var p smsctest.Profile
	p.On("1", func(b *smsctest.Behaviour) { b.Status = wire.ESMEInvDstAdr })
	p.On("2", func(b *smsctest.Behaviour) { b.Status = 0x4711 })
	s := centre(t, p)
	c := account("telco", s)
	c.Rate, c.Window = 100, 7
	g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
	wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
	wantOutcome(t, g.Send(t.Context(), Message{To: "+4799999991", Text: "hei"}), handover.Refused)
	wantOutcome(t, g.Send(t.Context(), Message{To: "+4799999992", Text: "hei"}), handover.Refused)
	g.idle(t)
	eventually.True(t, "the responses to be counted", func() bool { return len(g.States()[0].Answers) == 3 && g.States()[0].Binds == 1 })
	b := g.States()[0]
	if b.Window != 7 || b.Ceiling != 100 || b.Rate != 100 || b.Binds != 1 || b.Addr != s.Addr() || b.ResponseTime == 0 {
		t.Errorf("%+v", b)
	}
	if b.Answers["ESME_ROK"] != 1 || b.Answers["ESME_RINVDSTADR"] != 1 || b.Answers["other"] != 1 {
		t.Errorf("%v", b.Answers)
	}
	for _, m := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{1, "straks_smpp_sends_total", []string{"smsc", "telco", "outcome", "accepted"}},
		{2, "straks_smpp_sends_total", []string{"smsc", "telco", "outcome", "refused"}},
		{1, "straks_smpp_responses_total", []string{"status", "ESME_RINVDSTADR"}},
		{0, "straks_smpp_responses_total", []string{"status", "ESME_RTHROTTLED"}},
		{1, "straks_smpp_responses_total", []string{"status", "other"}},
		{3, "straks_smpp_response_seconds", []string{"smsc", "telco"}},
		{1, "straks_smpp_bind_up", []string{"bind", "telco/1"}},
		{1, "straks_smpp_bind_state", []string{"bind", "telco/1", "state", "bound"}},
		{0, "straks_smpp_bind_state", []string{"bind", "telco/1", "state", "down"}},
		{7, "straks_smpp_window_size", []string{"bind", "telco/1"}},
		{0, "straks_smpp_window_in_use", []string{"bind", "telco/1"}},
		{100, "straks_smpp_rate_limit", []string{"bind", "telco/1"}},
		{0, "straks_smpp_waiting", []string{"smsc", "telco"}},
		{0, "straks_smpp_bind_failures_total", []string{"status", "ESME_RINVPASWD"}},
		{1, "straks_smpp_binds_total", []string{"smsc", "telco"}},
	} {
		if got := g.value(t, m.name, m.labels...); got != m.want {
			t.Errorf("%s%q is %v, want %v", m.name, m.labels, got, m.want)
		}
	}
	g.stop()
	if b := g.States()[0]; b.State != StateClosed || g.Ready() == nil {
		t.Errorf("%+v after the end", b)
	}
}

// One address does not answer: the bind is made at the other.
func TestSeveralAddresses(t *testing.T) {
	dead, alive := centre(t, smsctest.Profile{}), centre(t, smsctest.Profile{})
	dead.Down()
	c := account("telco", dead)
	c.MoreAddrs = []string{alive.Addr()}
	g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
	if r := g.send("hei", peertest.Patience); r.Outcome != handover.Accepted || g.States()[0].Addr != alive.Addr() {
		t.Errorf("%+v", r)
	}
}

// The least loaded bind is used, so that several share the load.
func TestBindsShareTheLoad(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Delay: 100 * time.Millisecond}})
		c := account("telco", s)
		c.Binds = 4
		g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
		results := make(chan Result, 8)
		for range 8 {
			go func() { results <- g.send("hei", peertest.Patience) }()
		}
		used := map[string]int{}
		for range 8 {
			used[peertest.Wait(t, results).Bind]++
		}
		if len(used) != 4 {
			t.Errorf("%v", used)
		}
	})
}

// answering is a gateway with one bind, of the given rate. Each submit is answered after the delay.
func answering(t *testing.T, rate float64, delay time.Duration) (*Gateway, *session.Session) {
	g := undialled(t, SMSC{Name: "telco", Rate: rate, StallAfter: 300 * time.Millisecond})
	b := g.smscs()[0].binds[0]
	s, p := boundInMemory(t, 1<<16)
	go acceptAll(p, delay)
	g.slots.open(b, s)
	b.setState(StateBound, "", "")
	return g, s
}

// A message that waits for a token of a low rate is not yet owed a response: a bind is stalled
// only if the SMSC does not answer what was sent.
func TestAMessageThatWaitsForTheRateIsNotOwedAResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := answering(t, 2, 100*time.Millisecond)
		defer s.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		results := make(chan Result, 5)
		for range cap(results) {
			go func() { results <- g.Send(ctx, Message{ID: "m1", To: number, Text: "hei"}) }()
		}
		for len(results) < cap(results) {
			if state := g.States()[0]; state.State != StateBound {
				t.Fatalf("%s: %s", state.State, state.Reason)
			}
			time.Sleep(10 * time.Millisecond)
		}
		for range cap(results) {
			wantOutcome(t, <-results, handover.Accepted)
		}
	})
}

// Messages that wait for the rate do not hide an overdue response.
func TestStalledWhileOthersWaitForTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, s := answering(t, 0.5, time.Second)
		defer s.Close()
		start := time.Now()
		for range 2 {
			go g.Send(t.Context(), Message{ID: "m1", To: number, Text: "hei"})
		}
		for _, c := range []struct {
			after time.Duration
			want  State
		}{{200 * time.Millisecond, StateBound}, {400 * time.Millisecond, StateStalled}, {1100 * time.Millisecond, StateBound},
			{1900 * time.Millisecond, StateBound}, {2200 * time.Millisecond, StateBound}, {2400 * time.Millisecond, StateStalled}} {
			time.Sleep(time.Until(start.Add(c.after)))
			if state := g.States()[0].State; state != c.want {
				t.Errorf("%s after %v", state, c.after)
			}
		}
		time.Sleep(time.Second)
	})
}
