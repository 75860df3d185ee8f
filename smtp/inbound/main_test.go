package inbound

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"straks/smtp/returnpath"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a running server and what its handler got.
type world struct {
	*Server
	addr   string
	socket string
	keys   *returnpath.Keys
	logged *lockedBuffer

	mu      sync.Mutex
	reports []Mail
	forward []Mail
	fail    error // of the handler

	stop func() // ends the server, and waits for it
}

type lockedBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start runs a server until the test's end.
func start(t *testing.T, change func(*Config)) *world {
	t.Helper()
	keys, err := returnpath.NewKeys(returnpath.NewKey(), nil)
	if err != nil {
		t.Fatal(err)
	}
	config := Config{Hostname: "mx.retur.example", Domain: "retur.example", Keys: keys}
	if change != nil {
		change(&config)
	}
	w := &world{keys: keys, logged: new(lockedBuffer)}
	if w.Server, err = New(config, slog.New(slog.NewTextHandler(w.logged, nil)), prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.addr, w.socket = tcp.Addr().String(), filepath.Join(t.TempDir(), "lmtp")
	unix, err := net.Listen("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- w.Run(ctx, tcp, unix, Handler{Report: w.keep(&w.reports), Forward: w.keep(&w.forward)})
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(w.stop)
	return w
}

// keep stores mails in a list, or fails.
func (w *world) keep(list *[]Mail) func(context.Context, Mail) error {
	return func(_ context.Context, m Mail) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.fail != nil {
			return w.fail
		}
		m.Data = []byte(string(m.Data))
		*list = append(*list, m)
		return nil
	}
}

func (w *world) setFail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = err
}

// stored returns the reports so far.
func (w *world) stored() []Mail {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Mail(nil), w.reports...)
}

func (w *world) counted(r result) int {
	return int(testutil.ToFloat64(w.metrics.mails.WithLabelValues("smtp", string(r))))
}

// address returns a return path with a token.
func (w *world) address(id uuid.UUID) string { return w.keys.Address(id, "retur.example") }

// caller is a mail server that may do anything.
type caller struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

// patience is far beyond what a loaded machine needs.
const patience = 5 * time.Minute

// dial connects from a loopback address of its own, and reads the greeting.
func (w *world) dial(t *testing.T, n int) *caller {
	t.Helper()
	p := w.connect(t, n)
	p.want("220")
	return p
}

func (w *world) connect(t *testing.T, n int) *caller {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, byte(n/250), byte(n%250+1))}}
	nc, err := d.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return &caller{t, nc, bufio.NewReader(nc)}
}

// reply reads a whole reply; what came before the end of the connection.
func (p *caller) reply() string {
	var all strings.Builder
	for {
		line, err := p.in.ReadString('\n')
		all.WriteString(line)
		if err != nil || len(line) < 4 || line[3] == ' ' {
			return all.String()
		}
	}
}

// want reads a reply, which must begin like that.
func (p *caller) want(prefix string) string {
	p.t.Helper()
	got := p.reply()
	if !strings.HasPrefix(got, prefix) {
		p.t.Fatalf("reply %q, want %s", got, prefix)
	}
	return got
}

// say sends a command and wants a reply.
func (p *caller) say(command, want string) string {
	p.t.Helper()
	p.send(command + "\r\n")
	return p.want(want)
}

func (p *caller) send(octets string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, octets); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// closed waits for the end of the connection, and returns what came before.
func (p *caller) closed() string {
	rest, err := io.ReadAll(p.in)
	if err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Fatalf("the connection is still open; it said %q", rest)
	}
	return string(rest)
}

// secure begins TLS.
func (p *caller) secure() {
	p.t.Helper()
	p.say("STARTTLS", "220")
	c := tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	p.Conn, p.in = c, bufio.NewReader(c)
}

const sample = "Subject: report\r\n\r\nDelivered, as far as I know.\r\n"

// report sends a whole mail.
func (p *caller) report(to, mail, want string) {
	p.t.Helper()
	p.say("MAIL FROM:<>", "250")
	p.say("RCPT TO:<"+to+">", "250")
	p.say("DATA", "354")
	p.send(mail + ".\r\n")
	p.want(want)
}

// certificateFiles writes a certificate, valid until the given time.
func certificateFiles(t *testing.T, dir string, until time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx"}, NotAfter: until, DNSNames: []string{"mx.retur.example"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// withTLS adds a certificate to the configuration.
func withTLS(t *testing.T) func(*Config) {
	cert, key := certificateFiles(t, t.TempDir(), time.Now().Add(time.Hour))
	return func(c *Config) { c.CertFile, c.KeyFile = cert, key }
}

var errAway = fmt.Errorf("store: %w", errors.New("away"))
