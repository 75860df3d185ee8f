package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/clientcert/certtest"
	"straks/orders"
)

// from returns a client whose connections come from a loopback address.
func from(t *testing.T, address string) *http.Client {
	transport := &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Minute}
}

// TestFailuresOfOneAddress: guesses from an address are refused after a burst. Good tokens from the same address are not, nor
// are guesses, or calls without a token, from elsewhere.
func TestFailuresOfOneAddress(t *testing.T) {
	w := start(t, func(cfg *Config, _ *orders.Config) { cfg.Failures = FailureLimit{PerSecond: 0.001, Burst: 3} })
	call := func(address, token string) answer {
		t.Helper()
		w.http.Transport = &checked{t: t, next: from(t, address).Transport}
		return w.do("GET", "/future/shipment/feed", "", as(token))
	}
	for n := range 20 {
		guesser := fmt.Sprintf("127.0.1.%d", n+1)
		for guess := range 5 {
			want := 401
			if guess >= 3 {
				want = 429
			}
			if a := call(guesser, "guess"); a.status != want || want == 429 && (a.header.Get("Retry-After") != "60" || a.problem(t).Code != codeRateLimit) {
				t.Errorf("%s, guess %d: %d %v", guesser, guess, a.status, a.header)
			}
		}
		if a := call(guesser, ttdToken); a.status != 200 {
			t.Errorf("%s with a good token: %d", guesser, a.status)
		}
		if a := w.sendSMS(guesser); a.status != 201 {
			t.Errorf("%s with a good token: %d", guesser, a.status)
		}
		if a := w.do("GET", "/future/shipment/feed", "", header("Authorization", "")); a.status != 401 {
			t.Errorf("%s without a token: %d", guesser, a.status)
		}
		if a := call(guesser, "scopeless-token"); a.status != 403 {
			t.Errorf("%s without a scope: %d", guesser, a.status)
		}
	}
	for answer, want := range map[string]float64{"at_once": 60, "refused": 40, "late": 0} {
		for _, m := range series(t, w, "straks_http_failed_authentications_total") {
			if m.GetLabel()[0].GetValue() == answer && m.GetCounter().GetValue() != want {
				t.Errorf("%s: %v, want %v", answer, m.GetCounter().GetValue(), want)
			}
		}
	}
	if n := strings.Count(w.log.String(), "token refused"); n != maxDenials {
		t.Errorf("%d refusals are logged", n)
	}
}

// TestCertificatesThatFailAreSlowed: a bad certificate counts as a bad token does.
func TestCertificatesThatFailAreSlowed(t *testing.T) {
	p := newPKI(t)
	_, addr, trusted := secured(t, Limits{}, func(cfg *Config, _ *orders.Config) {
		cfg.Auth, cfg.Failures = p.auth, FailureLimit{PerSecond: 0.001, Burst: 1}
	})
	bad, good := certtest.New("x").Issue("backend"), p.ttd.Issue("backend")
	for _, want := range []int{401, 429} {
		if status, _ := ask(t, showing(t, trusted, true, &bad, nil), addr, ""); status != want {
			t.Errorf("%d, want %d", status, want)
		}
	}
	if status, _ := ask(t, showing(t, trusted, true, &good, nil), addr, ""); status != 200 {
		t.Errorf("a good one: %d", status)
	}
}

// slowed returns an API that counts failures, and a call that fails from an address: how long it took, and its status.
func slowed(t *testing.T, l FailureLimit) (*api, func(ctx context.Context, address string) (time.Duration, int)) {
	m, err := newMetrics(nil, &tails{}, newShares(1), &settings{})
	if err != nil {
		t.Fatal(err)
	}
	a := &api{failures: newFailures(l), metrics: m, closing: make(chan struct{})}
	return a, func(ctx context.Context, address string) (time.Duration, int) {
		r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
		r.RemoteAddr = address
		began := time.Now()
		err := a.slow(&exchange{r: r}, errFailed{unauthorized("Bearer", "")})
		return time.Since(began), problemOf(err).Status
	}
}

// TestFailuresWait: beyond the burst each failure waits for its turn, for two seconds at most; others are refused at once.
// An address that has been calm for a while has its burst again.
func TestFailuresWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, fail := slowed(t, FailureLimit{PerSecond: 2, Burst: 3})
		for n, want := range []time.Duration{0, 0, 0, 500 * time.Millisecond, 500 * time.Millisecond} { // one after the other
			if took, status := fail(t.Context(), "192.0.2.1:1"); took != want || status != 401 {
				t.Errorf("%d: %d after %v, want %v", n, status, took, want)
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for range 10 { // at once
			wg.Go(func() {
				took, status := fail(t.Context(), "192.0.2.1:2")
				mu.Lock()
				defer mu.Unlock()
				statuses[status]++
				if took > longestPenance || status == 429 && took > 0 {
					t.Errorf("%d after %v", status, took)
				}
			})
		}
		wg.Wait()
		if statuses[401] != 4 || statuses[429] != 6 {
			t.Errorf("%v", statuses)
		}
		time.Sleep(10 * time.Second)
		if took, status := fail(t.Context(), "192.0.2.1:3"); took != 0 || status != 401 {
			t.Errorf("later: %d after %v", status, took)
		}
	})
}

// TestWaitingFailuresEnd: not more than a bounded number waits, and none longer than its client or the server.
func TestWaitingFailuresEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, fail := slowed(t, FailureLimit{PerSecond: 0.6, Burst: 1})
		ctx, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for n := range 2 * maxPenitents {
			address := fmt.Sprintf("10.0.%d.%d:1", n/256, n%256)
			fail(ctx, address)
			wg.Go(func() { fail(ctx, address) })
		}
		synctest.Wait()
		if n := a.failures.waiting.Load(); n != maxPenitents {
			t.Errorf("%d wait", n)
		}
		leave()
		synctest.Wait()
		if n := a.failures.waiting.Load(); n != 0 {
			t.Errorf("%d wait for clients that are gone", n)
		}
		wg.Wait()
		fail(t.Context(), "192.0.2.1:1")
		wg.Go(func() { fail(t.Context(), "192.0.2.1:1") })
		synctest.Wait()
		close(a.closing)
		synctest.Wait()
		if n := a.failures.waiting.Load(); n != 0 {
			t.Errorf("%d wait after the end", n)
		}
		wg.Wait()
	})
}

// TestAddressesOfFailures: which callers count together, and that those of the whole internet need little memory.
func TestAddressesOfFailures(t *testing.T) {
	f := newFailures(FailureLimit{PerSecond: 0.001, Burst: 1})
	for _, c := range []struct {
		remote  string
		refused bool
	}{
		{"192.0.2.1:1", false}, {"192.0.2.1:2", true}, {"[::ffff:192.0.2.1]:3", true}, {"192.0.2.2:1", false},
		{"[2001:db8::1]:1", false}, {"[2001:db8::ffff:1]:1", true}, {"[2001:db8:0:1::1]:1", false}, {"[fe80::1%eth0]:1", false}, {"[fe80::2%eth1]:1", true},
		{"@", false}, {"", true},
	} {
		if _, refused := f.another(addressOf(&http.Request{RemoteAddr: c.remote}), time.Now()); refused != c.refused {
			t.Errorf("%s: %v", c.remote, refused)
		}
	}
	for n := range 3 * maxAddresses {
		f.another(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 32), time.Now())
	}
	if n := f.addresses.Len(); n > 2*maxAddresses {
		t.Errorf("%d addresses are kept", n)
	}
	other := errors.New("x")
	if err := (&api{}).slow(nil, other); err != other {
		t.Error(err)
	}
}

// TestWrongShapesAreLogged: some of the requests that the document does not describe, without what they say.
func TestWrongShapesAreLogged(t *testing.T) {
	w := start(t)
	const secret = "4799999999"
	for range 20 {
		w.do("GET", "/future/shipment/feed?seq="+secret+"x", "", lenient)
		w.do("DELETE", "/future/shipment/feed", "", lenient)
		w.do("GET", "/"+secret, "", lenient)
		w.sendSMS("") // which has a line as an order
	}
	logged := w.log.String()
	if n := strings.Count(logged, `"msg":"request of wrong shape"`); n != 6 {
		t.Errorf("%d lines: %s", n, logged)
	}
	for _, want := range []string{`"route":"/future/shipment/feed","organisation":"ttd","status":400,"faults":["seq"]`, `"route":"unknown"`, `"status":405`} {
		if !strings.Contains(logged, want) {
			t.Errorf("%s is not logged", want)
		}
	}
	if strings.Contains(logged, secret) {
		t.Error("a value is logged")
	}
}
