package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/api/client"
	"straks/internal/config"
	"straks/internal/daemon"
	"straks/internal/logtest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// world is a daemon in this process, between an SMSC and a relay, all over real
// sockets.
type world struct {
	t        *testing.T
	smsc     *smsctest.SMSC
	relay    *relaytest.Relay
	dir      string
	token    string
	log      *slog.Logger
	daemon   *daemon.Daemon
	registry *prometheus.Registry
	client   *client.Client
	stop     func()
}

// newWorld starts one. extra is added to the configuration, behind the SMSC's keys.
func newWorld(t *testing.T, profile smsctest.Profile, extra string) *world {
	t.Helper()
	w := newStoppedWorld(t, profile, relaytest.Profile{}, extra)
	w.start()
	return w
}

// newStoppedWorld makes a world with a journal, in which no daemon runs yet. One
// that is started is stopped at the test's end.
func newStoppedWorld(t *testing.T, profile smsctest.Profile, relay relaytest.Profile, extra string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), token: newToken(), log: slog.New(slog.DiscardHandler), stop: func() {}}
	var err error
	if w.smsc, err = smsctest.Listen("127.0.0.1:0", profile); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.smsc.Close() })
	if w.relay, err = relaytest.Listen("127.0.0.1:0", relay); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.relay.Close() })
	w.writeConfig(extra)
	if err := daemon.CreateJournal(w.config()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.stop() })
	return w
}

// keepLog has the daemon write its log, of every level, where the test can read it.
func (w *world) keepLog() *logtest.Log {
	log := &logtest.Log{}
	w.log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return log
}

func (w *world) configFile() string { return filepath.Join(w.dir, "straks.toml") }

// writeConfig writes the smallest configuration there is, and extra.
func (w *world) writeConfig(extra string) {
	password := filepath.Join(w.dir, "telco.password")
	text := fmt.Sprintf(`
[api]
listen = "127.0.0.1:0"
send_deadline = "2s"
[admin]
listen = "127.0.0.1:0"
[journal]
path = %q
[[organisation]]
name = "ttd"
inbound_numbers = ["2077", "+4759440000"]
[[organisation.token]]
name = "backend"
sha256 = "%x"
[[smsc]]
name = "telco"
addr = %q
system_id = "straks"
password_file = %q
%s
[[relay]]
name = "mx"
addr = %q
tls = "off"
`, filepath.Join(w.dir, "journal.db"), sha256.Sum256([]byte(w.token)), w.smsc.Addr(), password, extra, w.relay.Addr())
	for file, text := range map[string]string{password: "secret\n", w.configFile(): text} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

// configure puts lines into a section of the configuration that there is already.
func (w *world) configure(section, lines string) {
	w.t.Helper()
	w.editConfig(section+"\n", section+"\n"+lines+"\n")
}

// editConfig replaces a passage of the configuration.
func (w *world) editConfig(old, new string) {
	w.t.Helper()
	text, err := os.ReadFile(w.configFile())
	if err != nil || !strings.Contains(string(text), old) {
		w.t.Fatalf("%q is not in the configuration: %v", old, err)
	}
	if err := os.WriteFile(w.configFile(), []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) config() *config.Config {
	w.t.Helper()
	cfg, _, err := config.Load(w.configFile())
	if err != nil {
		w.t.Fatal(err)
	}
	return cfg
}

// start runs the daemon until stop, and returns when it is ready to send.
func (w *world) start() {
	w.t.Helper()
	var err error
	w.registry = prometheus.NewRegistry()
	if w.daemon, err = daemon.New(w.t.Context(), w.config(), w.log, w.registry); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.daemon.Run(ctx, func() {}) }()
	w.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
		w.daemon.Close()
		w.stop = func() {}
	}
	eventually(w.t, "the daemon to be ready", func() bool { return w.daemon.Ready() == nil })
	w.client = w.clientAt(w.daemon.APIAddr())
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func smsTo(key, number string) client.SMS {
	return client.SMS{IdempotencyID: key, SendersReference: "ref-" + key, Recipient: client.SMSRecipient{
		PhoneNumber: number, TTLSeconds: 120, Settings: client.SMSSettings{Body: "Your code is 123456"}}}
}

func mailTo(key, address string) client.Email {
	return client.Email{IdempotencyID: key, Recipient: client.EmailRecipient{EmailAddress: address,
		Settings: client.EmailSettings{Subject: "Your code", Body: "123456"}}}
}

func (w *world) send(key, number string) client.Placed {
	w.t.Helper()
	p, err := w.client.SendSMS(w.t.Context(), smsTo(key, number))
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// refused sends, and returns the problem that came back.
func (w *world) refused(key, number string) *client.Problem {
	w.t.Helper()
	p, err := w.client.SendSMS(w.t.Context(), smsTo(key, number))
	var problem *client.Problem
	if !errors.As(err, &problem) {
		w.t.Fatalf("answered %+v, %v; want a problem", p, err)
	}
	return problem
}

func (w *world) status(id string) string {
	w.t.Helper()
	s, err := w.client.Shipment(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Recipients[0].Status
}

// await waits for the shipment to reach a status.
func (w *world) await(id, status string) {
	w.t.Helper()
	eventually(w.t, status+" of "+id, func() bool { return w.status(id) == status })
}

// feed reads the whole feed, and holds it against what it promises.
func (w *world) feed() []client.FeedEntry {
	w.t.Helper()
	var all []client.FeedEntry
	for {
		page, err := w.client.Feed(w.t.Context(), client.FeedQuery{Seq: uint64(len(all)), PageSize: 7})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		for _, e := range page {
			if e.SequenceNumber != uint64(len(all)+1) {
				w.t.Fatalf("entry %d follows entry %d", e.SequenceNumber, len(all))
			}
			all = append(all, e)
		}
	}
}

// statuses are those of one shipment in the feed, in order.
func (w *world) statuses(id string) string {
	var all []string
	for _, e := range w.feed() {
		if e.ShipmentID == id {
			all = append(all, e.Recipients[0].Status)
		}
	}
	return strings.Join(all, " ")
}

func (w *world) admin(path string) (int, string) {
	w.t.Helper()
	resp, err := http.Get("http://" + w.daemon.AdminAddr() + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var text strings.Builder
	if err := resp.Write(&text); err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, text.String()
}
