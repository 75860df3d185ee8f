package pumping

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/logtest"
	"straks/orders"
)

// monday begins the week of all tests.
var monday = time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)

const (
	org  = "ttd"
	hour = time.Hour
	day  = 24 * hour
)

// town is a simulated traffic of one organisation.
type town struct {
	*Detector
	t       *testing.T
	log     *logtest.Log
	random  *rand.Rand
	now     time.Time
	history history
	refused int
}

// source is orders to some numbers.
type source struct {
	prefix string
	perDay float64 // on a weekday
	bad    float64 // share of codes that are not delivered
	unused float64 // share of codes that are not used; negative: nobody says
	flat   bool    // also at night and at the weekend
}

var (
	home = []source{{"+4790", 4000, 0.03, 0.1, false}, {"+4741", 2500, 0.03, 0.1, false}, {"+4797", 1500, 0.03, 0.1, false}, {"+4722", 100, 0.03, 0.1, false}}
	// abroad gets little, some of it nearly nothing.
	abroad = []source{{"+4670", 300, 0.05, 0.1, false}, {"+4520", 200, 0.05, 0.1, false}, {"+3712000", 8, 0.1, 0.1, false}, {"+1212555", 4, 0.1, 0.1, false}}
	usual  = append(append([]source{}, home...), abroad...)
)

func newTown(t *testing.T, mode Mode) *town {
	w := &town{t: t, log: &logtest.Log{}, random: rand.New(rand.NewPCG(1, 2)), now: monday}
	w.Detector = w.detector(mode)
	w.ready = true
	return w
}

func (w *town) detector(mode Mode) *Detector {
	return New(Config{Modes: map[string]Mode{org: mode}, StopFor: hour, Log: slog.New(slog.NewTextHandler(w.log, nil)), Registerer: prometheus.NewRegistry()})
}

// share returns the part of a day's orders that come in a minute.
func (s source) share(at time.Time) float64 {
	switch h := at.Hour(); {
	case s.flat:
		return 1.0 / 1440
	case at.Weekday() == time.Saturday || at.Weekday() == time.Sunday:
		return 0.2 / 1440
	case h < 6 || h >= 22:
		return 0.1 / 1440
	case at.Weekday() == time.Monday && h == 8:
		return 6.0 / 1440 // the peak of the week
	}
	return 1.4 / 1440
}

// run lets time pass.
func (w *town) run(d time.Duration, sources ...source) {
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(time.Minute) {
		for _, s := range sources {
			for n := s.perDay*s.share(w.now) + w.random.Float64(); n >= 1; n-- {
				w.order(s)
			}
		}
		if w.now.Minute()%5 == 0 || d < day {
			w.Judge(w.now)
		}
	}
}

func (w *town) order(s source) {
	to := orders.Recipient(s.prefix)
	for len(to) < 11 {
		to += orders.Recipient(fmt.Sprint(w.random.IntN(10)))
	}
	if _, err := w.Take(org, to, w.now); err != nil {
		w.refused++
		return
	}
	delivered := w.random.Float64() >= s.bad
	w.Settled(org, to, delivered, w.now)
	if s.unused >= 0 {
		w.mu.Lock()
		now := w.now
		w.mu.Unlock()
		used := w.random.Float64() >= s.unused
		w.outcome(org, to, now, func(c *counts) {
			if used {
				c.used++
			} else {
				c.unused++
			}
		})
	}
	status := orders.SMSDelivered
	if !delivered {
		status = orders.SMSFailedUndelivered
	}
	w.history = append(w.history, orders.Shipment{Organisation: org, Channel: orders.SMS, Recipient: to, Accepted: w.now, Status: status})
}

type history []orders.Shipment

func (h history) Accepted(_ context.Context, since time.Time, visit func(orders.Shipment)) error {
	for _, s := range h {
		if !s.Accepted.Before(since) {
			visit(s)
		}
	}
	return nil
}

func (w *town) want(what string, want ...string) {
	w.t.Helper()
	var got []string
	for _, s := range w.Suspicions() {
		got = append(got, s.Prefix+" "+s.Reason)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("%s: alarms %q, want %q\n%s", what, got, want, w.log)
	}
}

// TestUsualTraffic: a week and another, with its nights, its weekend and its Monday morning, raises no alarm.
func TestUsualTraffic(t *testing.T) {
	t.Parallel()
	w := newTown(t, Stop)
	w.run(15*day, usual...)
	w.want("usual traffic")
	if w.log.String() != "" || w.refused > 0 {
		t.Errorf("%d refused\n%s", w.refused, w.log)
	}
}

// TestCampaign: many messages to one city at home, and twice as many to all, are no attack.
func TestCampaign(t *testing.T) {
	t.Parallel()
	w := newTown(t, Stop)
	w.run(8*day+9*hour, usual...)
	w.run(3*hour, append([]source{{"+4722", 200_000, 0.03, 0.1, true}}, usual...)...)
	w.want("a campaign")
	double := append(append([]source{}, usual...), usual...)
	w.run(5*hour, double...)
	w.want("twice as much")
}

// TestNewCountry: a country to which nothing went before, and some users of it.
func TestNewCountry(t *testing.T) {
	t.Parallel()
	w := newTown(t, Stop)
	w.run(8*day, usual...)
	w.run(3*day, append([]source{{"+35840", 300, 0.2, 0.3, false}}, usual...)...)
	w.want("a new country")
}

// TestOutage: a carrier that delivers nothing any more is no attack on anybody.
func TestOutage(t *testing.T) {
	t.Parallel()
	w := newTown(t, Stop)
	w.run(8*day+9*hour, usual...)
	down := append([]source{}, usual...)
	for i := range down {
		down[i].bad, down[i].perDay = 0.97, 2.5*down[i].perDay // and people try again
	}
	w.run(3*hour, down...)
	w.want("an outage")
}

// TestAttackAbroad: orders to one range abroad are stopped soon, those to the rest of the country are not; the end of
// the attack ends the stop, and while it goes on it does not.
func TestAttackAbroad(t *testing.T) {
	t.Parallel()
	w := newTown(t, Stop)
	w.run(8*day+10*hour, usual...)
	attack := source{"+371210", 20_000, 0, -1, true} // delivered, as the owner of the range says
	sent := len(w.history)
	w.run(30*time.Minute, append([]source{attack}, usual...)...)
	w.want("an attack", "+371210 share")
	through := 0
	for _, s := range w.history[sent:] {
		if strings.HasPrefix(string(s.Recipient), attack.prefix) {
			through++
		}
	}
	if through > 200 {
		t.Errorf("%d orders of the attack were sent", through)
	}
	_, err := w.Take(org, "+37121099999", w.now)
	var limit *orders.LimitError
	if !errors.As(err, &limit) || limit.Rule != "pumping" || limit.After <= 0 || limit.After > hour ||
		!strings.Contains(err.Error(), "no orders to numbers that begin with +371210") {
		t.Errorf("%v", err)
	}
	if _, err := w.Take(org, "+37129999999", w.now); err != nil {
		t.Errorf("the rest of the country: %v", err)
	}
	w.run(5*hour, append([]source{attack}, usual...)...)
	w.want("it goes on", "+371210 share")
	w.run(3*hour, usual...)
	w.want("it is over")
	w.run(hour, append([]source{attack}, usual...)...)
	w.want("it comes back", "+371210 share")
	if text := w.log.String(); strings.Count(text, "pumping suspected") != 2 || strings.Count(text, "no longer") != 1 || strings.Contains(text, "+371210999") {
		t.Error(text)
	}
}

// TestAttackOnACountry: one to ranges all over a country.
func TestAttackOnACountry(t *testing.T) {
	t.Parallel()
	w := newTown(t, Alarm)
	w.run(8*day+10*hour, usual...)
	w.run(hour, append([]source{{"+216", 20_000, 0, -1, true}}, usual...)...)
	w.want("an attack", "TN share")
	if w.refused > 0 {
		t.Errorf("%d refused", w.refused)
	}
}

// TestAttackAtHome: where shares say nothing, codes do that are not delivered, or not used.
func TestAttackAtHome(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]source{
		Undelivered: {"+4796512", 4000, 0.9, -1, true},
		Unused:      {"+4796512", 4000, 0.02, 0.95, true},
	} {
		w := newTown(t, Stop)
		w.run(8*day+10*hour, usual...)
		w.run(hour, append([]source{attack}, usual...)...)
		w.want(name, "+47965 "+name)
	}
}

// TestLift: an operator who knows better ends an alarm, and it does not come back.
func TestLift(t *testing.T) {
	t.Parallel()
	w := newTown(t, Stop)
	w.run(8*day+10*hour, usual...)
	event := append([]source{{"+35840", 10_000, 0.02, 0.1, true}}, usual...)
	w.run(hour, event...)
	w.want("an event abroad", "FI share")
	if w.refused == 0 {
		t.Error("nothing is stopped")
	}
	if w.Lift(org, "LV", w.now) || w.Lift("other", "FI", w.now) || !w.Lift(org, "FI", w.now) {
		t.Error("lifted is what was not suspected, or not what was")
	}
	refused := w.refused
	w.run(20*hour, event...)
	w.want("lifted")
	w.run(day, event...)
	w.want("usual by now")
	if w.refused > refused {
		t.Errorf("%d refused", w.refused-refused)
	}
}

// TestReplay: after a restart the past is known again, with the alarms that there were.
func TestReplay(t *testing.T) {
	t.Parallel()
	w := newTown(t, Stop)
	w.run(8*day+10*hour, usual...)
	attack := append([]source{{"+371210", 20_000, 0, -1, true}}, usual...)
	w.run(90*time.Minute, attack...)
	w.want("before", "+371210 share")
	w.Detector = w.detector(Stop)
	if err := w.Replay(t.Context(), w.history, w.now); err != nil {
		t.Fatal(err)
	}
	w.run(30*time.Minute, attack...)
	w.want("after", "+371210 share")
	// And a later one is compared with the same week.
	w.run(6*hour, usual...)
	w.Detector = w.detector(Stop)
	if err := w.Replay(t.Context(), w.history, w.now); err != nil {
		t.Fatal(err)
	}
	w.want("it was over")
	w.run(30*time.Minute, attack...)
	w.want("again", "+371210 share")
}

// TestModes: off counts nothing; and a stop ends with its mode.
func TestModes(t *testing.T) {
	t.Parallel()
	w := newTown(t, Stop)
	w.run(8*day+10*hour, usual...)
	attack := append([]source{{"+371210", 20_000, 0, -1, true}}, usual...)
	w.run(30*time.Minute, attack...)
	w.Reconfigure(Config{Modes: map[string]Mode{org: Alarm}, StopFor: hour})
	if _, err := w.Take(org, "+37121099999", w.now); err != nil {
		t.Error(err)
	}
	w.want("an alarm", "+371210 share")
	w.Reconfigure(Config{Modes: map[string]Mode{org: Off}, StopFor: hour})
	w.run(hour, attack...)
	w.want("off")
	if len(w.of) > 0 {
		t.Error("it counts")
	}
}

// TestNumbersTakeLittle: numbers all over the world take little memory, and old ones leave.
func TestNumbersTakeLittle(t *testing.T) {
	w := newTown(t, Alarm)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range 900_000 {
		w.Take(org, orders.Recipient(fmt.Sprintf("+%d0%06d", 21+i%960, i)), w.now)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if n := len(w.of[org].units); n > maxUnits+300 || after.HeapAlloc-before.HeapAlloc > 8<<20 {
		t.Errorf("%d units, %d KiB", n, (after.HeapAlloc-before.HeapAlloc)>>10)
	}
	w.Judge(w.now.Add(9 * day))
	if n := len(w.of[org].units); n > 0 {
		t.Errorf("%d units after nine days", n)
	}
}
