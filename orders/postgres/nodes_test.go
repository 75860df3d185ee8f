package postgres

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

// realTime makes a journal whose times are the database's, with leases for tests in which nodes come and go. Each renews its own
// every 3 s, and looks for the others then.
func realTime(t *testing.T) Options {
	t.Helper()
	opt := made(t)
	opt.callersTime, opt.Log, opt.Lease = false, quiet(), 12*time.Second
	return opt
}

// kill ends a journal's goroutines as the end of its process would: its lease is not given back.
func (j *Journal) kill() {
	j.lease.kept.Store(true)
	_ = j.Close()
}

func node(opt Options, n int) Options {
	opt.Node = n
	return opt
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// TestSameNode: a second process with the id of one that runs is refused; after that has closed, it may begin at once.
func TestSameNode(t *testing.T) {
	t.Parallel()
	opt := made(t)
	first := open(t, opt)
	hasty := opt
	hasty.Lease = time.Second // for as long it waits
	if _, err := Open(t.Context(), hasty); !errors.Is(err, ErrHeld) {
		t.Fatalf("a second process as node 1: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, opt)
	if running, err := Probe(t.Context(), opt); err != nil || !running {
		t.Errorf("running %v, %v", running, err)
	}
	again.Close()
	if running, err := Probe(t.Context(), opt); err != nil || running {
		t.Errorf("running %v, %v", running, err)
	}
}

// TestDeadNode: a node that dies is declared dead. The other one becomes the keeper, finds its unanswered claim, and keeps
// its deadline; its claim is not free after that, whatever the node says of it that counted as dead.
func TestDeadNode(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	dies := open(t, opt)
	lives := open(t, node(opt, 2))
	defer lives.Close()
	if left, err := lives.Abandoned(t.Context()); err != nil || len(left) > 0 || lives.lease.keeper() {
		t.Fatalf("node 2 is the keeper, or finds %v, %v", left, err)
	}
	in := order("k")
	in.TTL = 100 * time.Millisecond
	in.ClaimFor = time.Hour
	s, _, err := dies.Accept(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	dies.kill()
	var left []orders.Shipment
	eventually(t, "the claim of the dead node is not found", func() bool {
		left, err = lives.Abandoned(t.Context())
		return err != nil || len(left) > 0
	})
	if err != nil || len(left) != 1 || left[0].ID != s.ID {
		t.Fatalf("%v, %v", left, err)
	}
	if _, err := lives.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: time.Now().UTC(), Outcome: handover.Unknown, Total: 1}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deadline is not kept", func() bool {
		due, _, err := lives.Due(t.Context(), time.Now().UTC(), 10)
		return err == nil && len(due) == 1 && due[0] == s.ID
	})
	if left, err := lives.Abandoned(t.Context()); err != nil || len(left) > 0 {
		t.Fatalf("left %v, %v", left, err)
	}
	effects, err := lives.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: s.Accepted, Outcome: handover.NotSent}})
	if err != nil || effects[0].Shipment.Status != orders.SMSFailed {
		t.Fatalf("not sent, after the claim was ended: %+v, %v", effects, err)
	}
}

// TestClaimOfLiveNode: while the node that has claimed a shipment lives, others hold it to be in flight, however long ago
// its claim's time ended and whatever times they bring: the database may have been away. Its answer that the order was not
// sent frees the key.
func TestClaimOfLiveNode(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	j, other := open(t, opt), open(t, node(opt, 2))
	defer j.Close()
	defer other.Close()
	old := order("k")
	old.At = time.Now().UTC().Add(-2 * time.Hour)
	old.TTL = time.Hour
	s, _, err := j.Accept(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	held := func(want bool) {
		t.Helper()
		have, claimed, err := other.Accept(t.Context(), order("k"))
		if err != nil || claimed || !have.Claimed() || have.Held != want {
			t.Errorf("accepted: claimed %v, held %v, %v", claimed, have.Held, err)
		}
		have, known, err := other.Known(t.Context(), "ttd", "k", time.Now())
		if err != nil || !known || !have.Claimed() || have.Held != want {
			t.Errorf("known %v, held %v, %v", known, have.Held, err)
		}
	}
	held(true)
	due := func() int {
		t.Helper()
		due, _, err := j.Due(t.Context(), time.Now().UTC(), 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(due)
	}
	if n := due(); n != 0 {
		t.Errorf("its deadline is kept before its node has answered: %d due", n)
	}
	notSent := func() orders.Status {
		t.Helper()
		effects, err := j.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: time.Now().UTC(), Outcome: handover.NotSent}})
		if err != nil {
			t.Fatal(err)
		}
		return effects[0].Shipment.Status
	}
	if got := notSent(); !got.Free() {
		t.Errorf("not sent: %v", got)
	}
	old.Claim = uuid.New()
	if s, _, err = j.Accept(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if err := j.write(t, "update nodes set epoch = epoch + 1 where id = 1"); err != nil {
		t.Fatal(err)
	}
	held(false)
	eventually(t, "the deadline of a claim whose node died is not kept", func() bool { return due() == 1 })
}

// TestDeclaredDead: a node stores no order once another one has declared it dead, also before it knows that. Its claim
// would count as that of a process that has ended, and a repeat at the other node would never be sent.
func TestDeclaredDead(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	opt.Lease = time.Hour // so that it does not find out
	j, other := open(t, opt), open(t, node(opt, 2))
	defer j.Close()
	defer other.Close()
	freed, _, err := j.Accept(t.Context(), order("freed"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: freed.ID, Claim: freed.Claim, At: time.Now().UTC(), Outcome: handover.NotSent}}); err != nil {
		t.Fatal(err)
	}
	if err := j.write(t, "update nodes set epoch = epoch + 1, expires = '-infinity' where id = 1"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"new", "freed"} {
		if s, claimed, err := j.Accept(t.Context(), order(key)); !errors.Is(err, orders.ErrNotStored) || !errors.Is(err, orders.ErrUnavailable) || claimed {
			t.Errorf("%s: %+v, %v, %v", key, s, claimed, err)
		}
		if s, claimed, err := other.Accept(t.Context(), order(key)); err != nil || !claimed {
			t.Errorf("%s at the other node: %+v, %v, %v", key, s, claimed, err)
		}
	}
	if err := j.Ready(); err != nil {
		t.Errorf("the journal can be written: %v", err)
	}
}

// TestFenced: a node that was declared dead must not submit with what it had; it takes a new epoch, with which it stores
// orders again, and its slots have ended.
func TestFenced(t *testing.T) {
	t.Parallel()
	opt := realTime(t)
	j := open(t, opt)
	defer j.Close()
	slot, err := j.AcquireSlot(t.Context(), "telco", 0)
	if err != nil {
		t.Fatal(err)
	}
	before := j.lease.epochNow()
	if err := j.write(t, "update nodes set epoch = epoch + 1, expires = '-infinity'"); err != nil {
		t.Fatal(err)
	}
	<-slot.Ended
	slot.Release()
	eventually(t, "the node has no new epoch", func() bool { return j.lease.epochNow() == before+2 })
	if _, claimed, err := j.Accept(t.Context(), order("k")); err != nil || !claimed {
		t.Errorf("claimed %v, %v", claimed, err)
	}
	if again, err := j.AcquireSlot(t.Context(), "telco", 0); err != nil {
		t.Fatal(err)
	} else {
		again.Release()
	}
}

// TestLeaseEnds: a node that can't renew its lease says so before another one counts it as dead: why it is not ready, and in
// its log when that begins, when the lease has ended, and when it is renewed again.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	opt.Lease = 4 * time.Second
	log := newSettings("")
	opt.Log = slog.New(slog.NewTextHandler(log, nil))
	j := open(t, opt)
	defer j.Close()
	eventually(t, "a node with a lease may not submit", func() bool { return j.Allow() == nil })
	c.Servers[0].Freeze()
	eventually(t, "a node without a lease may submit", func() bool { return j.Allow() != nil })
	if err := j.Ready(); err == nil {
		t.Error("a node without a lease is ready")
	}
	eventually(t, "the end of the lease is not told", func() bool { return log.logged("this node's lease has ended") == 1 })
	if why := j.Ready().Error(); !strings.Contains(why, "lease ended") || !strings.Contains(why, "straks doctor") || strings.Contains(why, "\n") {
		t.Errorf("why it is not ready: %s", why)
	}
	if why := j.WhoHas("telco", 0); !strings.Contains(why, "no lease") {
		t.Errorf("why it has no bind: %q", why)
	}
	c.Servers[0].Thaw()
	eventually(t, "the lease is not renewed", func() bool { return j.Ready() == nil && log.logged("this node's lease is renewed again") > 0 })
}

// TestReadyAfterOutage: a node whose write failed is ready again once the database is back, though nobody brings it an order: a load
// balancer does not, while it is not ready.
func TestReadyAfterOutage(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	opt.Lease = 8 * time.Second // it may end meanwhile
	j := open(t, opt)
	defer j.Close()
	if err := c.Servers[0].Stop(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := j.Accept(t.Context(), order("k")); !errors.Is(err, orders.ErrUnavailable) {
		t.Fatalf("without a database: %v", err)
	}
	if _, err := j.Apply(t.Context(), []orders.Event{orders.Report{Carrier: "telco", Refs: []string{"r"}, At: time.Now().UTC(), Status: orders.SMSDelivered}}); !errors.Is(err, orders.ErrUnavailable) {
		t.Fatalf("without a database: %v", err)
	}
	if j.orders.state() == nil || j.facts.state() == nil {
		t.Fatal("the writers don't know")
	}
	if err := c.Servers[0].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it does not get ready", func() bool { return j.Ready() == nil })
}

func (j *Journal) write(t *testing.T, sql string) error {
	_, err := j.pool.Exec(t.Context(), sql)
	return err
}

// TestAnyText: clients send U+0000, and SMSCs octets that are no UTF-8.
func TestAnyText(t *testing.T) {
	t.Parallel()
	opt := made(t)
	j := open(t, opt)
	in := order("key\x00\xff")
	in.SendersReference = "ref\x00\xfe\xff"
	s, _, err := j.Accept(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	ref := "\x00id\xf0"
	for _, e := range []orders.Event{
		orders.Report{Carrier: "telco", Refs: []string{ref, strings.Repeat("\xff", 300)}, At: in.At, Status: orders.SMSDelivered, Detail: "\x00\xffDELIVRD", Recipient: "\x00\xff"},
		orders.Answer{Shipment: s.ID, Claim: s.Claim, At: in.At, Outcome: handover.Accepted, Carrier: "telco", Total: 1, Detail: "\x00",
			Parts: []orders.PartAnswer{{Refs: []string{ref}, Taken: true}}},
		orders.Block{Organisation: "ttd", Channel: orders.Email, Recipient: "\x00\xff@example.org", At: in.At, Source: orders.BlockedByOperator, Reason: "\x00\xff", By: "\xff"},
	} {
		if _, err := j.Apply(t.Context(), []orders.Event{e}); err != nil {
			t.Fatalf("%T: %v", e, err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, opt)
	defer j.Close()
	got, err := j.Shipment(t.Context(), "ttd", s.ID)
	if err != nil || got.Status != orders.SMSDelivered || got.SendersReference != in.SendersReference || got.Detail != "\x00\xffDELIVRD" {
		t.Fatalf("%+v, %v", got, err)
	}
	page, err := j.Blocks(t.Context(), orders.BlockQuery{Limit: 10})
	if err != nil || len(page.Blocks) != 1 || page.Blocks[0].Reason != "\x00\xff" {
		t.Fatalf("%+v, %v", page, err)
	}
	// What the database can't store at all fails alone.
	bad := order("k2")
	bad.Organisation = "a\x00b"
	if _, _, err := j.Accept(t.Context(), bad); err == nil || errors.Is(err, orders.ErrUnavailable) {
		t.Errorf("an organisation that text does not take: %v", err)
	}
}

// TestDeadForLong: all nodes were down for long, and one that begins again takes orders before another one does. The claims of
// that one's former process are found all the same: by itself, or by the node that finds it dead.
func TestDeadForLong(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"it comes back": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opt := realTime(t)
			dies := open(t, opt)
			in := order("k")
			in.At = in.At.Add(-time.Hour)
			in.Shipment = firstID(in.At)
			in.Shipment[6] |= 0x70
			if _, _, err := dies.Accept(t.Context(), in); err != nil {
				t.Fatal(err)
			}
			if _, err := dies.pool.Exec(t.Context(), "update nodes set expires = now() - interval '1 hour', holder = gen_random_uuid()"); err != nil {
				t.Fatal(err)
			}
			dies.kill()
			finds := open(t, node(opt, 2))
			defer finds.Close()
			if _, _, err := finds.Accept(t.Context(), order("newer")); err != nil {
				t.Fatal(err)
			}
			if back {
				finds = open(t, opt)
				defer finds.Close()
			}
			eventually(t, "the claim is not found", func() bool {
				left, err := finds.Abandoned(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return len(left) == 1 && left[0].ID == in.Shipment
			})
			_, err := finds.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: in.Shipment, Claim: in.Claim, At: time.Now().UTC(), Outcome: handover.Unknown, Total: 1}})
			if left, more := finds.Abandoned(t.Context()); err != nil || more != nil || len(left) > 0 || !finds.lease.firstDeath().IsZero() {
				t.Errorf("then: %v, %v, %v", left, err, more)
			}
		})
	}
}

// TestClockIsSet: a node whose clock is set goes on with the time of the database.
func TestClockIsSet(t *testing.T) {
	t.Parallel()
	j := open(t, made(t))
	defer j.Close()
	now := time.Now()
	synctest.Test(t, func(t *testing.T) { // where it is another year
		if off := j.Now().Sub(now); off < -time.Minute || off > time.Hour {
			t.Errorf("the clock of this machine is off by %v, and that of the journal too: %v", time.Until(now), off)
		}
	})
}
