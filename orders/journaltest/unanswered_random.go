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

// lossy is a carrier some of whose answers are lost, and a process that is killed now and then.
type lossy struct {
	*fixture
	*rand.Rand
	echo     bool // its receipts bear the user reference
	dates    bool
	zone     time.Duration
	messages []*lossyMessage
	happened []happening
}

// lossyMessage is what is true of one message.
type lossyMessage struct {
	in       orders.AcceptRequest
	s        orders.Shipment
	id       string
	status   orders.Status // of its receipts; zero where it never left
	alone    bool          // no other message has its recipient
	inFlight bool
	killed   bool // its process, before the answer
	answered bool
}

// unansweredRandom plays a lossy carrier. No message may end with another one's status. Where its receipt
// can be told from all others, by the user reference or the recipient, it ends with its own.
func unansweredRandom(f *fixture) {
	w := &lossy{fixture: f, Rand: f.dice()}
	w.echo, w.dates, w.zone = w.IntN(2) == 0, w.IntN(3) > 0, time.Duration(w.IntN(97)-48)*15*time.Minute
	at := f.now
	for n := range 50 {
		at = at.Add(time.Duration(w.IntN(15_000)) * time.Millisecond)
		w.message(n, at)
	}
	for range 4 {
		w.at(f.now.Add(time.Duration(w.Int64N(int64(at.Sub(f.now))))), w.kill)
	}
	w.play()
	f.pass(day)
	f.expire()
	for _, m := range w.messages {
		s, err := f.j.Shipment(ctx(), org, m.s.ID)
		if err != nil {
			f.Fatal(err)
		}
		want := m.status
		if want == 0 {
			want = orders.SMSFailedTTL
		}
		undecided := !m.answered && !m.alone && !w.echo && s.Status == orders.SMSFailedTTL
		if s.Status != want && !undecided {
			f.Fatalf("echo %v, dates %v: %s to %s (alone %v, answered %v, killed %v) ended as %v, want %v",
				w.echo, w.dates, m.id, string(m.in.Recipient), m.alone, m.answered, m.killed, s.Status, want)
		}
	}
}

func (w *lossy) at(t time.Time, do func(at time.Time)) {
	w.happened = append(w.happened, happening{t.Truncate(time.Microsecond), do})
}

func (w *lossy) upTo(d time.Duration) time.Duration { return time.Duration(w.Int64N(int64(d))) }

func (w *lossy) message(n int, at time.Time) {
	m := &lossyMessage{in: w.acceptRequest(fmt.Sprint("k", n)), id: fmt.Sprint("m", n), alone: w.IntN(2) == 0}
	m.in.At, m.in.TTL, m.in.Total = at, 10*time.Minute, 1
	m.in.Recipient = orders.Recipient(fmt.Sprintf("+4790%06d", w.IntN(3)))
	if m.alone {
		m.in.Recipient = orders.Recipient(fmt.Sprintf("+4791%06d", n))
	}
	m.status = []orders.Status{orders.SMSDelivered, orders.SMSFailedUndelivered}[w.IntN(2)]
	w.messages = append(w.messages, m)
	w.at(at, func(time.Time) {
		m.s, _ = w.accept(m.in)
		m.inFlight = true
	})
	answer := at.Add(w.upTo(5 * time.Second))
	switch w.IntN(4) {
	case 0: // no answer in time
		w.at(at.Add(5*time.Second), func(at time.Time) { w.ends(m, at, handover.Unknown) })
		if w.IntN(3) == 0 {
			m.status = 0 // it did not leave
		} else if w.IntN(2) == 0 {
			w.at(at.Add(5*time.Second+w.upTo(20*time.Second)), func(at time.Time) { w.late(m, at) })
		}
	default:
		w.at(answer, func(at time.Time) { w.ends(m, at, handover.Accepted) })
	}
	if m.status == 0 {
		return
	}
	told := at.Add(w.upTo(40 * time.Second))
	for range 1 + w.IntN(3) { // and repeats
		w.at(told, func(at time.Time) { w.report(m, at) })
		told = told.Add(w.upTo(30 * time.Second))
	}
}

// ends stores the answer of a hand-over, unless its process has ended.
func (w *lossy) ends(m *lossyMessage, at time.Time, o handover.Outcome) {
	if m.killed {
		return
	}
	m.inFlight, m.answered = false, o == handover.Accepted
	a := w.answer(m.s, o, m.id)
	if o == handover.Unknown {
		a.Parts[0].Refs = nil
	}
	a.At = at
	w.apply(a)
}

func (w *lossy) late(m *lossyMessage, at time.Time) {
	if m.killed {
		return
	}
	a := w.answer(m.s, handover.Accepted, m.id)
	a.At, a.Claim, m.answered = at, uuid.Nil, true
	w.apply(a)
}

func (w *lossy) report(m *lossyMessage, at time.Time) {
	r := w.from(m.in.Recipient, m.status, m.id)
	r.At = at
	if w.dates {
		dated(&r, m.in.At.Add(w.zone), at.Sub(m.in.At))
	}
	if w.echo {
		r = echo(r, m.s, 0)
	}
	w.apply(r)
}

// kill ends the process. The message of an order in flight may not have left.
func (w *lossy) kill(time.Time) {
	for _, m := range w.messages {
		if m.inFlight {
			m.inFlight, m.killed = false, true
		}
	}
	w.reopen()
	w.endClaims()
}

func (w *lossy) play() {
	slices.SortStableFunc(w.happened, func(a, b happening) int { return a.at.Compare(b.at) })
	for _, h := range w.happened {
		w.now = h.at
		h.do(h.at)
		w.match()
	}
	w.pass(time.Minute)
	w.match()
}

// match does as the service does: not while an order to the recipient is in flight.
func (w *lossy) match() {
	for _, found := range w.matches(w.now.Add(-claim)) {
		busy := slices.ContainsFunc(w.messages, func(m *lossyMessage) bool {
			return m.inFlight && m.in.Recipient.Number() == found.Recipient.Number()
		})
		if !busy {
			w.apply(found)
		}
	}
}
