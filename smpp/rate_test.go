package smpp

import (
	"math"
	"testing"
	"time"
)

// take spends the next token if it comes within most, and returns the wait for it.
func take(r *rate, now time.Time, most time.Duration) (wait time.Duration, ok bool) {
	r.grow(now)
	if wait = r.wait(now); wait > most {
		return wait, false
	}
	r.spend(now.Add(wait), wait > 0)
	return wait, true
}

// carrier simulates an SMSC that accepts takes submits per second and throttles the rest, and
// a gateway that always has something to send: in each simulated
// millisecond, everything that the rate allows until the next is sent and answered.
func carrier(r *rate, from time.Time, d time.Duration, takes float64) (taken, throttled int) {
	credit := 0.0
	for now := from; now.Before(from.Add(d)); now = now.Add(time.Millisecond) {
		credit = min(credit+takes/1000, max(takes/10, 1))
		for range 50 { // at most 50,000/s
			if _, ok := take(r, now, time.Millisecond-1); !ok {
				break
			}
			if credit >= 1 {
				credit--
				taken++
				r.answered(now, 0)
			} else {
				throttled++
				r.answered(now, 1)
			}
		}
	}
	return taken, throttled
}

var epoch = time.Date(2026, 2, 4, 11, 33, 0, 0, time.UTC)

func TestCeiling(t *testing.T) {
	r := newRate(100)
	sent, _ := carrier(r, epoch, 10*time.Second, 1e9)
	if sent < 990 || sent > 1020 {
		t.Errorf("%d sent in 10 s", sent)
	}
}

// Not even the second after a pause has more than the ceiling, and a sender that always has something
// to send gets all of it.
func TestCeilingHoldsInEverySecond(t *testing.T) {
	for _, ceiling := range []float64{1, 3, 100, 1000} {
		r, now := newRate(ceiling), epoch
		for range 3 {
			sent, start := 0, now
			for {
				wait, _ := take(r, now, time.Hour)
				if now = now.Add(wait); now.Sub(start) >= 10*time.Second {
					break
				}
				if sent++; now.Sub(start) < time.Second && sent > int(ceiling) {
					t.Fatalf("%d submits in the first second under a ceiling of %v", sent, ceiling)
				}
			}
			if sent < int(9.9*ceiling) || sent > int(10*ceiling) {
				t.Errorf("%d submits in ten seconds under a ceiling of %v", sent, ceiling)
			}
			now = now.Add(time.Minute)
		}
	}
}

func TestNoCeiling(t *testing.T) {
	r := newRate(0)
	if sent, _ := carrier(r, epoch, time.Second, 1e9); sent != 50_000 || r.current(epoch) != 0 {
		t.Errorf("%d sent", sent)
	}
}

// Whatever rate an SMSC accepts, it soon gets nearly that, and little more.
func TestSettlesAtTheRateThatTheSMSCAccepts(t *testing.T) {
	for _, takes := range []float64{20, 100, 1000, 10_000} {
		for _, ceiling := range []float64{0, takes * 5} {
			r := newRate(ceiling)
			carrier(r, epoch, 5*time.Second, takes)
			taken, throttled := carrier(r, epoch.Add(5*time.Second), 20*time.Second, takes)
			if share := float64(taken) / (20 * takes); share < 0.85 {
				t.Errorf("%v/s under %v: only %.2f of it used", takes, ceiling, share)
			}
			if share := float64(throttled) / float64(taken); share > 0.2 {
				t.Errorf("%v/s under %v: %.2f throttled", takes, ceiling, share)
			}
		}
	}
}

// After a time in which everything was throttled, the rate is soon what it was before.
func TestRecovers(t *testing.T) {
	for _, down := range []time.Duration{time.Second, 5 * time.Second, 20 * time.Second} {
		r := newRate(0)
		carrier(r, epoch, 5*time.Second, 200)
		carrier(r, epoch.Add(5*time.Second), down, 0)
		if limit := r.current(epoch.Add(5*time.Second + down)); limit > 200 {
			t.Errorf("%v: limit is still %v", down, limit)
		}
		up := epoch.Add(5*time.Second + down)
		carrier(r, up, 15*time.Second, 200)
		if taken, _ := carrier(r, up.Add(15*time.Second), 5*time.Second, 200); taken < 700 {
			t.Errorf("%v: only %d of 1000 taken after 15 s", down, taken)
		}
	}
}

// An hour in which little is sent and nothing throttled does not prove that the SMSC accepts more than
// was ever sent: when it throttles everything again, the bind slows down as the first time.
func TestSlowsDownAgainAfterAQuietHour(t *testing.T) {
	r, now := newRate(0), epoch
	storm := func() {
		for range 20 * 50 { // 50/s are offered, for 20 s
			now = now.Add(20 * time.Millisecond)
			if _, ok := take(r, now, 250*time.Millisecond); ok {
				r.answered(now, 1)
			}
		}
		if limit := r.current(now); limit > 10 {
			t.Errorf("the limit is %v after 20 s in which everything was throttled", limit)
		}
	}
	storm()
	for range 3600 {
		now = now.Add(time.Second)
		take(r, now, time.Second)
		r.answered(now, 0)
	}
	storm()
}

// Submits to come are spaced by the current limit, not by that of the last throttling.
func TestSpread(t *testing.T) {
	r := newRate(0)
	if spread := r.spread(15); spread != 0 {
		t.Errorf("%v without a limit", spread)
	}
	carrier(r, epoch, 20*time.Second, 0)
	for _, c := range []struct{ after, least, most time.Duration }{
		{20 * time.Second, time.Second, 15 * time.Second},
		{time.Hour, 0, 10 * time.Millisecond},
	} {
		r.grow(epoch.Add(c.after))
		if spread := r.spread(15); spread < c.least || spread > c.most {
			t.Errorf("%v after %v", spread, c.after)
		}
	}
}

func TestSingleThrottlesCostNothing(t *testing.T) {
	r := newRate(0)
	for i := range 10_000 {
		load := 0.0
		if i%25 == 0 {
			load = 1
		}
		r.answered(epoch.Add(time.Duration(i)*20*time.Millisecond), load)
	}
	if !math.IsInf(r.limit, 1) {
		t.Errorf("limit %v", r.limit)
	}
}

func TestCongestionSlowsDown(t *testing.T) {
	r := newRate(0)
	now := epoch
	for range 1000 {
		now = now.Add(time.Millisecond)
		take(r, now, 0)
		r.answered(now, loadOf(95))
	}
	if !math.IsInf(r.limit, 1) {
		t.Errorf("nearly congested: limit %v", r.limit)
	}
	for range 100 {
		now = now.Add(time.Millisecond)
		take(r, now, time.Hour)
		r.answered(now, loadOf(100))
	}
	if math.IsInf(r.limit, 1) {
		t.Error("congested, and not slowed down")
	}
}

func TestMeter(t *testing.T) {
	var m meter
	now := epoch
	for range 200 {
		now = now.Add(5 * time.Millisecond)
		m.add(now)
	}
	if got := m.perSecond(now); got < 180 || got > 220 {
		t.Errorf("%v/s", got)
	}
	if got := m.perSecond(now.Add(2 * time.Second)); got != 0 {
		t.Errorf("%v/s after a pause", got)
	}
}

// When the clock is put back, all counts are void: they are no measure until the
// old time is reached again.
func TestMeterWhenTheClockGoesBack(t *testing.T) {
	var m meter
	for _, from := range []time.Time{epoch, epoch.Add(-time.Hour)} {
		for i := range 5000 {
			m.add(from.Add(time.Duration(i) * time.Millisecond))
		}
		if got := m.perSecond(from.Add(5 * time.Second)); got < 850 || got > 1000 {
			t.Errorf("from %v: %v a second, want a thousand", from, got)
		}
	}
}
