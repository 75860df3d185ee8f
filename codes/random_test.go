package codes_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/codes"
	"straks/orders"
)

// expected is what the model knows of a verification.
type expected struct {
	id             uuid.UUID
	code           string
	left           int
	status         codes.Status
	expires, ended time.Time
	messages       int
	sent           time.Time
	wrongAfter     bool
	before         time.Time // until when the one before it could be used: it can again where the clock was set back
}

// alone reports whether no other verification of the recipient is pending, or has ended later.
func (e *expected) alone(now time.Time) bool {
	ended := e.ended
	if e.at(now) == codes.Expired {
		ended = e.expires
	}
	return !e.before.After(now) && (e.at(now) == codes.Pending || !e.before.After(ended))
}

func (e *expected) at(now time.Time) codes.Status {
	if e.status == codes.Pending && !now.Before(e.expires) {
		return codes.Expired
	}
	return e.status
}

// check returns what an attempt must come to, and counts it.
func (e *expected) check(right bool, now time.Time) codes.Status {
	switch {
	case e.status == codes.Approved && right && !e.wrongAfter && now.Sub(e.ended).Abs() <= codes.DoubleClick:
		return "approved again"
	case e.status == codes.Approved && !right && now.Sub(e.ended).Abs() <= codes.DoubleClick:
		e.wrongAfter = true
		return "ended"
	case e.at(now) != codes.Pending:
		return "ended"
	case right:
		e.left--
		e.status, e.ended = codes.Approved, now
		return "approved again"
	}
	if e.left--; e.left == 0 {
		e.status, e.ended = codes.Exhausted, now
		return "ended"
	}
	return codes.Pending
}

// TestRandom compares two services over one store, as two nodes have them, with a model: calls of all kinds, restarts,
// and clocks that are set.
func TestRandom(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	w := newWorld(t)
	nodes := []*codes.Service{w.Service, w.handle()}
	model := make([]*expected, 30)            // by recipient
	approved := make(map[uuid.UUID]time.Time) // when each was first
	for step := range 1500 {
		n := rng.IntN(len(model))
		to := orders.Recipient(fmt.Sprintf("+47999%05d", n))
		e, node, now := model[n], nodes[rng.IntN(2)], w.clock()
		fail := func(got any, err error) {
			t.Helper()
			t.Fatalf("step %d, recipient %d: %+v %v; model %+v at %v", step, n, got, err, e, now)
		}
		switch op := rng.IntN(20); {
		case op < 5 && e != nil && !e.alone(now):
		case op < 5:
			r := request(fmt.Sprint(step))
			r.To[0].To = to
			r.Attempts = 1 + rng.IntN(5)
			st, err := node.Start(t.Context(), r)
			if err != nil {
				fail(st, err)
			}
			if e == nil || e.at(now) != codes.Pending {
				before := time.Time{}
				if e != nil {
					before = e.expires
				}
				e = &expected{before: before, id: st.ID, left: r.Attempts, status: codes.Pending, expires: now.Add(r.TTL), messages: 1, sent: now, code: code(t, w.sms)}
				model[n] = e
				if !st.Created {
					fail(st, nil)
				}
			} else if now.Sub(e.sent).Abs() >= r.ResendAfter && e.messages < codes.MaxMessages {
				e.messages, e.sent = e.messages+1, now
				if code(t, w.sms) != e.code {
					fail("another code", nil)
				}
			}
			if st.ID != e.id || len(st.Channels) != e.messages || st.Left() != e.left || st.Status != e.at(now) {
				fail(st, nil)
			}
		case e == nil:
		case op < 13:
			right := rng.IntN(3) == 0
			typed := e.code
			if !right {
				typed = wrong(typed)
			}
			got, err := checkEither(t, node, e.id, to, typed, rng.IntN(2) == 0 || !e.alone(now))
			want := e.check(right, now)
			var ended *codes.EndedError
			switch {
			case want == "ended" && (!errors.As(err, &ended) || ended.Status != e.at(now)):
				fail(got, err)
			case want == "approved again" && (err != nil || got.Status != codes.Approved):
				fail(got, err)
			case want == codes.Pending && (err != nil || got.Status != codes.Pending || got.AttemptsLeft != e.left):
				fail(got, err)
			}
			if err == nil && got.Status == codes.Approved {
				if first, ok := approved[e.id]; ok && now.Sub(first).Abs() > codes.DoubleClick {
					fail("approved twice", nil)
				} else if !ok {
					approved[e.id] = now
				}
			}
		case op < 14:
			err := node.Cancel(t.Context(), "ttd", e.id)
			if was := e.at(now); was == codes.Pending {
				e.status, e.ended = codes.Cancelled, now
			} else if (err == nil) != (was == codes.Cancelled) {
				fail("cancelled", err)
			}
		case op < 15 && rng.IntN(5) == 0:
			w.restart()
			nodes = []*codes.Service{w.Service, w.handle()}
		default:
			w.pass(time.Duration(rng.IntN(int(time.Minute))) - 10*time.Second) // sometimes backwards
		}
	}
}

// checkEither checks a code by id or by recipient.
func checkEither(t *testing.T, node *codes.Service, id uuid.UUID, to orders.Recipient, typed string, byID bool) (codes.Checked, error) {
	if byID {
		return node.CheckCode(t.Context(), "ttd", id, typed)
	}
	return node.CheckRecipient(t.Context(), "ttd", codes.Address{Channel: orders.SMS, To: to}, "", typed)
}
