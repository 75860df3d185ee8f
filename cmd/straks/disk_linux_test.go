package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/api/client"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
)

// TestFaultyDisk makes the disk fail under the daemon, in every way, while clients place
// orders and receipts arrive. During the fault orders get 503, receipts a temporary error,
// every status of the daemon has the reason, and the connections to the carriers stay up.
// After it the daemon recovers by itself, the four records of TestCrash agree, and every
// request was answered.
func TestFaultyDisk(t *testing.T) {
	for name, fault := range diskFaults {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it mostly waits for timers and the disk
			s := newFaulty(t, fault)
			load, calm := context.WithCancel(t.Context())
			defer calm()
			var clients sync.WaitGroup
			for range 4 {
				clients.Go(func() { s.work(load) })
			}
			clients.Go(func() { s.follow(load) })
			s.progress()
			s.suffer(fault)
			s.progress()
			calm()
			clients.Wait()
			eventually.True(t, "what was told meanwhile to be stored", func() bool {
				return strings.Contains(s.page("/status"), "\n  \"inFlight\": 0,") && s.quiet.Stats().WaitingNow == 0
			})
			s.Stop = func() {
				s.Stop = func() {}
				s.process.stop(t)
			}
			if n := s.settle(); n > 0 {
				t.Errorf("%d requests were not answered", n)
			}
			if log := s.process.log.String(); strings.Contains(log, "panic") {
				t.Error(log)
			}
		})
	}
}

// faulty is a daemon in its own process whose disk will fail, with a second SMSC that gets
// one message only.
type faulty struct {
	*crash
	process *process
	manager *daemontest.Manager
	quiet   *smsctest.SMSC
	disk    string
}

func newFaulty(t *testing.T, fault diskFault) *faulty {
	t.Helper()
	book := newCrashBook()
	quiet, err := smsctest.Listen("127.0.0.1:0", smsctest.Profile{Retry: 300 * time.Millisecond, OnSubmit: book.submitted, OnReceipt: book.receipt})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { quiet.Close() })
	smsc := book.smsc(1, true)
	smsc.Enquire = 50 * time.Millisecond
	w := daemontest.NewStopped(t, smsc, book.relay(), fmt.Sprintf(`response_timeout = "4s"
[[route]]
prefixes = ["+47"]
smscs = ["telco"]
[[route]]
prefixes = ["+46"]
smscs = ["quiet"]
[[smsc]]
name = "quiet"
addr = %q
system_id = "straks"
enquire_link = "50ms"
response_timeout = "60s"
dead_link = "60s"
`, quiet.Addr()))
	w.EditConfig(`stall_after = "1m"`, `stall_after = "1s"`) // the default
	w.TakeReports("")
	w.Relay.ReportTo("unix", w.LMTPSocket())
	s := &faulty{crash: &crash{World: w, book: book}, quiet: quiet, manager: daemontest.NewManager(t)}
	if fault.mount != nil {
		s.disk = fault.mount(w)
	}
	s.metrics = func() string { return s.page("/metrics") }
	s.process = startProcess(w, s.manager.Env()...)
	t.Cleanup(func() {
		if s.process.kill(); t.Failed() {
			t.Log(s.process.log.String())
		}
	})
	w.Client = w.ClientAt(s.process.api)
	s.api.Store(w.Client)
	eventually.True(t, "the daemon to be ready", func() bool { return s.process.ready() == "" })
	return s
}

// progress waits until 40 more orders have been accepted.
func (s *faulty) progress() {
	s.T.Helper()
	before := s.created()
	eventually.True(s.T, "orders to be taken", func() bool { return s.created() > before+40 })
}

func (s *faulty) created() (n int) {
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	for _, o := range s.book.orders {
		n += o.created
	}
	return n
}

// suffer runs the fault, from its beginning to the recovery.
func (s *faulty) suffer(fault diskFault) {
	t := s.T
	t.Helper()
	answered := s.hold()
	links, quiet := s.SMSC.Stats(), s.quiet.Stats()
	end := fault.begin(t, s.process, s.disk)
	defer end()

	s.tells("not ready", fault.reason, "1")
	turnedAway := s.turnsAway(fault)
	s.quiet.Thaw()
	if err := <-answered; err != nil {
		t.Errorf("an order that the carrier took: %v", err)
	}
	s.reads(fault)
	s.linksLive(links, quiet)

	end()
	s.tells("ready", "", "0")
	for _, o := range turnedAway {
		eventually.True(t, "an order to be taken that was turned away", func() bool { return s.place(o) == nil })
	}
}

// hold places an order that the SMSC answers after Thaw.
func (s *faulty) hold() <-chan error {
	s.T.Helper()
	s.quiet.Freeze(time.Hour)
	o := s.book.newOrder()
	s.book.mu.Lock()
	o.number, o.address, o.parts = "+46701234560", "", 1
	s.book.mu.Unlock()
	answered := make(chan error, 1)
	go func() { answered <- s.place(o) }()
	eventually.True(s.T, "the order to be on its way", func() bool {
		return strings.Contains(s.page("/metrics"), `straks_smpp_window_in_use{bind="quiet/1",smsc="quiet"} 1`)
	})
	return answered
}

// tells waits until every status of the daemon agrees: /readyz, straks status, metric, systemd.
func (s *faulty) tells(readiness, reason, unavailable string) {
	t, p := s.T, s.process
	t.Helper()
	eventually.True(t, "/readyz to tell", func() bool { return (p.ready() == "") == (reason == "") && strings.Contains(p.ready(), reason) })
	eventually.True(t, "straks status to tell", func() bool {
		code, out, _ := straks(t, "", "status", "-admin", p.admin)
		line, _, _ := strings.Cut(out, "\n")
		return code == 0 && strings.Contains(line, ", "+readiness) && strings.Contains(line, reason)
	})
	eventually.True(t, "the metric to tell", func() bool {
		return strings.Contains(s.page("/metrics"), "\nstraks_journal_unavailable "+unavailable+"\n")
	})
	s.manager.Await("orders under way; "+readiness, reason, "WATCHDOG=1")
}

func (s *faulty) page(path string) string {
	addr := s.process.metrics
	if path == "/status" {
		addr = s.process.admin
	}
	resp, err := daemontest.AdminClient(addr).Get("http://localhost" + path)
	if err != nil {
		s.T.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	return string(text)
}

// turnsAway places orders of every kind during the fault, and returns those that got 503. On a full disk, the free pages
// of the journal are used up first.
func (s *faulty) turnsAway(fault diskFault) (again []*crashOrder) {
	s.T.Helper()
	const orders = 20
	if !fault.pages {
		return s.turnedAway(orders, !fault.flaky)
	}
	eventually.True(s.T, "the free pages of the journal to be used up", func() bool {
		refused := s.turnedAway(orders, false)
		again = append(again, refused...)
		return len(refused) == orders
	})
	return again
}

// turnedAway places orders of every kind, and returns those that got 503: all of them, where it must be so.
// It logs how soon.
func (s *faulty) turnedAway(orders int, all bool) (again []*crashOrder) {
	s.T.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	for range orders {
		o := s.book.newOrder()
		wg.Go(func() {
			var problem *client.Problem
			began := time.Now()
			err := s.place(o)
			mu.Lock()
			defer mu.Unlock()
			if errors.As(err, &problem) {
				again, took = append(again, o), append(took, time.Since(began))
			} else if all {
				s.T.Errorf("%v; want a 503", err)
			}
		})
	}
	wg.Wait()
	if slices.Sort(took); len(took) > 0 {
		s.T.Logf("%d orders turned away at once, the median after %v, the last after %v", len(took), took[len(took)/2], took[len(took)-1])
	}
	return again
}

// reads reads a shipment and the feed.
func (s *faulty) reads(fault diskFault) {
	s.T.Helper()
	s.book.mu.Lock()
	id := s.book.orders["n0"].shipment
	s.book.mu.Unlock()
	_, err1 := s.Client.Shipment(s.T.Context(), id)
	_, err2 := s.Client.Feed(s.T.Context(), client.FeedQuery{})
	var problem *client.Problem
	if err := errors.Join(err1, err2); err != nil && !(fault.closed && errors.As(err, &problem) && problem.Status == 503) {
		s.T.Error(err)
	}
}

// linksLive waits for enquire_link in both directions, and for a postponed receipt.
func (s *faulty) linksLive(links, quiet smsctest.Stats) {
	s.T.Helper()
	ctx, cancel := context.WithTimeout(s.T.Context(), 5*time.Minute)
	defer cancel()
	if err := s.SMSC.Wait(ctx, func(now smsctest.Stats) bool { return now.EnquiryAnswers > links.EnquiryAnswers+20 }); err != nil {
		s.T.Error(err)
	}
	if err := s.quiet.Wait(ctx, func(now smsctest.Stats) bool { return now.Enquiries > quiet.Enquiries+20 }); err != nil {
		s.T.Error(err)
	}
	// That of the order that was held; or one of the load, where some orders are stored.
	eventually.True(s.T, "a receipt to be postponed", func() bool {
		return s.quiet.Stats().Postponed > quiet.Postponed || s.SMSC.Stats().Postponed > links.Postponed
	})
	if a, b := s.SMSC.Stats(), s.quiet.Stats(); a.Connections != links.Connections || b.Connections != quiet.Connections {
		s.T.Errorf("reconnected: %+v, %+v", a, b)
	}
}
