package limits

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/logtest"
	"straks/orders"
)

var noon = time.Date(2026, 2, 4, 12, 0, 0, 0, time.UTC)

const org = "ttd"

func newLimits(o Organisation, across ...Window) (*Limits, *logtest.Log) {
	log := &logtest.Log{}
	return New(Config{Organisations: map[string]Organisation{org: o, "other": {}}, Across: across,
		Log: slog.New(slog.NewTextHandler(log, nil)), Registerer: prometheus.NewRegistry()}), log
}

// take wants the order to be counted, or refused by a rule with a wait.
func take(t *testing.T, l *Limits, organisation string, to orders.Recipient, at time.Time, rule string, wait time.Duration) (undo func()) {
	t.Helper()
	undo, err := l.Take(organisation, orders.SMS, to, at)
	var limit *orders.LimitError
	switch {
	case rule == "" && err != nil:
		t.Fatalf("%v: %v", at, err)
	case rule == "":
		return undo
	case !errors.As(err, &limit) || limit.Rule != rule || limit.After < wait || limit.After > wait+time.Second:
		t.Fatalf("%v: %#v, want %s after %v", at, err, rule, wait)
	}
	return nil
}

// TestRecipient: windows slide, each recipient has its own, and what is taken back does not count.
func TestRecipient(t *testing.T) {
	t.Parallel()
	l, _ := newLimits(Organisation{Recipient: []Window{{20, 24 * time.Hour}, {2, 10 * time.Minute}}})
	take(t, l, org, "+4799999999", noon, "", 0)
	undo := take(t, l, org, "+4799999999", noon.Add(4*time.Minute), "", 0)
	take(t, l, org, "+4799999999", noon.Add(5*time.Minute), RuleRecipient, 5*time.Minute)
	take(t, l, org, "+4799999998", noon.Add(5*time.Minute), "", 0)
	take(t, l, "other", "+4799999999", noon.Add(5*time.Minute), "", 0)
	undo()
	take(t, l, org, "+4799999999", noon.Add(6*time.Minute), "", 0)
	take(t, l, org, "+4799999999", noon.Add(7*time.Minute), RuleRecipient, 3*time.Minute)
	take(t, l, org, "+4799999999", noon.Add(10*time.Minute+time.Second), "", 0)
	at := noon.Add(10 * time.Minute)
	for range 17 { // 20 within a day
		at = at.Add(11 * time.Minute)
		take(t, l, org, "+4799999999", at, "", 0)
	}
	at = at.Add(11 * time.Minute)
	_, err := l.Take(org, orders.SMS, "+4799999999", at)
	var limit *orders.LimitError
	if !errors.As(err, &limit) || limit.Limit != "20 orders in a day to one recipient" || limit.After != noon.Add(24*time.Hour).Sub(at) {
		t.Fatalf("%#v", err)
	}
	take(t, l, org, "+4799999999", noon.Add(24*time.Hour), "", 0)
}

// TestMail: the letter case of an address is no other recipient, and an address is not a number.
func TestMail(t *testing.T) {
	t.Parallel()
	l, _ := newLimits(Organisation{Recipient: []Window{{1, time.Hour}}})
	if _, err := l.Take(org, orders.Email, "kari@example.org", noon); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Take(org, orders.Email, "Kari@Example.ORG", noon); err == nil {
		t.Error("the same address counts as another")
	}
	take(t, l, org, "kari@example.org", noon, "", 0) // of the other channel
}

// TestAcross: all organisations together.
func TestAcross(t *testing.T) {
	t.Parallel()
	l, _ := newLimits(Organisation{}, Window{2, time.Hour})
	take(t, l, org, "+4799999999", noon, "", 0)
	take(t, l, "other", "+4799999999", noon, "", 0)
	take(t, l, org, "+4799999999", noon.Add(time.Minute), RuleAcross, 59*time.Minute)
	take(t, l, org, "+4799999998", noon.Add(time.Minute), "", 0)
}

// TestCalendar: days and months end in UTC, and the limit that lasts longer is named.
func TestCalendar(t *testing.T) {
	t.Parallel()
	l, _ := newLimits(Organisation{Day: 2, Month: 3})
	local := time.FixedZone("", 3600)
	take(t, l, org, "+471", time.Date(2026, 2, 28, 12, 0, 0, 0, time.UTC), "", 0)
	take(t, l, org, "+472", time.Date(2026, 3, 1, 0, 59, 0, 0, local), "", 0) // still February in UTC
	take(t, l, org, "+473", time.Date(2026, 2, 28, 23, 59, 0, 0, time.UTC), RuleDay, time.Minute)
	for i := range 2 {
		take(t, l, org, "+474", time.Date(2026, 3, 1, i, 0, 0, 0, time.UTC), "", 0)
	}
	take(t, l, org, "+475", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), RuleDay, 12*time.Hour)
	undo := take(t, l, org, "+476", time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC), "", 0)
	take(t, l, org, "+477", time.Date(2026, 3, 31, 13, 0, 0, 0, time.UTC), RuleMonth, 11*time.Hour)
	undo()
	take(t, l, org, "+478", time.Date(2026, 3, 31, 13, 0, 0, 0, time.UTC), "", 0)
	take(t, l, org, "+479", time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), "", 0)
}

// TestPrefix: orders to a prefix, and different numbers in it.
func TestPrefix(t *testing.T) {
	t.Parallel()
	l, _ := newLimits(Organisation{Prefixes: []Prefix{{Prefix: "+371", Per: time.Hour, Orders: 5, Recipients: 2}}})
	take(t, l, org, "+37120000001", noon, "", 0)
	undo := take(t, l, org, "+37120000002", noon.Add(time.Minute), "", 0)
	take(t, l, org, "+37120000003", noon.Add(2*time.Minute), RuleRecipients, 63*time.Minute)
	undo()
	take(t, l, org, "+37120000003", noon.Add(2*time.Minute), "", 0)
	take(t, l, org, "+4799999999", noon.Add(2*time.Minute), "", 0)
	for range 3 {
		take(t, l, org, "+37120000001", noon.Add(3*time.Minute), "", 0)
	}
	take(t, l, org, "+37120000001", noon.Add(4*time.Minute), RulePrefix, 61*time.Minute)
	take(t, l, org, "+37120000009", noon.Add(70*time.Minute), "", 0)
}

// TestExact: 64 clients get no more than the limit, and no fewer.
func TestExact(t *testing.T) {
	t.Parallel()
	l, _ := newLimits(Organisation{Day: 500, Recipient: []Window{{7, time.Hour}}, Prefixes: []Prefix{{Prefix: "+47", Per: time.Hour, Orders: 400}}})
	var perNumber [100]atomic.Int64
	var all atomic.Int64
	var clients sync.WaitGroup
	for c := range 64 {
		clients.Go(func() {
			for i := range 200 {
				n := (i + c) % len(perNumber)
				undo, err := l.Take(org, orders.SMS, orders.Recipient(fmt.Sprintf("+47%08d", n)), noon)
				if err != nil {
					continue
				}
				if (i+c)%3 == 0 {
					undo() // it did not leave
					continue
				}
				perNumber[n].Add(1)
				all.Add(1)
			}
		})
	}
	clients.Wait()
	for n := range perNumber {
		if got := perNumber[n].Load(); got > 7 {
			t.Errorf("number %d got %d", n, got)
		}
	}
	if all.Load() != 400 {
		t.Errorf("%d left, want 400", all.Load())
	}
}

// history is what a journal has.
type history []orders.Shipment

func (h history) Accepted(_ context.Context, since time.Time, visit func(orders.Shipment)) error {
	for _, s := range h {
		if !s.Accepted.Before(since) {
			visit(s)
		}
	}
	return nil
}

// TestRecover: after a restart, what was accepted before counts as it did.
func TestRecover(t *testing.T) {
	t.Parallel()
	o := Organisation{Day: 100, Recipient: []Window{{2, time.Hour}}, Prefixes: []Prefix{{Prefix: "+47", Per: 30 * time.Minute, Orders: 3}}}
	var h history
	for _, ago := range []time.Duration{2 * time.Hour, 40 * time.Minute, 20 * time.Minute} {
		h = append(h, orders.Shipment{Organisation: org, Channel: orders.SMS, Recipient: "+4799999999", Accepted: noon.Add(-ago)})
	}
	l, _ := newLimits(o)
	if err := l.Recover(t.Context(), h, noon); err != nil {
		t.Fatal(err)
	}
	take(t, l, org, "+4799999999", noon, RuleRecipient, 20*time.Minute)
	take(t, l, org, "+4799999998", noon, "", 0)
	if n := l.of[org].day.n; n != 4 {
		t.Errorf("%d orders of the day, want 4", n)
	}
	none, _ := newLimits(Organisation{})
	if err := none.Recover(t.Context(), nil, noon); err != nil { // nothing is limited, nothing is read
		t.Fatal(err)
	}
}

// TestMemory: a million recipients stay under 64 MiB, and leave when they do not count any more. Beyond the bound the
// oldest leave early, and that shows. The test has STRAKS_RECIPIENTS of them, or a tenth of a million with a tenth of
// the memory.
func TestMemory(t *testing.T) {
	n := 100_000
	if text := os.Getenv("STRAKS_RECIPIENTS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	span := 20_000 * time.Second / time.Duration(n)
	l, log := newLimits(Organisation{Recipient: []Window{{5, 10 * time.Minute}, {20, 24 * time.Hour}}})
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	l.of[org].recipients.bound = n + n/20
	for i := range n {
		if _, err := l.Take(org, orders.SMS, orders.Recipient(fmt.Sprintf("+47%08d", i)), noon.Add(time.Duration(i)*span)); err != nil {
			t.Fatal(err)
		}
	}
	used := int64(heap() - before)
	t.Logf("%d recipients take %d KiB", l.of[org].recipients.size(), used>>10)
	if used > 64*int64(n) {
		t.Errorf("%d octets", used)
	}
	at := noon.Add(time.Duration(n) * span)
	for i := range n / 10 {
		if _, err := l.Take(org, orders.SMS, orders.Recipient(fmt.Sprintf("+48%08d", i)), at); err != nil {
			t.Fatal(err)
		}
	}
	if n := l.of[org].recipients.size(); n > l.of[org].recipients.bound || !strings.Contains(log.String(), "the oldest are forgotten") {
		t.Errorf("%d recipients\n%s", n, log)
	}
	take(t, l, org, "+4799999999", at.Add(28*time.Hour), "", 0)
	take(t, l, org, "+4799999999", at.Add(56*time.Hour), "", 0)
	if n := l.of[org].recipients.size(); n != 1 {
		t.Errorf("%d recipients two days later", n)
	}
}

func BenchmarkTake(b *testing.B) {
	l, _ := newLimits(Organisation{Day: 1 << 30, Recipient: []Window{{5, 10 * time.Minute}, {20, 24 * time.Hour}}})
	numbers := make([]orders.Recipient, 100_000)
	for i := range numbers {
		numbers[i] = orders.Recipient(fmt.Sprintf("+47%08d", i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Take(org, orders.SMS, numbers[i%len(numbers)], noon.Add(time.Duration(i)*time.Millisecond))
	}
}

// reconfigure puts other limits of the organisation in place.
func reconfigure(t *testing.T, l *Limits, h History, o Organisation, now time.Time) {
	t.Helper()
	if err := l.Reconfigure(t.Context(), h, Config{Organisations: map[string]Organisation{org: o}}, now); err != nil {
		t.Fatal(err)
	}
}

// TestReconfigure: counts stay under other limits, and where a window is longer or new, the journal has what is missing,
// each order once.
func TestReconfigure(t *testing.T) {
	t.Parallel()
	const to = "+4799999999"
	var h history
	placed := func(at time.Time) {
		h = append(h, orders.Shipment{Organisation: org, Channel: orders.SMS, Recipient: to, Accepted: at})
	}
	placed(noon.Add(-5 * time.Hour))
	placed(noon.Add(-2 * time.Hour))
	short := Organisation{Recipient: []Window{{3, time.Hour}}}
	l, _ := newLimits(short)
	if err := l.Recover(t.Context(), h, noon); err != nil {
		t.Fatal(err)
	}
	take(t, l, org, to, noon, "", 0)
	placed(noon)
	undo := take(t, l, org, to, noon.Add(time.Minute), "", 0) // under way, and not in the journal

	at := noon.Add(2 * time.Minute)
	reconfigure(t, l, h, Organisation{Recipient: []Window{{2, time.Hour}}}, at)
	take(t, l, org, to, at, RuleRecipient, 58*time.Minute)
	long := Organisation{Day: 5, Recipient: []Window{{4, 6 * time.Hour}}, Prefixes: []Prefix{{Country: "NO", Per: 4 * time.Hour, Orders: 3}}}
	reconfigure(t, l, h, long, at)
	take(t, l, org, to, at, RuleRecipient, 58*time.Minute)
	undo()
	take(t, l, org, to, at, "", 0)
	for range 3 { // to and fro
		reconfigure(t, l, h, short, at)
		reconfigure(t, l, h, long, at)
	}
	if got := len(l.of[org].recipients.all); got == 0 {
		t.Error("all is forgotten")
	}
	times, _ := l.of[org].recipients.orders(l.key(org, orders.SMS, to))
	if l.of[org].day.n != 4 || len(times) != 4 {
		t.Errorf("%d orders of the day, %d to the recipient, want 4", l.of[org].day.n, len(times))
	}
	// The order that is under way, but in no journal yet, is counted where it was counted before, and by no new limit.
	reconfigure(t, l, h, Organisation{}, at)
	take(t, l, org, to, at, "", 0)
	reconfigure(t, l, nil, Organisation{Day: 5}, at)
	take(t, l, org, to, at, RuleDay, 12*time.Hour-2*time.Minute)
	if err := l.Reconfigure(t.Context(), nil, Config{}, at); err != nil {
		t.Fatal(err)
	}
	take(t, l, org, to, at, "", 0) // an organisation that has gone
}

// TestCountry: orders to a country, and to each other country by itself.
func TestCountry(t *testing.T) {
	t.Parallel()
	l, _ := newLimits(Organisation{Prefixes: []Prefix{{Country: "NO", Per: time.Hour, Orders: 3}, {Country: "*", Per: time.Hour, Orders: 1, Recipients: 1}}})
	for range 3 {
		take(t, l, org, "+4799999999", noon, "", 0)
	}
	take(t, l, org, "+4799999998", noon, RulePrefix, 65*time.Minute)
	take(t, l, org, "+12025550123", noon, "", 0)
	take(t, l, org, "+14165551234", noon, "", 0) // Canada has the same code
	take(t, l, org, "+12025550123", noon, RulePrefix, 65*time.Minute)
	take(t, l, org, "+883510012345678", noon, "", 0)
	_, err := l.Take(org, orders.SMS, "+883510012345679", noon)
	var limit *orders.LimitError
	if !errors.As(err, &limit) || limit.Limit != "1 orders in an hour to numbers of no country" || limit.Key != "organisation.prefix_limit.orders" {
		t.Errorf("%#v", err)
	}
	if _, err := l.Take(org, orders.Email, "a@example.org", noon); err != nil {
		t.Error(err)
	}
}
