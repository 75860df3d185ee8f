package inbox

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"straks/codes"
	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a daemon between carriers that an inbox watches, and the inbox's listener.
type world struct {
	*daemontest.World
	box *Inbox
	url string
}

func start(t *testing.T, smsc smsctest.Profile, change func(*Config)) *world {
	t.Helper()
	box := New(1 << 20)
	smsc.OnSubmit, smsc.OnReceipt = box.Submitted, box.Receipted
	w := &world{World: daemontest.NewStopped(t, smsc, relaytest.Profile{SMTPUTF8: true, Rules: relaytest.StandardRules(), OnMessage: box.Mailed},
		verification(t)), box: box}
	w.Start()
	c := Config{SMSC: w.SMSC, Relay: w.Relay, Client: w.Client, Limited: w.Client, Number: "2077", Log: slog.New(slog.DiscardHandler),
		Forward: func(by time.Duration) { w.Daemon.ForwardVerifications(by) }}
	if change != nil {
		change(&c)
	}
	s, err := NewServer(box, c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		s.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return w
}

// verification returns the section of the configuration, with a new key.
func verification(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "verification.key")
	if err := os.WriteFile(file, []byte(codes.NewKey().Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("[verification]\nkey_file = %q", file)
}

// answer is what the inbox said.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask makes a request; a form is sent as a browser's page of the inbox would.
func (w *world) ask(method, path string, form url.Values, headers ...string) answer {
	w.T.Helper()
	req, err := http.NewRequestWithContext(w.T.Context(), method, w.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.T.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		w.T.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.T.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// mail places an order for a mail.
func (w *world) mail(key string) error {
	_, err := w.Client.SendEmail(w.T.Context(), daemontest.Mail(key, "ola@example.org"))
	return err
}
