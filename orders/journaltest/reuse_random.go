package journaltest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"straks/internal/handover"
	"straks/orders"
)

// world is a carrier with few message ids, and what is true of its messages.
type world struct {
	*fixture
	*rand.Rand
	ids      int
	named    bool          // its receipts name the recipient
	echo     bool          // they bear the user reference, which comes round too
	date     time.Duration // the unit of their submit dates; 0: they have none
	sent     int           // messages; each has the next user reference, of 16
	happened []happening
	truth    map[uuid.UUID]orders.Status
}

type happening struct {
	at time.Time
	do func(at time.Time)
}

// reuseRandom plays a carrier that gives its ids again and again, whose receipts
// come early, late and often, and asks that each message ends as it did.
func reuseRandom(f *fixture) {
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("STRAKS_SEED"), 10, 64); err == nil {
		seed = s
	}
	defer func() {
		if f.Failed() {
			f.Logf("STRAKS_SEED=%d", seed)
		}
	}()
	w := &world{fixture: f, Rand: rand.New(rand.NewPCG(seed, 0)), truth: make(map[uuid.UUID]orders.Status)}
	w.ids, w.named, w.echo = 1+w.IntN(5), w.IntN(3) > 0, w.IntN(2) == 0
	w.date = []time.Duration{0, time.Second, time.Minute}[w.IntN(3)]
	if !w.named && w.date == 0 {
		w.date = time.Second
	}
	next := make([]time.Time, w.ids) // when each id is given again
	for i := range next {
		next[i] = f.now.Add(time.Duration(i) * time.Minute)
	}
	for n := range 60 {
		id := n % w.ids
		from := next[id]
		next[id] = from.Add(time.Duration(150+w.IntN(600)) * time.Second)
		w.message(n, fmt.Sprint("m", id), from, next[id])
	}
	w.play()
	f.pass(day)
	f.expire()
	for id, want := range w.truth {
		if got, err := f.j.Shipment(ctx(), org, id); err != nil || got.Status != want {
			f.Fatalf("ids %d, named %v, date %v: %v ended as %v, %v, want %v", w.ids, w.named, w.date, id, got.Status, err, want)
		}
	}
}

// message has a message be sent and reported, its id being its own until the given time.
func (w *world) message(n int, id string, from, until time.Time) {
	key := fmt.Sprint("k", n)
	in := w.intake(key)
	in.At, in.TTL = from, 10*time.Minute
	in.Recipient = orders.Recipient(fmt.Sprintf("+4790%06d", w.IntN(2)))
	if w.date == 0 { // else nothing tells it from the one before
		in.Recipient = orders.Recipient("+4791" + fmt.Sprintf("%06s", key[1:]))
	}
	var s orders.Shipment
	var user string
	w.at(from, func(time.Time) {
		s, _ = w.accept(in)
		user = fmt.Sprint("u", w.sent%16)
		w.sent++
	})

	answered := from.Add(w.upTo(8 * time.Second))
	r := orders.Report{Carrier: "telco", Refs: []string{id}, Status: []orders.Status{orders.SMSDelivered, orders.SMSFailedUndelivered}[w.IntN(2)]}
	if w.named {
		r.Recipient = in.Recipient[1:]
	}
	if w.date > 0 {
		r.Submitted = from.Add(time.Hour).Truncate(w.date)
	}
	answer := func(outcome handover.Outcome, late bool) func(time.Time) {
		return func(at time.Time) {
			a := w.answer(s, outcome, id)
			if outcome == handover.Unknown {
				a = w.answer(s, outcome, user)
			}
			a.At = at
			if late {
				a.Claim = uuid.Nil
			}
			w.event(a)
			w.truth[s.ID] = r.Status
		}
	}
	if w.echo && w.IntN(3) == 0 { // the SMSC took its time, or lost the answer
		w.at(answered, answer(handover.Unknown, false))
		if w.IntN(2) == 0 {
			w.at(answered.Add(w.upTo(30*time.Second)), answer(handover.Accepted, true))
		}
	} else {
		w.at(answered, answer(handover.Accepted, false))
	}
	told := from.Add(time.Second + w.upTo(answered.Sub(from)+time.Minute))
	report := func(at time.Time) {
		r := r
		r.At = at
		if w.echo {
			r.Refs = []string{id, user}
		}
		w.event(r)
	}
	w.at(told, report)
	for range w.IntN(4) { // again, be it when the id is another's already
		w.at(told.Add(w.upTo(until.Add(2*time.Minute).Sub(told))), report)
	}
}

func (w *world) upTo(d time.Duration) time.Duration { return time.Duration(w.Int64N(int64(d))) }

func (w *world) at(t time.Time, do func(at time.Time)) {
	w.happened = append(w.happened, happening{t.Truncate(time.Microsecond), do})
}

// event applies it, sometimes twice.
func (w *world) event(e orders.Event) {
	w.apply(e)
	if w.IntN(5) == 0 {
		w.apply(e)
	}
}

// play lets everything happen, in order and over restarts.
func (w *world) play() {
	slices.SortStableFunc(w.happened, func(a, b happening) int { return a.at.Compare(b.at) })
	for _, h := range w.happened {
		w.now = h.at
		h.do(h.at)
		if w.IntN(20) == 0 {
			w.reopen()
		}
	}
}
