package console

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// throttle slows logins down that fail: after some failures of a key, each further attempt must wait twice as long as
// the one before. A user's name is slowed less than an address, so that nobody can lock a user out
// for long.
type throttle struct {
	free    int           // failures that cost nothing
	longest time.Duration // wait
	now     func() time.Time

	mu sync.Mutex
	of map[string]*failures
}

type failures struct {
	count int
	last  time.Time
	until time.Time
}

const (
	maxThrottled = 10_000    // keys; beyond it the one that failed longest ago is forgotten
	forgetAfter  = time.Hour // without a failure
)

func newThrottle(free int, longest time.Duration) *throttle {
	return &throttle{free: free, longest: longest, now: time.Now, of: make(map[string]*failures)}
}

// wait returns for how long the key must wait before its next attempt.
func (t *throttle) wait(key string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.of[key]; f != nil {
		return max(f.until.Sub(t.now()), 0)
	}
	return 0
}

// failed records a failed attempt.
func (t *throttle) failed(key string) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	f := t.of[key]
	if f == nil || now.Sub(f.last) > forgetAfter {
		if f == nil && len(t.of) >= maxThrottled {
			t.forget(now)
		}
		f = &failures{}
		t.of[key] = f
	}
	f.count++
	f.last = now
	if over := f.count - t.free; over >= 0 {
		f.until = now.Add(min(time.Second<<min(over, 20), t.longest))
	}
}

// forget removes the keys without a failure for forgetAfter, and else the oldest.
func (t *throttle) forget(now time.Time) {
	oldest := ""
	for key, f := range t.of {
		if now.Sub(f.last) > forgetAfter {
			delete(t.of, key)
		} else if oldest == "" || f.last.Before(t.of[oldest].last) {
			oldest = key
		}
	}
	if len(t.of) >= maxThrottled {
		delete(t.of, oldest)
	}
}

// succeeded forgets the failures of a key.
func (t *throttle) succeeded(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.of, key)
}

// clientOf returns the address of the client. Where this machine is the peer, that is a proxy, whose last word in
// X-Forwarded-For counts: what comes before it may be the client's own invention.
func clientOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		said := r.Header.Values("X-Forwarded-For")
		if len(said) > 0 {
			words := strings.Split(said[len(said)-1], ",")
			if client, err := netip.ParseAddr(strings.TrimSpace(words[len(words)-1])); err == nil {
				return client.String()
			}
		}
	}
	return host
}

// addressKey is the IPv4 address of a client, or the /64 of IPv6, which one host has as a whole.
func addressKey(client string) string {
	ip, err := netip.ParseAddr(client)
	if err != nil {
		return client
	}
	if ip = ip.Unmap(); ip.Is6() {
		prefix, _ := ip.WithZone("").Prefix(64)
		return prefix.String()
	}
	return ip.String()
}
