package hooks

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"straks/internal/freeport"
)

// TestHostileReceivers: whatever a receiver does, an attempt ends in time and in bounded memory, and says in words of
// ours what happened.
func TestHostileReceivers(t *testing.T) {
	t.Parallel()
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	for name, c := range map[string]struct {
		answer    http.HandlerFunc
		delivered bool
		reason    string
	}{
		"endless body": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, true, ""},
		"endless body of a refusal": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(500)
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, false, "the receiver answered 500 Internal Server Error"},
		"body that never comes": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			select {
			case <-end:
			case <-r.Context().Done():
			}
		}, true, ""},
		"silence": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-end:
			case <-r.Context().Done():
			}
		}, false, "no answer within 2s"},
		"huge header": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Huge", strings.Repeat("x", 1<<20))
		}, false, "the answer's headers have more than 32768 octets"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, false, "the receiver answered 307: redirects are not followed, its url must be the final one"},
		"status of its own": {status(799), false, "the receiver answered 799"},
		"hang up":           {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, "the receiver closed the connection without an answer"},
		"interim answers": {func(w http.ResponseWriter, r *http.Request) {
			for range 1000 {
				w.Header().Set("X-Some", strings.Repeat("x", 1000))
				w.WriteHeader(http.StatusProcessing)
			}
		}, false, "the answer's headers have more than 32768 octets"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, r := newWorld(t), newReceiver(t)
			r.answers(c.answer)
			hook := r.hook("crm")
			if hook.Timeout = time.Minute; name == "silence" || name == "body that never comes" {
				hook.Timeout = 2 * time.Second
			}
			w.start(hook)
			trial, err := w.d.Test(t.Context(), org, "crm")
			if err != nil || trial.Delivered != c.delivered || trial.Reason != c.reason {
				t.Errorf("%+v, %v, want %v, %q", trial, err, c.delivered, c.reason)
			}
			if n := len(r.got()); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestNoHTTP: what speaks something else, or does not verify, is told apart.
func TestNoHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	greeter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer greeter.Close()
	go func() {
		for {
			c, err := greeter.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "220 relay.example.org code 123456\r\n")
			io.CopyN(io.Discard, c, 10)
			c.Close()
		}
	}()
	secure := httptest.NewTLSServer(status(200))
	defer secure.Close()
	secret, _ := ParseSecret(secretText)
	trusted := x509.NewCertPool()
	trusted.AddCert(secure.Certificate())
	var hooks []Webhook
	add := func(name, url string, pool *x509.CertPool) {
		hooks = append(hooks, Webhook{Organisation: org, Name: name, URL: url, Secret: secret, Authorities: pool})
	}
	add("greeter", "http://"+greeter.Addr().String(), nil)
	add("closed", "http://"+freeport.Until(t), nil)
	add("untrusted", secure.URL, nil)
	add("other name", strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), trusted)
	add("trusted", secure.URL, trusted)
	add("plain", strings.Replace(secure.URL, "https", "http", 1), trusted)
	add("tls to plain", "https://"+greeter.Addr().String(), trusted)
	add("no such name", "https://receiver.invalid/", trusted)
	w.start(hooks...)
	for name, want := range map[string]string{
		"greeter":      "the answer is not HTTP",
		"closed":       "it can't be reached: connect: connection refused",
		"untrusted":    "the certificate is signed by an authority that is not trusted",
		"other name":   "the certificate is not valid for the name localhost",
		"trusted":      "",
		"plain":        "the receiver answered 400 Bad Request",
		"tls to plain": "the peer does not speak TLS",
		"no such name": "its name can't be resolved",
	} {
		trial, err := w.d.Test(t.Context(), org, name)
		if err != nil || !strings.HasPrefix(trial.Reason, want) || trial.Delivered != (want == "") || strings.Contains(trial.Reason, "123456") {
			t.Errorf("%s: %+v, %v, want %q", name, trial, err, want)
		}
	}
}

// TestAddresses: a name may lead to private networks, but not to what this machine alone can reach, unless the
// operator says so.
func TestAddresses(t *testing.T) {
	t.Parallel()
	ten := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		ip                       string
		free, listed, byLoopback bool
	}{
		{"192.0.2.1", true, false, true},
		{"10.1.2.3", true, true, true},
		{"::ffff:10.1.2.3", true, true, true},
		{"192.168.1.1", true, false, true},
		{"fd00::1", true, true, true},
		{"2001:db8::1", true, false, true},
		{"127.0.0.1", false, false, true},
		{"127.8.8.8", false, false, true},
		{"::1", false, false, true},
		{"::ffff:127.0.0.1", false, false, true},
		{"169.254.169.254", false, false, false},
		{"fe80::1%eth0", false, false, false},
		{"fd00:ec2::254", false, true, false},
		{"100.100.100.200", false, false, false},
		{"0.0.0.0", false, false, false},
		{"0.1.2.3", false, false, false},
		{"::", false, false, false},
		{"224.0.0.1", false, false, false},
		{"ff02::1", false, false, false},
		{"255.255.255.255", false, false, false},
	} {
		ip := netip.MustParseAddr(c.ip)
		for what, got := range map[string][2]bool{
			"free":     {addresses{}.allow(ip) == nil, c.free},
			"listed":   {addresses{networks: ten}.allow(ip) == nil, c.listed},
			"loopback": {addresses{loopback: true}.allow(ip) == nil, c.byLoopback},
		} {
			if got[0] != got[1] {
				t.Errorf("%s, %s: %v, want %v", c.ip, what, got[0], got[1])
			}
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := (addresses{}).dialer()(t.Context(), "tcp", listener.Addr().String()); err == nil || !strings.HasPrefix(plain(err), "its name leads to 127.0.0.1, ") {
		t.Errorf("connected to loopback: %v", err)
	}
	for host, want := range map[string]bool{"localhost": true, "LOCALHOST": true, "127.0.0.2": true, "::1": true, "localhost.example.org": false, "10.0.0.1": false, "": false} {
		if Loopback(host) != want {
			t.Errorf("Loopback(%q) is %v", host, !want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 2, 4, 11, 33, 9, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": -1, "soon": -1, "-5": -1, "0": time.Second, "7": 7 * time.Second, "99999999999": time.Hour, "18446744073709551615": time.Hour,
		"Wed, 04 Feb 2026 11:34:09 GMT": time.Minute, "Wed, 04 Feb 2025 11:34:09 GMT": time.Second, "Fri, 04 Feb 2028 11:34:09 GMT": time.Hour,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}

// TestPause: pauses double up to an hour, and differ between receivers.
func TestPause(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 12: 2048 * time.Second, 13: time.Hour, 1000: time.Hour} {
		seen := map[time.Duration]bool{}
		for range 100 {
			d := pause(n, firstPause, -1)
			if seen[d] = true; d < want/2 || d >= want {
				t.Fatalf("attempt %d: %v", n, d)
			}
		}
		if len(seen) < 90 {
			t.Errorf("attempt %d: %d different pauses of 100", n, len(seen))
		}
	}
	for range 100 {
		if d := pause(1, firstPause, time.Minute); d < time.Minute || d > 66*time.Second {
			t.Fatalf("%v, where the receiver asks for a minute", d)
		}
	}
}

// TestSignature: the vector of the specification's own libraries, and secrets that are none.
func TestSignature(t *testing.T) {
	t.Parallel()
	s, err := ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("%s", got)
	}
	for _, text := range []string{"", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_MfKQ", "whsec_!!!!", "whsec_" + strings.Repeat("A", 92)} {
		if _, err := ParseSecret(text); err == nil || text != "" && len(text) > 8 && strings.Contains(err.Error(), text[6:]) {
			t.Errorf("%q: %v", text, err)
		}
	}
	fresh, other := NewSecret(), NewSecret()
	made, err := ParseSecret(fresh)
	if err != nil || fresh == other || made.Equal(s) || !made.Equal(made) {
		t.Errorf("a new secret: %v", err)
	}
	if text, _ := json.Marshal(s); strings.Contains(fmt.Sprintf("%v %+v %#v %s %s", s, s, s, s, text), "MfKQ") {
		t.Error("a secret prints itself")
	}
}

// TestRotation: while there is a former secret, requests have a signature of each.
func TestRotation(t *testing.T) {
	t.Parallel()
	w, r := newWorld(t), newReceiver(t)
	next, err := ParseSecret(NewSecret())
	if err != nil {
		t.Fatal(err)
	}
	hook := r.hook("crm")
	hook.Secret, hook.FormerSecret = next, hook.Secret
	w.start(hook)
	if trial, err := w.d.Test(t.Context(), org, "crm"); err != nil || !trial.Delivered {
		t.Fatalf("%+v, %v", trial, err)
	}
	if signatures := strings.Fields(r.got()[0].header.Get("webhook-signature")); len(signatures) != 2 || signatures[0] == signatures[1] {
		t.Errorf("%q", signatures)
	}
}
