package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

func withCookie(token string) *http.Request {
	r, _ := http.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: sessionCookie, Value: token})
	return r
}

// TestSessions: they end after their time, and without a request; a page that is left open does not count as one.
func TestSessions(t *testing.T) {
	now := time.Now()
	s := newSessions(10*time.Hour, time.Hour)
	s.now = func() time.Time { return now }
	token := s.begin(User{Name: "kari"})
	if s.find(withCookie(token+"x"), true) != nil || s.find(withCookie(""), true) != nil {
		t.Error("another token")
	}
	for range 10 {
		if now = now.Add(50 * time.Minute); s.find(withCookie(token), true) == nil {
			t.Fatal("a session in use has ended")
		}
	}
	now = now.Add(50 * time.Minute)
	if s.find(withCookie(token), false) == nil {
		t.Error("it is not idle for long enough")
	}
	if now = now.Add(10 * time.Minute); s.find(withCookie(token), true) != nil {
		t.Error("it is idle")
	}
	token = s.begin(User{Name: "kari"})
	for range 12 {
		now = now.Add(50 * time.Minute)
		s.find(withCookie(token), true)
	}
	if s.find(withCookie(token), true) != nil {
		t.Error("its time is over")
	}
}

// TestSessionsAreBounded: further logins end the oldest sessions, first those of the same user.
func TestSessionsAreBounded(t *testing.T) {
	now := time.Now()
	s := newSessions(time.Hour, time.Hour)
	s.now = func() time.Time { now = now.Add(time.Microsecond); return now }
	first := s.begin(User{Name: "ola"})
	var mine []string
	for range maxUserSessions + 3 {
		mine = append(mine, s.begin(User{Name: "kari"}))
	}
	if s.find(withCookie(mine[2]), true) != nil || s.find(withCookie(mine[3]), true) == nil || s.find(withCookie(first), true) == nil {
		t.Error("not the oldest of the user has ended")
	}
	for i := range maxSessions + 5 {
		s.begin(User{Name: fmt.Sprint(i)})
	}
	if len(s.of) != maxSessions {
		t.Errorf("%d sessions", len(s.of))
	}
}

// TestThrottle: some failures cost nothing, then each waits twice as long, up to the bound; a success or an hour
// forgets them; keys are bounded.
func TestThrottle(t *testing.T) {
	now := time.Now()
	f := newThrottle(3, 10*time.Second)
	f.now = func() time.Time { return now }
	var waits []string
	for range 8 {
		f.failed("a")
		waits = append(waits, f.wait("a").String())
	}
	if got := strings.Join(waits, " "); got != "0s 0s 1s 2s 4s 8s 10s 10s" {
		t.Errorf("waits are %s", got)
	}
	if now = now.Add(10 * time.Second); f.wait("a") != 0 || f.wait("b") != 0 {
		t.Error("it waits for too long")
	}
	f.succeeded("a")
	f.failed("a")
	if f.wait("a") != 0 {
		t.Error("a success forgets nothing")
	}
	for i := range maxThrottled + 10 {
		f.failed(fmt.Sprint(i))
	}
	if len(f.of) > maxThrottled {
		t.Errorf("%d keys", len(f.of))
	}
	if a, b := addressKey("2001:db8::1"), addressKey("2001:db8::2"); a != b || a == addressKey("2001:db8:0:1::1") || addressKey("::ffff:192.0.2.1") != "192.0.2.1" {
		t.Errorf("addresses %s %s", a, b)
	}
}

// TestClientBehindProxy: of a proxy on this machine, the last address that it names; of all others, their own.
func TestClientBehindProxy(t *testing.T) {
	for _, c := range []struct{ remote, forwarded, want string }{
		{"192.0.2.7:1", "", "192.0.2.7"},
		{"192.0.2.7:1", "198.51.100.1", "192.0.2.7"},
		{"127.0.0.1:1", "", "127.0.0.1"},
		{"127.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{"[::1]:1", "10.9.9.9, 198.51.100.1", "198.51.100.1"},
		{"127.0.0.1:1", "198.51.100.1, nonsense", "127.0.0.1"},
	} {
		r, _ := http.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := clientOf(r); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// TestPasswords: what can be made can be checked; what is weak can't be made.
func TestPasswords(t *testing.T) {
	made, err := HashPassword("correct horse battery")
	if err != nil || CheckHash(made) != nil || bcrypt.CompareHashAndPassword([]byte(made), []byte("correct horse battery")) != nil {
		t.Fatal(err, CheckHash(made))
	}
	cheap, err := bcrypt.GenerateFromPassword([]byte("correct horse battery"), minCost) // the race detector makes each step dear
	if err != nil {
		t.Fatal(err)
	}
	hash := string(cheap)
	a, err := newAccounts([]Account{{"kari", hash, []Role{Support}}})
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := a.check("kari", "correct horse battery"); !ok || !u.May(View) || !u.May(Support) || u.May(Operate) {
		t.Errorf("%+v", u)
	}
	for name, password := range map[string]string{"kari": "correct horse", "ola": "correct horse battery", "": "straks"} {
		if u, ok := a.check(name, password); ok || len(u.Roles) > 0 {
			t.Errorf("%s: %+v", name, u)
		}
	}
	if hash[:7] != a.dummy[:7] {
		t.Errorf("a user who does not exist is checked with %s", a.dummy[:7])
	}
	for _, password := range []string{"", "short", strings.Repeat("x", maxPassword+1)} {
		if _, err := HashPassword(password); err == nil {
			t.Errorf("%q", password)
		}
	}
}
