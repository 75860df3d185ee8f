package silence

import (
	"testing"
	"time"
)

// history plays messages and answers to a tracker at given times.
type history struct {
	Tracker
	now time.Time
}

func newHistory() *history { return &history{New(4 * time.Second), time.Unix(1e9, 0)} }

func (h *history) after(d time.Duration) { h.now = h.now.Add(d) }
func (h *history) send()                 { h.Sent(h.now) }

func (h *history) answer(took time.Duration) { h.Answered(h.now, took, true) }

func (h *history) want(t *testing.T, what string, silent bool, overdue time.Duration) {
	t.Helper()
	if s, o := h.Silent(h.now), h.Overdue(h.now); s != silent || o != overdue {
		t.Errorf("%s: silent %v, overdue %v; want %v, %v", what, s, o, silent, overdue)
	}
}

func TestNobodyIsOwedAnAnswer(t *testing.T) {
	h := newHistory()
	h.want(t, "new", false, 0)
	h.send()
	h.answer(0)
	h.after(time.Hour)
	h.want(t, "idle", false, 0)
	h.send()
	h.want(t, "after the pause", false, 0)
	h.Lost(h.now, 1)
	h.after(time.Hour)
	h.want(t, "nothing was sent", false, 0)
}

func TestSilence(t *testing.T) {
	h := newHistory()
	h.send()
	h.after(time.Second)
	h.send()
	h.after(3 * time.Second)
	h.want(t, "in time", false, 0)
	h.after(time.Second)
	h.want(t, "late", true, 5*time.Second)
	h.answer(5 * time.Second)
	h.want(t, "answered", false, 0)
	h.after(5 * time.Second)
	h.want(t, "the slow one is the measure", false, 0)
}

// Of a stream of messages one answer is lost, and then half of them.
func TestLostAnswersAreNoSilence(t *testing.T) {
	h := newHistory()
	h.send()
	for i := range 1000 {
		h.send()
		h.after(100 * time.Millisecond)
		if i%2 == 0 {
			h.answer(100 * time.Millisecond)
		}
		if i > 100 && i%2 == 1 {
			h.Missed()
		}
		h.want(t, "answers come", false, 0)
	}
}

// A single answer is lost. While it is awaited, nobody knows; then it was only one.
func TestLoneLostAnswer(t *testing.T) {
	h := newHistory()
	h.send()
	h.after(9 * time.Second)
	h.want(t, "awaited", true, 9*time.Second)
	h.Missed()
	h.want(t, "given up", false, 0)
	h.after(time.Minute)
	h.send()
	h.want(t, "the next", false, 0)
	h.after(10 * time.Second)
	h.Missed()
	h.want(t, "two in a row", true, 10*time.Second)
}

// For a carrier that takes two seconds, or three now and then, none of them is a silence.
func TestSlowCarrier(t *testing.T) {
	h := newHistory()
	for i := range 100 {
		took := 2 * time.Second
		if i%5 == 0 {
			took = 3 * time.Second
		}
		h.send()
		for range 30 {
			h.after(took / 30)
			h.want(t, "slow", false, 0)
		}
		h.answer(took)
	}
	h.send()
	h.after(5 * time.Second)
	h.want(t, "slower than usual", false, 0)
	h.after(2 * time.Second)
	h.want(t, "silent", true, 7*time.Second)
}

// An outage does not make the tracker patient for long, nor without a bound.
func TestPatienceHasABound(t *testing.T) {
	h := newHistory()
	h.send()
	h.after(time.Hour)
	h.answer(time.Hour)
	h.send()
	h.after(17 * time.Second)
	h.want(t, "soon after", true, 17*time.Second)
	h.answer(0)
	for range 100 {
		h.send()
		h.answer(0)
	}
	h.send()
	h.after(5 * time.Second)
	h.want(t, "later", true, 5*time.Second)
}

// probes counts the messages let through in a time, when one comes every tenth of a second.
func (h *history) probes(d time.Duration, replaced bool) (n int) {
	for ; d > 0; d -= 100 * time.Millisecond {
		if h.Due(h.now, replaced) {
			h.Probed(h.now)
			h.send()
			n++
		}
		h.after(100 * time.Millisecond)
	}
	return n
}

func TestProbes(t *testing.T) {
	h := newHistory()
	h.send()
	h.after(10 * time.Second)
	if n := h.probes(20*time.Second, false); n != 20 {
		t.Errorf("%d in 20 s", n)
	}
	if n := h.probes(90*time.Second, true); n != 2 && n != 3 {
		t.Errorf("%d in 90 s, while another carrier takes the messages", n)
	}
}

// Nothing is sent any more: it is worth an attempt, and its failure shows at once.
func TestReadyAgainUntilTheNextAttempt(t *testing.T) {
	h := newHistory()
	h.send()
	h.send()
	h.after(10 * time.Second)
	h.Missed()
	h.Missed()
	h.after(20 * time.Second)
	h.want(t, "given up", true, 30*time.Second)
	h.after(time.Second)
	h.want(t, "worth an attempt", true, 0)
	h.send()
	h.want(t, "the attempt", true, 31*time.Second)
	h.answer(0)
	h.want(t, "answered", false, 0)
}

func TestRestarted(t *testing.T) {
	h := newHistory()
	h.send()
	h.after(5 * time.Second)
	h.Probed(h.now)
	h.Lost(h.now, 1)
	h.want(t, "the session is lost", true, 5*time.Second)
	h.Restarted()
	h.want(t, "there is another", true, 0)
	if !h.Due(h.now, false) || !h.Due(h.now, true) {
		t.Error("no attempt is allowed")
	}
}

func TestErrorText(t *testing.T) {
	h := newHistory()
	h.send()
	h.after(5900 * time.Millisecond)
	if got := h.NewError("telco", h.now).Error(); got != "telco does not answer (5 s overdue)" {
		t.Error(got)
	}
}
