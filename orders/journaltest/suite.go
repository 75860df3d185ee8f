// Package journaltest is what an orders.Journal must do, as tests that any
// engine runs over itself:
//
//	func TestJournal(t *testing.T) { journaltest.Run(t, engine) }
//
// Each test opens a store of its own, and asks the engine's Check, where it
// has one, after what it did. Random runs compare the engine with the ledger over a store in memory
// (model.go): both have the same rules, and the engine must store what they change. A run that fails
// logs its seed, and STRAKS_SEED repeats it.
package journaltest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

// Engine is how the suite gets at a journal.
type Engine struct {
	// Open opens the store that dir stands for; the first time it makes one.
	// The suite closes what it opened before it opens dir again.
	Open func(t *testing.T, dir string) orders.Journal
	// Second returns a second handle on the store of dir, which is open. The suite closes it
	// before the first. An engine whose store has one handle only may return that again, with a
	// Close that does nothing.
	Second func(t *testing.T, dir string) orders.Journal
	// Check walks the invariants of an open journal. May be nil.
	Check func(orders.Journal) error
}

// Run runs the suite.
func Run(t *testing.T, e Engine) {
	for name, test := range map[string]func(*fixture){
		"accept/stored":             acceptStored,
		"accept/repeated":           acceptRepeated,
		"accept/known key":          acceptKnownKey,
		"accept/known":              acceptKnown,
		"accept/same moment":        acceptSameMoment,
		"accept/free key":           acceptFreeKey,
		"accept/free key, old":      acceptFreeKeyOld,
		"accept/keys are scoped":    acceptScoped,
		"accept/blocked":            acceptBlocked,
		"blocks":                    blocks,
		"find":                      find,
		"forget":                    forget,
		"cursors":                   cursors,
		"cursors/refused":           cursorsRefused,
		"accept/blocks in disorder": acceptBlocksInDisorder,
		"accept/context":            acceptContext,
		"accept/held":               acceptHeld,
		"answer/outcomes":           answerOutcomes,
		"answer/other claim":        answerOtherClaim,
		"answer/late":               answerLate,
		"answer/unknown shipment":   answerUnknownShipment,
		"apply/undecided":           applyUndecided,
		"report/after answer":       reportAfterAnswer,
		"report/before answer":      reportBeforeAnswer,
		"report/repeated":           reportRepeated,
		"report/better one waits":   reportBetterWaits,
		"report/several refs":       reportSeveralRefs,
		"report/second id":          reportSecondID,
		"report/lesser ref":         reportLesserRef,
		"report/older than order":   reportOlderThanOrder,
		"report/reused ref":         reportReusedRef,
		"report/reused ref early":   reportReusedEarly,
		"report/hint":               reportHint,
		"report/parts":              reportParts,
		"report/unverified":         reportUnverified,
		"report/batch":              reportBatch,
		"reuse/early":               reuseEarly,
		"reuse/repeat":              reuseRepeat,
		"reuse/first word":          reuseFirstWord,
		"reuse/settled only":        reuseSettledOnly,
		"reuse/orphan":              reuseOrphan,
		"reuse/odd number":          reuseOddNumber,
		"reuse/after deadline":      reuseAfterDeadline,
		"reuse/parts":               reuseParts,
		"reuse/lesser ref":          reuseLesser,
		"reuse/answer lost":         reuseAnswerLost,
		"reuse/random":              reuseRandom,
		"deadline/due":              deadlineDue,
		"deadline/settled":          deadlineSettled,
		"deadline/correction":       deadlineCorrection,
		"deadline/nearer":           deadlineNearer,
		"deadline/in flight":        deadlineInFlight,
		"feed/order":                feedOrder,
		"feed/final only":           feedFinalOnly,
		"feed/beyond":               feedBeyond,
		"feed/organisations":        feedOrganisations,
		"feed/never filled later":   feedNeverFilledLater,
		"two/accept":                twoAccept,
		"two/answer meets report":   twoMeet,
		"two/claims":                twoClaims,
		"two/blocks":                twoBlocks,
		"two/followers":             twoFollowers,
		"two/random":                twoRandom,
		"unanswered/abandoned":      unansweredAbandoned,
		"unanswered/clock ahead":    unansweredClockAhead,
		"unanswered/by reference":   unansweredByReference,
		"unanswered/by recipient":   unansweredByRecipient,
		"unanswered/two":            unansweredTwo,
		"unanswered/fits":           unansweredFits,
		"unanswered/reports":        unansweredReports,
		"unanswered/in flight":      unansweredInFlight,
		"unanswered/random":         unansweredRandom,
		"mail/reports":              mailReports,
		"mail/before answer":        mailBeforeAnswer,
		"mail/parked":               mailParked,
		"mail/keys":                 mailKeys,
		"mail/wait":                 mailWait,
		"mail/order":                mailOrder,
		"suppression/times":         suppressionTimes,
		"suppression/success":       suppressionSuccess,
		"suppression/operator":      suppressionOperator,
		"suppression/wrong":         suppressionWrong,
		"sweep/retention":           sweepRetention,
		"sweep/parked":              sweepParked,
		"sweep/unsettled":           sweepUnsettled,
		"sweep/own retention":       sweepOwn,
		"sweep/own, changed":        sweepOwnChanged,
		"sweep/own, unsettled":      sweepOwnUnsettled,
		"sweep/own, clock":          sweepOwnClock,
		"sweep/own, random":         sweepOwnRandom,
		"restart":                   restart,
		"random":                    random,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &fixture{T: t, engine: e, dir: t.TempDir(), now: time.Date(2026, 2, 4, 11, 33, 9, 649920000, time.UTC)}
			f.j = e.Open(t, f.dir)
			defer func() {
				for _, end := range f.atEnd {
					end()
				}
				f.j.Close()
			}()
			test(f)
			f.check()
		})
	}
}

// fixture is an open journal and a clock that stands still unless moved.
type fixture struct {
	*testing.T
	engine Engine
	dir    string
	j      orders.Journal
	now    time.Time
	atEnd  []func() // before the journal is closed
}

const (
	org   = "ttd"
	claim = 10 * time.Second // how long the claim of an order lasts
)

func ctx() context.Context { return context.Background() }

// reopen closes the journal and opens it again.
func (f *fixture) reopen() {
	f.Helper()
	if err := f.j.Close(); err != nil {
		f.Fatalf("close: %v", err)
	}
	f.j = f.engine.Open(f.T, f.dir)
}

func (f *fixture) check() {
	f.Helper()
	if f.engine.Check == nil || f.Failed() {
		return
	}
	if err := f.engine.Check(f.j); err != nil {
		f.Fatalf("check: %v", err)
	}
}

func (f *fixture) pass(d time.Duration) { f.now = f.now.Add(d) }

// id returns a UUIDv7 of the fixture's time.
func (f *fixture) id() uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	ms := f.now.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	return id
}

func (f *fixture) acceptRequest(key string) orders.AcceptRequest {
	return orders.AcceptRequest{
		Shipment: f.id(), OrderID: uuid.New(), Claim: uuid.New(), Key: key, At: f.now, ClaimFor: claim,
		Organisation: org, SendersReference: "ref-" + key, Channel: orders.SMS,
		Recipient: "+4799999999", TTL: 5 * time.Minute, Cost: orders.Cost{Parts: 2, Amount: 900_000, Class: "+47"},
	}
}

func (f *fixture) accept(in orders.AcceptRequest) (orders.Shipment, bool) {
	f.Helper()
	s, claimed, err := f.j.Accept(ctx(), in)
	if err != nil {
		f.Fatalf("accept: %v", err)
	}
	return s, claimed
}

// sent returns a shipment that was just claimed.
func (f *fixture) sent(key string) orders.Shipment {
	f.Helper()
	s, claimed := f.accept(f.acceptRequest(key))
	if !claimed {
		f.Fatalf("key %q was known", key)
	}
	return s
}

// taken returns a shipment of one part that the carrier took under ref.
func (f *fixture) taken(key, ref string) orders.Shipment {
	f.Helper()
	return f.apply(f.answer(f.sent(key), handover.Accepted, ref)).Shipment
}

// answer makes an answer of one part.
func (f *fixture) answer(s orders.Shipment, o handover.Outcome, refs ...string) orders.Answer {
	a := orders.Answer{Shipment: s.ID, Claim: s.Claim, At: f.now, Outcome: o, Carrier: "telco", Total: 1}
	if o == handover.Accepted || o == handover.Unknown {
		a.Parts = []orders.PartAnswer{{Refs: refs, Taken: o == handover.Accepted}}
	}
	return a
}

func (f *fixture) report(status orders.Status, refs ...string) orders.Report {
	return orders.Report{Carrier: "telco", Refs: refs, At: f.now, Status: status}
}

func (f *fixture) apply(e orders.Event) orders.Effect {
	f.Helper()
	effects, err := f.j.Apply(ctx(), []orders.Event{e})
	if err != nil || len(effects) != 1 {
		f.Fatalf("apply %T: %d effects, %v", e, len(effects), err)
	}
	f.check()
	return effects[0]
}

func (f *fixture) status(id uuid.UUID, want orders.Status) orders.Shipment {
	f.Helper()
	s, err := f.j.Shipment(ctx(), org, id)
	if err != nil {
		f.Fatalf("shipment: %v", err)
	}
	if s.Status != want {
		f.Fatalf("status %v, want %v", s.Status, want)
	}
	return s
}

// feed returns all statuses in the organisation's feed.
func (f *fixture) feed(organisation string) (all []orders.Status) {
	f.Helper()
	for seq := uint64(0); ; {
		page, err := f.j.Feed(ctx(), orders.FeedQuery{Organisation: organisation, Seq: seq, Limit: 500})
		if err != nil {
			f.Fatalf("feed: %v", err)
		}
		if len(page) == 0 {
			return all
		}
		for _, e := range page {
			all = append(all, e.Shipment.Status)
			seq = e.Seq
		}
	}
}

func (f *fixture) wantFeed(want ...orders.Status) {
	f.Helper()
	got := f.feed(org)
	if len(got) != len(want) {
		f.Fatalf("feed %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			f.Fatalf("feed %v, want %v", got, want)
		}
	}
}
