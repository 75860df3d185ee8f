package journaltest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"straks/internal/cost"
	"straks/internal/handover"
	"straks/orders"
)

// dice are the chances of a random run. A run that fails logs its seed, and the
// same seed in STRAKS_SEED repeats it.
func (f *fixture) dice() *rand.Rand {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("STRAKS_SEED"), 10, 64); err == nil {
		seed = s
	}
	f.Cleanup(func() {
		if f.Failed() {
			f.Logf("STRAKS_SEED=%d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// random runs random calls against the journal and the model, and compares
// what they answer and what they then hold.
func random(f *fixture) { randomOver(f, nil) }

// twoRandom is random over two handles: half of the facts and look-ups come over the second one, which stays open.
func twoRandom(f *fixture) { randomOver(f, f.handles()[1]) }

func randomOver(f *fixture, second orders.Journal) {
	r := &run{fixture: f, Rand: f.dice(), model: newModel(), second: second}
	r.ids = []int{1 << 30, 64, 8}[r.IntN(3)]
	restless := r.IntN(10) == 0 && second == nil // opens the journal again and again
	for range 400 {
		if restless && r.IntN(4) == 0 {
			r.reopen()
		}
		switch n := r.IntN(100); {
		case n < 25:
			r.place()
		case n < 55:
			r.answerOne()
		case n < 84:
			r.reportOne()
		case n < 88:
			r.again()
		case n < 90:
			r.forgetOne()
		case n < 96:
			r.pass(time.Duration(r.IntN(90)) * time.Second)
			if r.IntN(8) == 0 {
				r.pass(time.Duration(r.IntN(120)) * time.Minute)
			}
			r.expireAll()
		case n < 98:
			r.compare()
		case n < 99:
			r.matchAll()
		case second != nil:
			r.matchAll()
		default:
			r.reopen()
			if r.IntN(3) == 0 {
				r.endClaims()
			}
			r.matchAll()
		}
	}
	r.compare()
	r.pass(time.Hour)
	r.expireAll()
	r.compare()
}

// run is a fixture with dice and the model.
type run struct {
	*fixture
	*rand.Rand
	model  *model
	second orders.Journal    // nil: there is one handle
	ids    int               // message ids that the carrier has
	claims []orders.Shipment // as Accept returned them
	events []orders.Event    // all so far
}

var outcomes = []handover.Outcome{handover.NotSent, handover.Accepted, handover.Accepted, handover.Accepted, handover.Refused, handover.Unknown}

func (r *run) place() {
	in := r.acceptRequest(fmt.Sprint("k", r.IntN(60)))
	in.Recipient, in.Total = numbers[r.IntN(len(numbers))], r.IntN(4)
	if r.IntN(4) == 0 {
		in.Channel, in.Recipient, in.Total = orders.Email, addresses[r.IntN(len(addresses))], 1
	}
	var known bool
	var err error
	r.either(func() { _, known, err = r.j.Known(ctx(), org, in.Key, in.At) })
	if err != nil {
		r.Fatal(err)
	}
	got, claimed := r.accept(in)
	want, wantClaimed := r.model.accept(in)
	r.same("known", known, !wantClaimed)
	r.same("accept", got, want)
	r.same("claimed", claimed, wantClaimed)
	if claimed {
		r.claims = append(r.claims, got)
	}
}

func (r *run) answerOne() {
	if len(r.claims) == 0 {
		return
	}
	s := r.claims[max(len(r.claims)-1-r.IntN(8), 0)]
	a := orders.Answer{
		Shipment: s.ID, Claim: s.Claim, At: r.now, Carrier: "telco",
		Outcome: outcomes[r.IntN(len(outcomes))], Total: 1 + r.partsOf(s), Detail: fmt.Sprint("d", r.IntN(3)),
		Trace: r.trace(),
	}
	if r.IntN(6) == 0 {
		a.Claim = uuid.Nil
	} else if r.IntN(2) == 0 {
		a.Cost = orders.Cost{Parts: a.Total, Amount: cost.Amount(r.IntN(1_000_000)), Class: []string{"", "home"}[r.IntN(2)]}
	}
	if r.model.shipments[s.ID].Status.Free() {
		a.Outcome, a.Claim = handover.NotSent, s.Claim // the last word of a claim
	}
	if a.Outcome == handover.Refused {
		a.Status = orders.SMSFailedRejected
	}
	if s.Channel == orders.Email {
		r.mailAnswer(&a)
	}
	for i := range a.Total {
		if s.Channel == orders.Email {
			break
		}
		if a.Outcome == handover.NotSent || r.IntN(5) == 0 {
			continue
		}
		pa := orders.PartAnswer{Index: i, Taken: a.Outcome == handover.Accepted || r.IntN(2) == 0}
		pa.Refs = r.refs(s, i, pa.Taken)
		a.Parts = append(a.Parts, pa)
	}
	r.event(a)
}

// trace returns how a hand-over went, as far as it did.
func (r *run) trace() (t orders.Trace) {
	if r.IntN(3) == 0 {
		return t
	}
	t.Bind = []string{"", "telco/2", "relay-7"}[r.IntN(3)]
	t.Encoding = []string{"", "gsm", "other"}[r.IntN(3)]
	last := time.Duration(0)
	for _, stage := range []*time.Duration{&t.Stored, &t.Slot, &t.Written, &t.Answered} {
		if last += time.Duration(r.Int64N(int64(time.Second))); r.IntN(4) > 0 {
			*stage = last
		}
	}
	return t
}

// partsOf makes one in three messages a long one, always the same.
func (r *run) partsOf(s orders.Shipment) int {
	if s.ID[15]%3 > 0 {
		return 0
	}
	return int(s.ID[14] % 3)
}

// refs returns the message id of a part (which is that of other parts too), its user
// reference, or both.
func (r *run) refs(s orders.Shipment, part int, id bool) (refs []string) {
	n := int(binary.BigEndian.Uint32(s.Claim[:4])) + part
	if id {
		refs = append(refs, fmt.Sprint(orders.IDPrefix, "m", n%r.ids))
	}
	if !id || r.IntN(3) == 0 {
		refs = append(refs, fmt.Sprint("u", n%(3*r.ids)))
	}
	return refs
}

var (
	numbers  = []orders.Recipient{"+4799999999", "+4790000000"}
	verdicts = []orders.Status{orders.SMSAccepted, orders.SMSDelivered, orders.SMSDelivered, orders.SMSDelivered, orders.SMSFailedUndelivered, orders.SMSFailedExpired}
	// sources are what receipts name as the recipient, dates by how much the carrier's
	// clock is off; 0 is no date.
	sources = []orders.Recipient{"", "4799999999", "4790000000", "4791111111", "2077"}
	dates   = []time.Duration{0, 0, time.Hour, time.Hour + time.Minute}
)

func (r *run) reportOne() {
	if len(r.claims) == 0 {
		return
	}
	s := r.claims[max(len(r.claims)-1-r.IntN(12), 0)]
	if s.Channel == orders.Email {
		r.event(r.mailReport(s))
		return
	}
	report := r.report(verdicts[r.IntN(len(verdicts))], r.refs(s, r.IntN(1+r.partsOf(s)), r.IntN(6) > 0)...)
	if r.IntN(8) == 0 { // another system's id before the message's own
		report.Refs, report.IDs = append([]string{fmt.Sprint("x", r.IntN(r.ids))}, report.Refs...), 2
	}
	report.Recipient = sources[r.IntN(len(sources))]
	report.Unverified = r.IntN(6) == 0
	if date := dates[r.IntN(len(dates))]; date > 0 {
		report.Submitted = s.Accepted.Add(date).Truncate(time.Second)
		if r.IntN(2) == 0 {
			report.Done = report.Submitted.Add(time.Duration(r.IntN(300)) * time.Second)
		}
	}
	report.ByRecipient, report.Whole = r.IntN(3) > 0, r.IntN(8) == 0
	if r.IntN(4) == 0 {
		report = echo(report, s, r.IntN(1+r.partsOf(s)))
	}
	r.event(report)
}

// again repeats an event, as callers and carriers do.
func (r *run) again() {
	if len(r.events) > 0 {
		r.event(r.events[max(len(r.events)-1-r.IntN(20), 0)])
	}
}

func (r *run) event(e orders.Event) {
	r.Helper()
	r.events = append(r.events, e)
	var got orders.Effect
	r.either(func() { got = r.apply(e) })
	want := r.model.apply(e)
	r.same(fmt.Sprintf("%T", e), got, want)
	if f, ok := e.(orders.Forget); ok && want.Shipment.Recipient == orders.Forgotten {
		r.model.forgotten(f.Shipment)
	}
}

// either runs a step over one of the handles.
func (r *run) either(step func()) {
	if r.second == nil || r.IntN(2) == 0 {
		step()
		return
	}
	r.on(r.second, step)
}

func (r *run) expireAll() {
	for {
		due, _ := r.due()
		if len(due) == 0 {
			return
		}
		for _, id := range due {
			r.event(orders.Expiry{Shipment: id, At: r.now})
		}
	}
}

// endClaims ends the claims of processes that have ended. The journal may know of the newest only.
func (r *run) endClaims() {
	r.Helper()
	left, err := r.j.Abandoned(ctx())
	if err != nil {
		r.Fatal(err)
	}
	known := make(map[uuid.UUID]bool)
	for _, s := range left {
		known[s.ID] = true
		r.same("abandoned", s, r.model.shipments[s.ID])
	}
	newest := time.Time{}
	for _, s := range r.model.shipments {
		if s.Accepted.After(newest) {
			newest = s.Accepted
		}
	}
	for id, s := range r.model.shipments {
		// A shipment that has expired since is settled: the journal may leave its claim out.
		if !s.ClaimUntil.IsZero() && !s.Status.Final() && s.Accepted.After(newest.Add(-time.Minute)) && !known[id] {
			r.Fatalf("claimed %v, and not among the abandoned: %+v", s.Accepted, s)
		}
		if known[id] && s.ClaimUntil.IsZero() {
			r.Fatalf("abandoned, but answered: %+v", s)
		}
	}
	for _, s := range left {
		r.event(orders.Answer{Shipment: s.ID, Claim: s.Claim, At: r.now, Outcome: handover.Unknown, Total: s.Total})
	}
}

// matchAll applies what is found for unanswered shipments, which must be what the model finds.
func (r *run) matchAll() {
	r.Helper()
	before := r.now.Add(-claim)
	found, err := r.j.Matches(ctx(), before, r.now, 1000)
	if err != nil {
		r.Fatal(err)
	}
	want := r.model.matches(before, r.now)
	for _, all := range [][]orders.Match{found, want} {
		slices.SortFunc(all, func(a, b orders.Match) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	if len(found) > 0 || len(want) > 0 {
		r.same("matches", found, want)
	}
	for _, m := range found {
		r.event(m)
	}
}

// compare holds everything that can be read against the model.
func (r *run) compare() {
	r.Helper()
	for id, want := range r.model.shipments {
		got, err := r.j.Shipment(ctx(), org, id)
		if err != nil {
			r.Fatal(err)
		}
		r.same("shipment", got, want)
		if r.now.Add(-time.Hour).After(want.Deadline) && !want.Status.Final() && !want.Status.Free() {
			r.Fatalf("%v past its deadline: Due forgot it", want.Status)
		}
	}
	r.compareBlocks()
	r.compareForgotten()
	r.compareFeed(false)
	r.compareFeed(true)
	r.beyond(org, uint64(len(r.model.feed))+1+r.Uint64N(1<<62), uint64(len(r.model.feed)))
}

func (r *run) compareFeed(finalOnly bool) {
	r.Helper()
	page, err := r.j.Feed(ctx(), orders.FeedQuery{Organisation: org, Limit: 1 << 20, FinalOnly: finalOnly})
	if err != nil {
		r.Fatal(err)
	}
	for i, want := range r.model.feed {
		if finalOnly && !want.Status.Final() {
			continue
		}
		if len(page) == 0 {
			r.Fatalf("the feed lacks entry %d", i+1)
		}
		got := page[0].Shipment
		if page[0].Seq != uint64(i+1) || got.ID != want.ID || got.Status != want.Status || !got.Updated.Equal(want.Updated) || got.Recipient != want.Recipient {
			r.Fatalf("feed entry %d: %d, %+v, want %+v", i+1, page[0].Seq, got, want)
		}
		page = page[1:]
	}
	if len(page) != 0 {
		r.Fatalf("the feed has %d entries more than the model", len(page))
	}
}

func (r *run) same(what string, got, want any) {
	r.Helper()
	if !reflect.DeepEqual(got, want) {
		r.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}
