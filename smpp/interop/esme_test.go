package interop

import (
	"context"
	"net"
	"strings"
	"testing"

	"straks/smpp/smsctest"
)

// TestNodeESME uses node-smpp as a client of the simulator.
func TestNodeESME(t *testing.T) {
	smsc := listen(t, smsctest.Profile{ChattyBind: true})
	_, port, err := net.SplitHostPort(smsc.Addr())
	if err != nil {
		t.Fatal(err)
	}
	p := startPeer(t, "esme.js", port)
	p.await(t, "enquire_link") // before bind_resp
	if got := p.await(t, "bind_resp"); got.Status != 0 {
		t.Fatalf("bind_resp: %+v", got)
	}
	checkRead(t, smsc)
	checkResponses(t, p)
	p.do(t, "enquire")
	if got := p.await(t, "enquire_link_resp"); got.Status != 0 {
		t.Errorf("enquire_link_resp: %+v", got)
	}
	p.do(t, "unbind")
	if got := p.await(t, "unbind_resp"); got.Status != 0 {
		t.Errorf("unbind_resp: %+v", got)
	}
}

// checkRead compares what the simulator read with what esme.js sends.
func checkRead(t *testing.T, smsc *smsctest.SMSC) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	want := []string{"Blåbær på Ærøy {1} €", "Čau 👍", strings.Repeat("č", 200)}
	submits, err := smsc.WaitSubmits(ctx, len(want))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range submits {
		if s.Text() != want[i] {
			t.Errorf("the simulator reads %q, want %q", s.Text(), want[i])
		}
	}
}

// checkResponses awaits three responses and their receipts, in any order.
func checkResponses(t *testing.T, p *peer) {
	t.Helper()
	answered, receipted := map[string]bool{}, map[string]bool{}
	for len(answered) < 3 || len(receipted) < 3 {
		switch e := p.next(t); e.Event {
		case "submit_sm_resp":
			if e.Status != 0 || e.MessageID == "" {
				t.Fatalf("submit_sm_resp: %+v", e)
			}
			answered[e.MessageID] = true
		case "deliver_sm":
			if e.ESMClass != 4 || e.State != 2 || e.Source != "4799999999" || e.Destination != "1963" ||
				!strings.HasPrefix(e.Text, "id:"+e.MessageID+" ") || !strings.Contains(e.Text, "stat:DELIVRD") {
				t.Errorf("receipt: %+v", e)
			}
			receipted[e.MessageID] = true
		}
	}
	for id := range receipted {
		if !answered[id] {
			t.Errorf("a receipt for %s, which is in no response: %v", id, answered)
		}
	}
}
