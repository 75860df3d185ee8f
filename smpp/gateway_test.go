package smpp

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smpp/peertest"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSendOneMessage(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
	r := g.send("Koden er 123456 æøå €", peertest.Patience)
	wantOutcome(t, r, handover.Accepted)
	got := s.Submits()[0]
	if got.Text() != "Koden er 123456 æøå €" || got.Dest != "4799999999" || got.DestTON != 1 || got.DestNPI != 1 {
		t.Errorf("submitted %+v", got)
	}
	if got.Source != "Straks" || got.SourceTON != 5 || got.SourceNPI != 0 || got.RegisteredDelivery != 1 || got.DataCoding != 0 {
		t.Errorf("submitted %+v", got)
	}
	if got.Validity < "000000000440000R" || got.Validity > "000000000500000R" { // what is left of five minutes
		t.Errorf("validity %q", got.Validity)
	}
	ref, ok := got.UserReference()
	if want := (Part{Index: 0, MessageID: got.MessageID, Reference: ref, Taken: true}); !ok || len(r.Parts) != 1 || r.Parts[0] != want {
		t.Errorf("parts %+v, want %+v", r.Parts, want)
	}
	if r.SMSC != "telco" || r.Bind != "telco/1" || r.Total != 1 || r.Encoding != "gsm" || r.Err != nil {
		t.Errorf("result %+v", r)
	}
	if at := r.Times; at.Slot.IsZero() || at.Written.Before(at.Slot) || at.Answered.Before(at.Written) {
		t.Errorf("times %+v", at)
	}
	g.idle(t)
}

func TestShutdownWaitsForResponses(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Behaviour: smsctest.Behaviour{Delay: 200 * time.Millisecond}})
		g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
		results := make(chan Result, 1)
		go func() { results <- g.send("hei", peertest.Patience) }()
		if _, err := s.WaitSubmits(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		g.stop()
		wantOutcome(t, peertest.Wait(t, results), handover.Accepted)
		if n := s.Stats().Unbinds; n != 1 {
			t.Errorf("%d unbinds", n)
		}
		wantOutcome(t, g.send("hei", time.Second), handover.NotSent) // at once
	})
}

// A message that is sent while no bind is up leaves when the first one is.
func TestSendWaitsForABind(t *testing.T) {
	s := centre(t, smsctest.Profile{BindDelay: 300 * time.Millisecond})
	g := run(t, Config{SMSCs: []SMSC{account("telco", s)}})
	wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
}

func TestNothingBound(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	c := account("telco", s)
	s.Close()
	g := run(t, Config{SMSCs: []SMSC{c}})
	r := g.send("hei", 100*time.Millisecond)
	wantOutcome(t, r, handover.NotSent)
	if r.Err == nil || g.Ready() == nil {
		t.Errorf("no reason: %v, %v", r.Err, g.Ready())
	}
}

func TestTransmitterAndReceiver(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	c := account("telco", s)
	c.Mode, c.Binds = ModeSeparate, 2
	g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
	if n := len(g.States()); n != 4 {
		t.Fatalf("%d binds", n)
	}
	for range 6 {
		wantOutcome(t, g.send("hei", peertest.Patience), handover.Accepted)
	}
	eventually.True(t, "the receipts", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.deliveries) == 6
	})
}

func TestRefusals(t *testing.T) {
	var p smsctest.Profile
	for suffix, status := range map[string]wire.Status{"1": wire.ESMEInvDstAdr, "2": wire.ESMERxRAppn, "3": 0x401, "4": 0x402} {
		p.On(suffix, func(b *smsctest.Behaviour) { b.Status = status })
	}
	s := centre(t, p)
	c := account("telco", s)
	c.Status = map[string]string{"0x402": "barred"}
	g := run(t, Config{SMSCs: []SMSC{c}}).allUp(t)
	for suffix, want := range map[string]Refusal{
		"1": RefusedInvalidRecipient, "2": RefusedRejected, "3": RefusedFailed, "4": RefusedBarred,
	} {
		r := g.Send(t.Context(), Message{To: "+479999999" + suffix, Text: "hei"})
		if r.Outcome != handover.Refused || r.Refusal != want || len(r.Parts) != 0 || r.Status == 0 {
			t.Errorf("%s: %+v", suffix, r)
		}
	}
	if n := s.Stats().Submits; n != 4 {
		t.Errorf("%d submits", n)
	}
	g.idle(t)
}

func TestTooLateToSend(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
	r := g.Send(t.Context(), Message{To: number, Text: "hei", Expires: time.Now().Add(500 * time.Millisecond)})
	wantOutcome(t, r, handover.NotSent)
	if n := s.Stats().Submits; n != 0 {
		t.Errorf("%d submits", n)
	}
	g.idle(t)
}

func TestCheck(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	g := run(t, Config{SMSCs: []SMSC{account("telco", s)}, Routes: []Route{{Prefixes: []string{"+47"}, SMSCs: []string{"telco"}}}})
	for _, c := range []struct {
		m    Message
		want string
	}{
		{Message{To: number, Text: "hei"}, ""},
		{Message{To: "+4512345678", Text: "hei"}, "recipient"},
		{Message{To: "+47", From: "much too long a name", Text: ""}, "recipient sender body"},
		{Message{To: number, Text: strings.Repeat("x", 153*16)}, ""},
		{Message{To: number, Text: strings.Repeat("x", 153*16+1)}, "body"},
		{Message{To: number, Text: strings.Repeat("ж", 67*16+1)}, "body"},
	} {
		var fields []string
		for _, f := range g.Check(c.m) {
			fields = append(fields, string(f.Field))
		}
		if got := strings.Join(fields, " "); got != c.want {
			t.Errorf("%+v: %q, want %q", c.m, got, c.want)
		}
		if c.want != "" {
			wantOutcome(t, g.Send(t.Context(), c.m), handover.Refused)
		}
	}
}

func TestExplain(t *testing.T) {
	a, b := centre(t, smsctest.Profile{}), centre(t, smsctest.Profile{})
	second := account("second", b)
	second.Alphabet, second.LongMessages = AlphabetLatin1, LongSAR
	g := run(t, Config{
		SMSCs:  []SMSC{account("first", a), second},
		Routes: []Route{{Name: "all", SMSCs: []string{"first", "second"}, Sender: "2440"}},
	}).allUp(t)
	p := g.Explain(Message{To: number, Text: strings.Repeat("Å", 150), Expires: time.Now().Add(time.Hour)})
	if p.Route != "all" || len(p.SMSCs) != 2 || p.Faults != nil {
		t.Fatalf("%+v", p)
	}
	one, two := p.SMSCs[0], p.SMSCs[1]
	if one.Encoding != "gsm" || one.Parts != 1 || one.Characters != 150 || one.Source != "2440" || one.SenderKind != "short code" {
		t.Errorf("%+v", one)
	}
	if two.Encoding != "latin1" || two.DataCoding != 3 || two.Parts != 2 || two.Long != LongSAR || two.Validity == "" {
		t.Errorf("%+v", two)
	}
	if one.Binds[0].State != StateBound || a.Stats().Submits != 0 {
		t.Errorf("%+v", one.Binds)
	}
}

func TestLateResponse(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		var p smsctest.Profile
		p.Delay = 600 * time.Millisecond
		s := centre(t, p)
		g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
		r := g.send("hei", 300*time.Millisecond)
		wantOutcome(t, r, handover.Unknown)
		if len(r.Parts) != 1 || r.Parts[0].Taken || r.Err == nil {
			t.Errorf("%+v", r)
		}
		if r.Times.Written.IsZero() || !r.Times.Answered.IsZero() {
			t.Errorf("times of a message without a response: %+v", r.Times)
		}
		eventually.True(t, "the late response", func() bool { return len(g.lates()) == 1 })
		got := g.lates()[0]
		want := LateResponse{Message: "m1", SMSC: "telco", Total: 1, MessageID: s.Submits()[0].MessageID, Reference: r.Parts[0].Reference}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		g.idle(t)
	})
}

// Some carriers give out passwords longer than the standard's eight octets.
func TestLongPassword(t *testing.T) {
	password := strings.Repeat("lang", 16)
	s := centre(t, smsctest.Profile{Accounts: map[string]string{"straks": password}})
	c := account("telco", s)
	c.Password = password
	wantOutcome(t, run(t, Config{SMSCs: []SMSC{c}}).allUp(t).send("hei", peertest.Patience), handover.Accepted)
}

func TestWrongPasswordSlowsDown(t *testing.T) {
	memory.Bubble(t, func(t *testing.T) {
		s := centre(t, smsctest.Profile{Accounts: map[string]string{"straks": "another"}})
		c := account("telco", s)
		c.Binds = 5
		g := run(t, Config{SMSCs: []SMSC{c}})
		refused := func() (n int) {
			for _, b := range g.States() {
				if b.State == StateRefused {
					n++
				}
			}
			return n
		}
		eventually.True(t, "the refusal to show", func() bool { return refused() == 1 })
		eventually.True(t, "the other binds to show why they aren't bound", func() bool {
			return !slices.ContainsFunc(g.States(), func(b BindState) bool { return b.Reason == "" })
		})
		if n := g.value(t, "straks_smpp_bind_failures_total", "status", "ESME_RINVPASWD"); n != 1 {
			t.Errorf("%v refusals counted", n)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Wait(ctx, func(st smsctest.Stats) bool { return st.BindsRefused > 1 }); err == nil {
			t.Error("it is tried again at once, or by another bind")
		}
	})
}

func TestReconnectsAfterOutage(t *testing.T) {
	s := centre(t, smsctest.Profile{})
	g := run(t, Config{SMSCs: []SMSC{account("telco", s)}}).allUp(t)
	s.Down()
	eventually.True(t, "the loss to be noticed", func() bool { return g.Ready() != nil })
	results := make(chan Result, 1)
	go func() { results <- g.send("hei", peertest.Patience) }()
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, peertest.Wait(t, results), handover.Accepted)
	if n := s.Stats().Binds; n != 2 {
		t.Errorf("%d binds", n)
	}
}
