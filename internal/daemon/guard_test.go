package daemon_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

const aToken = "0123456789abcdefghijklmnop"

// onTCP returns a world whose admin listener is on TCP, with the given keys beside its address.
func onTCP(t *testing.T, lines string) *daemontest.World {
	t.Helper()
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	file := filepath.Join(w.Dir, "admin.token")
	if err := os.WriteFile(file, []byte(aToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.EditConfig(`listen = "`+w.Config().Admin.Listen+`"`, "listen = \"127.0.0.1:0\"\n"+strings.ReplaceAll(lines, "FILE", file))
	return w
}

// ask sends one request to a listener.
func ask(t *testing.T, method, addr, path string, header map[string]string) (code int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	if host := header["Host"]; host != "" {
		r.Host = host
	}
	resp, err := daemontest.AdminClient(addr).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// On TCP the admin routes want the token and a Host that no web page can have, and the
// metrics listener has its own routes only.
func TestAdminOnTCP(t *testing.T) {
	w := onTCP(t, "token_file = \"FILE\"\nhosts = [\"straks.example.org\"]")
	w.Start()
	admin, metrics := w.Daemon.AdminAddr(), w.Daemon.MetricsAddr()
	_, port, _ := net.SplitHostPort(admin)
	name, _ := os.Hostname()
	good := "Bearer " + aToken
	for _, tt := range []struct {
		path, host, authorization string
		code                      int
	}{
		{"/status", "", good, 200},
		{"/status", "", "bearer " + aToken, 200},
		{"/status", "localhost:" + port, good, 200},
		{"/status", "[::1]:" + port, good, 200},
		{"/status", "[::1]", good, 200},
		{"/status", name, good, 200},
		{"/status", "STRAKS.example.org.:" + port, good, 200},
		{"/debug/pprof/", "", good, 200},
		{"/status", "", "", 401},
		{"/status", "", "Bearer", 401},
		{"/status", "", "Bearer " + aToken + "q", 401},
		{"/status", "", "Basic " + aToken, 401},
		{"/journal/backup", "", "", 401},
		{"/debug/pprof/heap", "", "", 401},
		{"/nothing", "", "", 401},
		{"/status", "evil.example.com:" + port, good, 421},
		{"/status", "localhost.evil.example.com", good, 421},
		{"/journal/backup", "evil.example.com:" + port, good, 421},
		{"/metrics", "", good, 404},
		{"/healthz", "", good, 404},
	} {
		code, text := ask(t, "GET", admin, tt.path, map[string]string{"Host": tt.host, "Authorization": tt.authorization})
		if code != tt.code || code != 200 && (strings.Contains(text, "telco") || strings.Contains(text, aToken)) {
			t.Errorf("%s of %q with %q: %d %.100q, want %d", tt.path, tt.host, tt.authorization, code, text, tt.code)
		}
	}
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/status": 404, "/journal/backup": 404, "/debug/pprof/": 404} {
		if code, _ := ask(t, "GET", metrics, path, map[string]string{"Host": "prometheus.example.org"}); code != want {
			t.Errorf("the metrics listener answers %s with %d, want %d", path, code, want)
		}
	}
}

// A configuration from before there was a metrics listener works as it did, except that
// operators' routes refuse names that a web page could have.
func TestAdminAlone(t *testing.T) {
	w := onTCP(t, "")
	w.EditConfig("[metrics]\nlisten = \"127.0.0.1:0\"\n", "")
	w.Start()
	admin := w.Daemon.AdminAddr()
	if w.Daemon.MetricsAddr() != admin {
		t.Errorf("metrics at %s, admin at %s", w.Daemon.MetricsAddr(), admin)
	}
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/status", "/debug/pprof/", "/journal/backup"} {
		if code, _ := ask(t, "GET", admin, path, nil); code != 200 {
			t.Errorf("%s: %d", path, code)
		}
		code, _ := ask(t, "GET", admin, path, map[string]string{"Host": "evil.example.com"})
		monitoring := path == "/metrics" || path == "/healthz" || path == "/readyz"
		if (code == 200) != monitoring {
			t.Errorf("%s of another host: %d", path, code)
		}
	}
	if code, _ := ask(t, "POST", admin, "/debug/pprof/symbol", map[string]string{"Sec-Fetch-Site": "cross-site"}); code != 403 {
		t.Errorf("a web page's POST: %d", code)
	}
}

// On a socket there is no token, and without a metrics listener its routes are there.
func TestAdminOnASocket(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("[metrics]\nlisten = \"127.0.0.1:0\"\n", "")
	w.Start()
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/status", "/debug/pprof/", "/journal/backup"} {
		resp, err := daemontest.AdminClient(w.Daemon.AdminAddr()).Get("http://anything" + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
	path := w.Daemon.AdminAddr()
	w.Stop()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket of a daemon that has ended: %v", err)
	}
}

// A channel's readiness is its own.
func TestReadyOfAChannel(t *testing.T) {
	w := daemontest.New(t, smsctest.Profile{}, "")
	told := func(query string, want int, reason string) {
		t.Helper()
		if code, text := w.Admin("/readyz" + query); code != want || !strings.Contains(text, reason) {
			t.Errorf("%s: %d %.200q; want %d, %q", query, code, text, want, reason)
		}
	}
	for _, query := range []string{"", "?channel=sms", "?channel=email", "?verbose"} {
		told(query, 200, "ok")
	}
	for _, query := range []string{"?channel=", "?channel=SMS", "?channel=fax", "?channel=sms&channel=email"} {
		told(query, 400, "sms or email")
	}
	w.Relay.Close()
	eventually.True(t, "the loss of the relay", func() bool { return w.Daemon.Ready() != nil })
	told("", 503, "relay mx")
	told("?channel=email", 503, "relay mx")
	told("?channel=sms", 200, "ok")
	next := regexp.MustCompile(`relay mx: .*; next attempt to connect in [1-9][0-9]* s\n$`)
	for _, query := range []string{"", "?channel=email"} {
		eventually.True(t, "the next attempt to show", func() bool {
			_, text := w.Admin("/readyz" + query)
			return next.MatchString(text)
		})
	}
	eventually.True(t, "the status to have it too", func() bool {
		return strings.Contains(w.Daemon.Status().Reason, "; next attempt to connect in ")
	})
}

// A channel that is not set up can't send.
func TestReadyOfAChannelThatIsNot(t *testing.T) {
	w := daemontest.NewStopped(t, smsctest.Profile{}, relaytest.Profile{}, "")
	w.EditConfig("[[relay]]\nname = \"mx\"\naddr = \""+w.Relay.Addr()+"\"\ntls = \"off\"\n", "")
	w.Start()
	if code, _ := w.Admin("/readyz"); code != 200 {
		t.Errorf("/readyz: %d", code)
	}
	if code, text := w.Admin("/readyz?channel=email"); code != 503 || !strings.Contains(text, "not configured") {
		t.Errorf("no channel: %d %s", code, text)
	}
}

// Connections that say nothing keep nobody out, at either listener.
func TestPrivateListenersAtTheirBound(t *testing.T) {
	w := onTCP(t, "token_file = \"FILE\"")
	w.Start()
	for addr, path := range map[string]string{w.Daemon.AdminAddr(): "/status", w.Daemon.MetricsAddr(): "/readyz"} {
		for i := range 200 {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if i%2 == 0 { // half of a header
				io.WriteString(conn, "GET / HTTP/1.1\r\nHost: loc")
			}
		}
		if code, text := ask(t, "GET", addr, path, map[string]string{"Authorization": "Bearer " + aToken}); code != 200 {
			t.Errorf("%s: %d %s", path, code, text)
		}
	}
}

// A body is read after the token only, and not beyond its bound.
func TestAdminBody(t *testing.T) {
	w := onTCP(t, "token_file = \"FILE\"")
	w.Start()
	send := func(authorization string, length int64, body io.Reader) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+w.Daemon.AdminAddr()+"/debug/pprof/symbol", body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		r.Header.Set("Authorization", authorization)
		r.Header.Set("Expect", "100-continue")
		resp, err := daemontest.AdminClient(w.Daemon.AdminAddr()).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		return resp.StatusCode
	}
	if code := send("Bearer "+aToken, 4, strings.NewReader("0x12")); code != 200 {
		t.Errorf("a small body: %d", code)
	}
	if code := send("Bearer "+aToken, 5<<20, strings.NewReader(strings.Repeat("x", 5<<20))); code != 413 {
		t.Errorf("a large body: %d", code)
	}
	never, in := io.Pipe() // a body that does not come
	defer in.Close()
	if code := send("", 100, never); code != 401 {
		t.Errorf("no token: %d", code)
	}
}
