// Package daemontest runs a whole daemon for tests: in the test's own process, over
// real sockets, between a simulated SMSC and a simulated relay.
//
//	world.go    World: a daemon, its carriers, its journal and a client
//	systemd.go  Manager: systemd's end of sd_notify(3)
package daemontest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/api/client"
	"straks/internal/config"
	"straks/internal/daemon"
	"straks/internal/eventually"
	"straks/internal/logtest"
	"straks/orders/bolt"
	"straks/orders/sealed"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
	"straks/smtp/returnpath"
)

// OfNode matches the metrics that only a daemon has whose journal is in PostgreSQL.
var OfNode = regexp.MustCompile(`^straks_(node_[a-z_]+|slots|forwarded_total|limits_others_[a-z_]+|journal_(barrier|retries|unreplicated)_[a-z_]+)$`)

// World is a daemon between an SMSC and a relay. Its methods fail the test on an error.
type World struct {
	T        *testing.T
	SMSC     *smsctest.SMSC
	Relay    *relaytest.Relay
	Dir      string       // of configuration and journal
	Token    string       // of the organisation ttd
	Log      *slog.Logger // of the daemon; it discards everything unless KeepLog is called
	Daemon   *daemon.Daemon
	Registry *prometheus.Registry
	Client   *client.Client
	Stop     func() // stops the daemon; does nothing where none runs

	socket string // of the admin listener
}

// New returns a world whose daemon runs and is ready. extra is added to the
// configuration, after the SMSC's keys.
func New(t *testing.T, profile smsctest.Profile, extra string) *World {
	t.Helper()
	w := NewStopped(t, profile, relaytest.Profile{}, extra)
	w.Start()
	return w
}

// NewStopped returns a world with a journal whose daemon does not run yet. The end
// of the test stops one that was started.
func NewStopped(t *testing.T, profile smsctest.Profile, relay relaytest.Profile, extra string) *World {
	t.Helper()
	w := &World{T: t, Dir: t.TempDir(), Token: rand.Text(), Log: slog.New(slog.DiscardHandler), Stop: func() {}}
	var err error
	if w.SMSC, err = smsctest.Listen("127.0.0.1:0", profile); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.SMSC.Close() })
	if w.Relay, err = relaytest.Listen("127.0.0.1:0", relay); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Relay.Close() })
	sockets, err := os.MkdirTemp("", "straks-") // the path of a socket must be short; T.TempDir's may be long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(sockets) })
	w.socket = filepath.Join(sockets, "admin.sock")
	w.writeConfig(extra)
	if err := daemon.CreateJournal(w.Config(), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Stop() })
	return w
}

// KeepLog returns the log that the daemon will write, with every level.
func (w *World) KeepLog() *logtest.Log {
	log := &logtest.Log{}
	w.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return log
}

// ConfigFile returns the path of the configuration.
func (w *World) ConfigFile() string { return filepath.Join(w.Dir, "straks.toml") }

// JournalFile returns the path of the journal.
func (w *World) JournalFile() string { return filepath.Join(w.Dir, "journal.db") }

// writeConfig writes the smallest configuration, and extra.
func (w *World) writeConfig(extra string) {
	password := filepath.Join(w.Dir, "telco.password")
	text := fmt.Sprintf(`
[api]
listen = "127.0.0.1:0"
send_deadline = "20s"
drain_timeout = "30s"
[metrics]
listen = "127.0.0.1:0"
[admin]
listen = %q
[journal]
path = %q
stall_after = "1m"
[numbers]
home = ["*"]
[limits]
recipient = []
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
`, w.socket, w.JournalFile(), sha256.Sum256([]byte(w.Token)), w.SMSC.Addr(), password, extra, w.Relay.Addr())
	for file, text := range map[string]string{password: "secret\n", w.ConfigFile(): text} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			w.T.Fatal(err)
		}
	}
}

// Configure adds lines to a section that the configuration has.
func (w *World) Configure(section, lines string) {
	w.T.Helper()
	w.EditConfig(section+"\n", section+"\n"+lines+"\n")
}

// EditConfig replaces a passage of the configuration.
func (w *World) EditConfig(old, new string) {
	w.T.Helper()
	text, err := os.ReadFile(w.ConfigFile())
	if err != nil || !strings.Contains(string(text), old) {
		w.T.Fatalf("%q is not in the configuration: %v", old, err)
	}
	if err := os.WriteFile(w.ConfigFile(), []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		w.T.Fatal(err)
	}
}

// ShortenDeadline sets the send deadline to five seconds, for a test that waits until it has passed. It comes before
// Start.
func (w *World) ShortenDeadline() {
	w.T.Helper()
	w.EditConfig(`send_deadline = "20s"`, `send_deadline = "5s"`)
}

// BounceDomain is the domain of return paths of a world that takes reports.
const BounceDomain = "retur.example.org"

// TakeReports lets the daemon listen for reports about mails, on TCP and on a unix socket. lines are further keys of
// [mail]. It comes before Start.
func (w *World) TakeReports(lines string) {
	w.T.Helper()
	key := filepath.Join(w.Dir, "return-path.key")
	if err := os.WriteFile(key, []byte(returnpath.NewKey().Text()), 0o600); err != nil {
		w.T.Fatal(err)
	}
	w.EditConfig("[[relay]]\n", fmt.Sprintf("[mail]\nbounce_domain = %q\nreturn_path_key_file = %q\nlisten = \"127.0.0.1:0\"\nlmtp = %q\n%s\n[[relay]]\n",
		BounceDomain, key, w.LMTPSocket(), lines))
}

// LMTPSocket returns the path of the socket for reports.
func (w *World) LMTPSocket() string { return filepath.Join(filepath.Dir(w.socket), "lmtp.sock") }

// Config reads the configuration.
func (w *World) Config() *config.Config {
	w.T.Helper()
	cfg, _, err := config.Load(w.ConfigFile())
	if err != nil {
		w.T.Fatal(err)
	}
	return cfg
}

// Start runs the daemon until Stop, and returns when it is ready to send.
func (w *World) Start() {
	w.T.Helper()
	var err error
	w.Registry = prometheus.NewRegistry()
	if w.Daemon, err = daemon.New(w.T.Context(), w.Config(), w.Log, w.Registry); err != nil {
		w.T.Fatal(err)
	}
	w.Daemon.OnReload(func() (*config.Config, []config.Warning, error) { return config.Load(w.ConfigFile()) }, func(*config.Config) {})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Daemon.Run(ctx, func() {}) }()
	w.Stop = func() {
		cancel()
		if err := <-ended; err != nil {
			w.T.Error(err)
		}
		w.Daemon.Close()
		w.Stop = func() {}
	}
	eventually.True(w.T, "the daemon to be ready", func() bool { return w.Daemon.Ready() == nil })
	w.Client = w.ClientAt(w.Daemon.APIAddr())
}

// SMS returns an order of an SMS, with a text that has the code 123456.
func SMS(key, number string) client.SMS {
	return client.SMS{IdempotencyID: key, SendersReference: "ref-" + key, Recipient: client.SMSRecipient{
		PhoneNumber: number, TTLSeconds: 120, Settings: client.SMSSettings{Body: "Your code is 123456"}}}
}

// Mail returns an order of an e-mail with the code 123456.
func Mail(key, address string) client.Email {
	return client.Email{IdempotencyID: key, Recipient: client.EmailRecipient{EmailAddress: address,
		Settings: client.EmailSettings{Subject: "Your code", Body: "123456"}}}
}

// Send places an SMS order.
func (w *World) Send(key, number string) client.Placed {
	w.T.Helper()
	p, err := w.Client.SendSMS(w.T.Context(), SMS(key, number))
	if err != nil {
		w.T.Fatal(err)
	}
	return p
}

// Refused places an SMS order, and returns the problem that is the answer.
func (w *World) Refused(key, number string) *client.Problem {
	w.T.Helper()
	p, err := w.Client.SendSMS(w.T.Context(), SMS(key, number))
	var problem *client.Problem
	if !errors.As(err, &problem) {
		w.T.Fatalf("answered %+v, %v; want a problem", p, err)
	}
	return problem
}

// Status returns the status of a shipment.
func (w *World) Status(id string) string {
	w.T.Helper()
	s, err := w.Client.Shipment(w.T.Context(), id)
	if err != nil {
		w.T.Fatal(err)
	}
	return s.Recipients[0].Status
}

// Await waits until the shipment reaches a status.
func (w *World) Await(id, status string) {
	w.T.Helper()
	eventually.True(w.T, status+" of "+id, func() bool { return w.Status(id) == status })
}

// Feed reads the whole feed, and checks that its sequence numbers have no gap.
func (w *World) Feed() []client.FeedEntry {
	w.T.Helper()
	var all []client.FeedEntry
	for {
		page, err := w.Client.Feed(w.T.Context(), client.FeedQuery{Seq: uint64(len(all)), PageSize: 7, All: true})
		if err != nil {
			w.T.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		for _, e := range page {
			if e.SequenceNumber != uint64(len(all)+1) {
				w.T.Fatalf("entry %d follows entry %d", e.SequenceNumber, len(all))
			}
			all = append(all, e)
		}
	}
}

// Statuses returns those of one shipment in the feed, in order.
func (w *World) Statuses(id string) string {
	var all []string
	for _, e := range w.Feed() {
		if e.ShipmentID == id {
			all = append(all, e.Recipients[0].Status)
		}
	}
	return strings.Join(all, " ")
}

// Admin asks the admin listener, or the metrics listener for what is there; text is the whole
// answer.
func (w *World) Admin(path string) (code int, text string) {
	w.T.Helper()
	addr := w.Daemon.AdminAddr()
	if slices.ContainsFunc([]string{"/metrics", "/healthz", "/readyz"}, func(p string) bool { return strings.HasPrefix(path, p) }) {
		addr = w.Daemon.MetricsAddr()
	}
	resp, err := AdminClient(addr).Get("http://localhost" + path)
	if err != nil {
		w.T.Fatal(err)
	}
	defer resp.Body.Close()
	var answer strings.Builder
	if err := resp.Write(&answer); err != nil {
		w.T.Fatal(err)
	}
	return resp.StatusCode, answer.String()
}

// AdminClient returns a client of a listener at an address: host:port, or the path of a socket.
func AdminClient(addr string) *http.Client {
	network := "tcp"
	if strings.Contains(addr, "/") {
		network = "unix"
	}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}}}
}

// patience bounds a call to the daemon, however slow the machine is.
const patience = 5 * time.Minute

// ClientAt returns a client of the daemon at an address, or at the path of a socket.
func (w *World) ClientAt(addr string) *client.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if path := addr; filepath.IsAbs(path) {
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", path) }
		addr = "straks"
	}
	w.T.Cleanup(transport.CloseIdleConnections)
	c, err := client.New("http://"+addr+"/notifications/api/v1", w.Token, &http.Client{Transport: transport, Timeout: patience})
	if err != nil {
		w.T.Fatal(err)
	}
	return c
}

// ShareJournal puts the journal into a database, in place of the file. node has the keys of [node]. The journal is not made.
func (w *World) ShareJournal(dsn, node string) {
	w.T.Helper()
	w.EditConfig(fmt.Sprintf("path = %q\nstall_after = \"1m\"\n", w.JournalFile()), fmt.Sprintf("engine = \"postgres\"\nha = false\npostgres = %q\n[node]\n%s\n", dsn, node))
}

// SealJournal gives the journal a key, with which the daemon encrypts recipients from its next start on.
func (w *World) SealJournal() {
	w.T.Helper()
	file := filepath.Join(w.Dir, "journal-key.password")
	if err := os.WriteFile(file, []byte(sealed.NewKey().Text()+"\n"), 0o600); err != nil {
		w.T.Fatal(err)
	}
	w.Configure("[journal]", fmt.Sprintf("key_file = %q", file))
}

// CheckJournal walks every invariant of the journal at path.
func CheckJournal(t *testing.T, path string) {
	t.Helper()
	j, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// KeyOf returns the key of an order whose text begins with the key and a colon.
func KeyOf(s smsctest.Submit) string {
	key, _, _ := strings.Cut(s.Text(), ":")
	return key
}
