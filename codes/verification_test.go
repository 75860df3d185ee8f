package codes

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func fresh(attempts int) *Verification {
	return &Verification{ID: uuid.New(), Status: Pending, Created: noon, Updated: noon, Expires: noon.Add(5 * time.Minute), Attempts: attempts,
		ResendAfter: 30 * time.Second, Sent: noon, Channels: []orders.Channel{orders.SMS}, Sealed: []byte("sealed")}
}

// TestLife is the life of a verification, an attempt at a time.
func TestLife(t *testing.T) {
	type step struct {
		after time.Duration // noon
		right bool
		want  Outcome
		as    Status
		left  int
	}
	for name, steps := range map[string][]step{
		"at once":          {{0, true, Right, Approved, 2}},
		"last attempt":     {{0, false, Wrong, Pending, 2}, {0, false, Wrong, Pending, 1}, {0, true, Right, Approved, 0}},
		"exhausted":        {{0, false, Wrong, Pending, 2}, {0, false, Wrong, Pending, 1}, {0, false, Ended, Exhausted, 0}, {0, true, Ended, Exhausted, 0}},
		"double click":     {{0, true, Right, Approved, 2}, {9 * time.Second, true, Right, Approved, 2}, {11 * time.Second, true, Ended, Approved, 2}},
		"of the last one":  {{0, false, Wrong, Pending, 2}, {0, false, Wrong, Pending, 1}, {0, true, Right, Approved, 0}, {time.Second, true, Right, Approved, 0}},
		"guess after it":   {{0, true, Right, Approved, 2}, {time.Second, false, Ended, Approved, 2}, {time.Second, true, Ended, Approved, 2}},
		"just in time":     {{5*time.Minute - 1, true, Right, Approved, 2}, {5*time.Minute + time.Second, true, Right, Approved, 2}},
		"too late":         {{5 * time.Minute, true, Ended, Expired, 3}, {6 * time.Minute, false, Ended, Expired, 3}},
		"late after wrong": {{0, false, Wrong, Pending, 2}, {5 * time.Minute, true, Ended, Expired, 2}},
		"clock set back":   {{time.Minute, true, Right, Approved, 2}, {30 * time.Second, true, Ended, Approved, 2}, {55 * time.Second, true, Right, Approved, 2}},
	} {
		v := fresh(3)
		for i, s := range steps {
			now := noon.Add(s.after)
			if got := v.Try(s.right, now); got != s.want || v.StatusAt(now) != s.as || v.Left() != s.left {
				t.Errorf("%s, step %d: %s %s, %d left; want %+v", name, i, got, v.StatusAt(now), v.Left(), s)
			}
			if v.Status.Final() && v.Sealed != nil {
				t.Errorf("%s, step %d: the recipient is still there", name, i)
			}
		}
	}
	v := fresh(3)
	v.end(Cancelled, noon)
	if v.Try(true, noon) != Ended || v.StatusAt(noon.Add(time.Hour)) != Cancelled {
		t.Errorf("cancelled: %+v", v)
	}
}

func TestDue(t *testing.T) {
	v := fresh(1)
	v.FallbackAt = noon.Add(time.Minute)
	if got := v.Due(time.Hour); got != v.FallbackAt {
		t.Error(got)
	}
	v.FallbackAt = noon.Add(time.Hour) // never
	if got := v.Due(time.Hour); got != v.Expires {
		t.Error(got)
	}
	v.end(Expired, v.Expires)
	if got := v.Due(time.Hour); got != v.Expires.Add(time.Hour) {
		t.Error(got)
	}
}

func TestMayResend(t *testing.T) {
	v := fresh(1)
	if v.mayResend(noon.Add(29*time.Second)) || !v.mayResend(noon.Add(30*time.Second)) {
		t.Error("not after 30 seconds")
	}
	for n := 2; n <= MaxMessages; n++ {
		if got := v.message(orders.Email, noon); got != n {
			t.Error(got)
		}
	}
	if v.mayResend(noon.Add(time.Minute)) {
		t.Error("more messages than may be")
	}
	if got := v.minutes(noon.Add(100 * time.Millisecond)); got != 5 {
		t.Error(got)
	}
	if got := v.minutes(noon.Add(290 * time.Second)); got != 1 {
		t.Error(got)
	}
}

// TestStop: 100 wrong codes within an hour stop an address for an hour.
func TestStop(t *testing.T) {
	var a address
	for i := range 99 {
		if a.wrong(noon.Add(time.Duration(i) * 30 * time.Second)) {
			t.Fatal(i)
		}
	}
	if a.wrong(noon.Add(time.Hour)) { // the first one does not count any more
		t.Fatal("an hour later")
	}
	now := noon.Add(time.Hour + 10*time.Second)
	if !a.wrong(now) || a.stopped(now) != time.Hour || a.stopped(now.Add(59*time.Minute)) != time.Minute || a.stopped(now.Add(time.Hour)) != 0 {
		t.Error(a)
	}
	if a.stopped(now.Add(-24*time.Hour)) != StopFor {
		t.Error("a clock that was ahead stops it for longer")
	}
	if a.wrong(now.Add(time.Hour)) {
		t.Error("old ones count again")
	}
}

func TestLanguage(t *testing.T) {
	have := []string{"en", "nb", "nn", "se"}
	for tag, want := range map[string]string{"nb": "nb", "NB-no": "nb", "no": "nb", "nn": "nn", "en-GB": "en", "de": "", "": "", "se": "se", "x": "", "nb_NO": "nb"} {
		if got := Language(tag, have); got != want {
			t.Errorf("%q: %q, want %q", tag, got, want)
		}
	}
	for header, want := range map[string]string{"": "nb", "de, en;q=0.5": "en", "nn-NO,nn;q=0.9,en;q=0.1": "nn", "en;q=0": "nb", "en;q=0.1, se": "se", "*": "nb", ";;;": "nb", "no": "nb"} {
		if got := Accepted(header, have, "nb"); got != want {
			t.Errorf("%q: %q, want %q", header, got, want)
		}
	}
}

func TestTexts(t *testing.T) {
	b := BuiltIn()
	v := Values{Code: "123456", Minutes: 5, App: "Skatt", Origin: "example.no"}
	subject, body, ok := b.Text(orders.SMS, "nb", v)
	if want := "123456 er koden din for Skatt. Den er gyldig i 5 min. Ikke gi den til noen.\n\n@example.no #123456"; body != want || subject != "" || !ok {
		t.Errorf("%q %t", body, ok)
	}
	v.Origin = ""
	if subject, body, ok = b.Text(orders.Email, "en", v); subject != "Your code for Skatt" || body[:6] != "123456" || !ok {
		t.Errorf("%q %q", subject, body)
	}
	if _, _, ok = b.Text(orders.SMS, "de", v); ok {
		t.Error("German")
	}
	if got := (Values{Code: "{app}", App: "{code}"}).fill("{code}{app}{kode}"); got != "{app}{code}{kode}" {
		t.Errorf("values are filled in again: %s", got)
	}
}
