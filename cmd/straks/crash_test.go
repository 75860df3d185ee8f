package main

import (
	"context"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smpp/wire"
	"straks/smtp/relaytest"
)

// crashKills is how often TestCrash kills the daemon: STRAKS_CRASH_KILLS, or 15.
func crashKills(t *testing.T) int {
	text := os.Getenv("STRAKS_CRASH_KILLS")
	if text == "" {
		return 15
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestCrash kills the daemon at random moments, under load, while clients repeat what was
// not answered. Then it compares five records: the answers to clients, what SMSC and relay
// accepted, the feed, what webhooks sent of it, and the journal.
//
// Every message that the SMSC delivered ends as delivered, also if its answer is lost: where the SMSC
// echoes the user reference, and where it does not.
func TestCrash(t *testing.T) {
	t.Run("echo", func(t *testing.T) { testCrash(t, true) })
	t.Run("no echo", func(t *testing.T) { testCrash(t, false) })
}

func testCrash(t *testing.T, echo bool) {
	t.Parallel()
	seed := rand.Uint64() >> 1
	t.Logf("seed %d", seed) // of the moments; the scheduler's choices are not repeatable
	book := newCrashBook()
	w := daemontest.NewStopped(t, book.smsc(seed, echo), book.relay(), `binds = 2
response_timeout = "4s"`)
	w.ShortenDeadline()
	w.TakeReports("")
	w.Relay.ReportTo("unix", w.LMTPSocket())
	c := &crash{World: w, book: book, receiver: receiveCrashes(t, w), rng: rand.New(rand.NewPCG(seed, 1)), boot: 100 * time.Millisecond}

	load, calm := context.WithCancel(t.Context())
	defer calm()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() { c.work(load) })
	}
	clients.Go(func() { c.follow(load) })
	for range crashKills(t) {
		c.live()
	}
	w.Start()
	defer func() { w.Stop() }() // if the test ends early
	c.api.Store(w.Client)
	calm()
	clients.Wait()
	if c.settle() == 0 {
		t.Error("no request was hit")
	}
}

// crash starts and kills the daemon again and again.
type crash struct {
	*daemontest.World
	book *crashBook
	rng  *rand.Rand // of the killer only
	boot time.Duration
	api  clientCell

	receiver *crashReceiver

	metrics func() string // of the daemon; nil: it runs in this process
}

// live starts the daemon, lets it work until a random moment, and kills it.
func (c *crash) live() {
	c.T.Helper()
	p := launch(c.World)
	defer func() {
		c.api.Store(nil)
		if err := p.kill(); err != nil {
			c.T.Fatal(err)
		}
	}()
	if c.rng.IntN(6) == 0 { // while it starts
		c.sleep(c.boot)
		return
	}
	select {
	case <-p.serving:
		c.boot = time.Since(p.began)
	case <-p.ended:
		return // kill reports why
	}
	c.api.Store(c.ClientAt(p.api))
	switch c.rng.IntN(6) {
	case 0: // just when the SMSC has read a submit_sm, or answered it
		c.after(c.book.submits, 80)
	case 1: // just when a receipt is under way
		c.after(c.book.receipts, 80)
	case 2: // just when the relay has taken a mail
		c.after(c.book.mails, 20)
	case 3: // while it stops
		c.sleep(60 * time.Millisecond)
		p.cmd.Process.Signal(syscall.SIGTERM)
		c.sleep(30 * time.Millisecond)
	default:
		c.sleep(120 * time.Millisecond)
	}
}

// sleep sleeps for a random time up to d.
func (c *crash) sleep(d time.Duration) { time.Sleep(time.Duration(c.rng.Int64N(int64(d)))) }

// after waits for a random number of ticks up to n, for a second at most.
func (c *crash) after(ticks <-chan struct{}, n int) {
	enough := time.After(time.Second)
	for range 1 + c.rng.IntN(n) {
		select {
		case <-ticks:
		case <-enough:
			return
		}
	}
}

// smsc returns an SMSC whose behaviour depends on the last digit of a number.
func (b *crashBook) smsc(seed uint64, echo bool) smsctest.Profile {
	p := smsctest.Profile{Seed: seed, Record: -1, OnSubmit: b.submitted, OnReceipt: b.receipt,
		Retry: 20 * time.Millisecond, AckTimeout: 500 * time.Millisecond}
	p.Jitter = 3 * time.Millisecond
	p.Receipt.Jitter, p.Receipt.EchoReference = 10*time.Millisecond, echo
	p.On("2", func(b *smsctest.Behaviour) { b.Receipt.Early = true })
	p.On("3", func(b *smsctest.Behaviour) { b.Receipt.Delay = 300 * time.Millisecond })
	p.On("4", func(b *smsctest.Behaviour) { b.Receipt.Duplicate = 1 })
	p.On("5", func(b *smsctest.Behaviour) { b.Receipt.Missing = 1 })
	p.On(crashLossy, func(b *smsctest.Behaviour) {
		b.Lose, b.Receipt.Delay = 4, 400*time.Millisecond
	})
	p.On("7", func(b *smsctest.Behaviour) { b.Receipt.State = "UNDELIV" })
	p.On("8", func(b *smsctest.Behaviour) { b.Throttle = 3 })
	p.On(crashRefused, func(b *smsctest.Behaviour) { b.Status = wire.ESMEInvDstAdr })
	return p
}

// parkedReports are the samples of the metric, of each SMSC.
var parkedReports = regexp.MustCompile(`(?m)^straks_journal_parked_reports\S* (\S+)$`)

// settled reports whether no receipt waits for its answer any more: each is about an order.
func (c *crash) settled() bool {
	if c.metrics == nil {
		c.metrics = func() string { _, text := c.Admin("/metrics"); return text }
	}
	page := c.metrics()
	found := parkedReports.FindAllStringSubmatch(page, -1) // of SMSCs that had one
	return strings.Contains(page, "straks_journal_unavailable 0\n") && !slices.ContainsFunc(found, func(sample []string) bool { return sample[1] != "0" })
}

// Last digits of numbers whose answers get lost, and of those that the SMSC refuses.
const crashLossy, crashRefused = "6", "9"

// relay returns a relay that greylists, does not know some recipients, and closes the
// connection after the mails of others. It reports what became of mails, except those to silent@, and sends a report again
// that a daemon has not taken.
func (b *crashBook) relay() relaytest.Profile {
	reports := &relaytest.Reports{Rules: []relaytest.ReportRule{
		{Local: "full", Reports: []relaytest.Report{relaytest.Relayed, crashBounce}},
		{Local: "silent"},
	}}
	return relaytest.Profile{DSN: true, Greylist: 1, Rules: relaytest.StandardRules(), Reports: reports, OnMessage: b.mailed, Delay: time.Millisecond}
}

// crashBounce is a mailbox that is full, as the server beyond the relay finds out.
var crashBounce = relaytest.Report{Action: "failed", Status: "5.2.2", Diagnostic: "552 5.2.2 Mailbox full"}

// settle waits until nothing is in flight, and compares the records. It returns how many
// requests got no answer.
func (c *crash) settle() (unanswered int) {
	t, b := c.T, c.book
	c.repeatAll()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := c.SMSC.Wait(ctx, func(st smsctest.Stats) bool { return st.WaitingNow == 0 }); err != nil {
		t.Fatalf("receipts are left: %v", err)
	}
	eventually.True(t, "reports about mails to be taken", func() bool { _, waiting := c.Relay.Reported(); return waiting == 0 })
	eventually.True(t, "receipts without an answer to be applied", func() bool { return c.settled() })
	feed := c.Feed()
	b.readFeed(t, feed)
	if c.receiver != nil {
		c.receiver.check(t, feed)
	}
	for _, o := range b.orders {
		o.status = c.Status(o.shipment)
	}
	c.Stop()
	c.SMSC.Close() // waits for the goroutines that write to the book
	unanswered = b.balance(t, c.SMSC.Stats())
	b.auditJournal(t, c.Config().Journal.Path)
	return unanswered
}
