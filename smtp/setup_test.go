package smtp

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/eventually"
	"straks/internal/handover"
	"straks/smtp/relaytest"
)

// Under load, relays and routes are added, changed and removed: no mail is lost, refused or sent twice, and a relay
// that did not change keeps its connections.
func TestReconfigure(t *testing.T) {
	stays, goes, comes := listen(t, relaytest.Profile{Delay: time.Millisecond}), listen(t, relaytest.Profile{Delay: 2 * time.Millisecond}), listen(t, relaytest.Profile{})
	one := func(name string, r *relaytest.Relay) Relay {
		return Relay{Name: name, Addr: r.Addr(), MinIdle: 4, MaxConns: 4}
	}
	to1, to2 := Route{Name: "one", RecipientDomains: []string{"one.example"}, Relays: []string{"stays"}}, Route{Name: "two", Relays: []string{"goes"}}
	p := runPool(t, one("stays", stays), one("goes", goes))
	if err := p.Reconfigure(Config{Relays: []Relay{one("stays", stays), one("goes", goes)}, Routes: []Route{to1, to2}}); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "all connections", func() bool { s := p.States(); return s[0].Open == 4 && s[1].Open == 4 })
	before, _ := stays.Connections()

	var sent atomic.Int32
	var senders sync.WaitGroup
	stop := make(chan struct{})
	for i := range 6 {
		domain := []string{"one.example", "two.example"}[i%2]
		senders.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				if res := p.Send(within(t), to(fmt.Sprintf("k%d.%d@%s", i, n, domain))); res.Outcome != handover.Accepted {
					t.Errorf("mail %d: %+v", n, res)
					return
				}
				sent.Add(1)
			}
		})
	}
	more := func() {
		t.Helper()
		was := sent.Load()
		eventually.True(t, "more mails", func() bool { return sent.Load() > was+40 })
	}
	to2.Relays = []string{"comes"}
	changed := one("goes", goes)
	changed.MaxConns = 5
	for range 3 {
		for _, c := range []Config{
			{Relays: []Relay{one("stays", stays), one("comes", comes)}, Routes: []Route{to1, to2}},
			{Relays: []Relay{changed, one("stays", stays), one("comes", comes)}, Routes: []Route{{Name: "two", Relays: []string{"goes", "comes"}, Weights: map[string]int{"goes": 1, "comes": 1}}, to1}},
			{Relays: []Relay{one("goes", goes), one("stays", stays)}, Routes: []Route{to1, {Relays: []string{"goes"}}}},
		} {
			more()
			if err := p.Reconfigure(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	more()
	if err := p.Reconfigure(Config{Relays: []Relay{{Name: "stays"}}, Routes: []Route{{Relays: []string{"gone"}}}}); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("a bad configuration: %v", err)
	}
	more()
	close(stop)
	senders.Wait()
	seen := make(map[string]int)
	for _, r := range []*relaytest.Relay{stays, goes, comes} {
		for _, m := range r.Messages() {
			seen[m.To]++
		}
	}
	taken := stays.Taken() + goes.Taken() + comes.Taken()
	for to, n := range seen {
		if n != 1 {
			t.Errorf("%s got %d mails", to, n)
		}
	}
	if taken != int(sent.Load()) || goes.Taken() == 0 || comes.Taken() == 0 {
		t.Errorf("%d mails sent, %d taken", sent.Load(), taken)
	}
	if after, open := stays.Connections(); after != before || open != 4 {
		t.Errorf("the relay that did not change: %d connections before, %d after, %d open", before, after, open)
	}
	eventually.True(t, "the relay that is gone to be left", func() bool { _, open := comes.Connections(); return open == 0 })
}

// Series and states are those of the relays in use.
func TestSeriesFollowRelays(t *testing.T) {
	registry := prometheus.NewRegistry()
	a, b := Relay{Name: "a", Addr: "127.0.0.1:1"}, Relay{Name: "b", Addr: "127.0.0.1:1"}
	p, err := New(Config{Relays: []Relay{a}}, slog.New(slog.DiscardHandler), registry)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Reconfigure(Config{Relays: []Relay{b}}); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if text := f.String(); strings.Contains(text, `value:"a"`) {
			t.Errorf("%s has the relay that is gone", f.GetName())
		}
	}
	if s := p.States(); len(s) != 1 || s[0].Name != "b" {
		t.Errorf("states %+v", s)
	}
}
