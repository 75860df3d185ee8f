package journaltest

import (
	"fmt"
	"math/rand/v2"
	"slices"
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
	w := &world{fixture: f, Rand: f.dice(), truth: make(map[uuid.UUID]orders.Status)}
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

// message has a message be sent, answered and reported, its id being its own until
// the given time.
func (w *world) message(n int, id string, from, until time.Time) {
	m := &sending{world: w, id: id, in: w.acceptRequest(fmt.Sprint("k", n))}
	m.in.At, m.in.TTL = from, 10*time.Minute
	m.in.Recipient = orders.Recipient(fmt.Sprintf("+4790%06d", w.IntN(2)))
	if w.date == 0 { // else nothing tells it from the one before
		m.in.Recipient = orders.Recipient(fmt.Sprintf("+4791%06d", n))
	}
	w.at(from, m.accepted)

	answered := from.Add(w.upTo(8 * time.Second))
	m.r = orders.Report{Carrier: "telco", Refs: []string{id}, Status: []orders.Status{orders.SMSDelivered, orders.SMSFailedUndelivered}[w.IntN(2)]}
	if w.named {
		m.r.Recipient = m.in.Recipient[1:]
	}
	if w.date > 0 {
		m.r.Submitted = from.Add(time.Hour).Truncate(w.date)
	}
	if w.echo && w.IntN(3) == 0 { // the SMSC took its time, or lost the answer
		w.at(answered, m.unanswered)
		if w.IntN(2) == 0 {
			w.at(answered.Add(w.upTo(30*time.Second)), m.answeredLate)
		}
	} else {
		w.at(answered, m.answered)
	}
	told := from.Add(time.Second + w.upTo(answered.Sub(from)+time.Minute))
	w.at(told, m.reported)
	for range w.IntN(4) { // again, be it when the id is another's already
		w.at(told.Add(w.upTo(until.Add(2*time.Minute).Sub(told))), m.reported)
	}
}

// sending is one message on its way. What happens to it are its methods.
type sending struct {
	*world
	in   orders.AcceptRequest
	s    orders.Shipment // once it is accepted
	id   string          // in the SMSC's answer, and in its receipts
	user string          // its user reference, once it is accepted
	r    orders.Report
}

func (m *sending) accepted(time.Time) {
	m.s, _ = m.accept(m.in)
	m.user = fmt.Sprint("u", m.sent%16)
	m.sent++
}

func (m *sending) answered(at time.Time) {
	m.settle(at, m.answer(m.s, handover.Accepted, m.id))
}

func (m *sending) answeredLate(at time.Time) {
	a := m.answer(m.s, handover.Accepted, m.id)
	a.Claim = uuid.Nil
	m.settle(at, a)
}

func (m *sending) unanswered(at time.Time) {
	m.settle(at, m.answer(m.s, handover.Unknown, m.user))
}

func (m *sending) settle(at time.Time, a orders.Answer) {
	a.At = at
	m.event(a)
	m.truth[m.s.ID] = m.r.Status
}

func (m *sending) reported(at time.Time) {
	r := m.r
	r.At = at
	if m.echo {
		r.Refs = []string{m.id, m.user}
	}
	m.event(r)
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
