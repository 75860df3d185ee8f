package nodes

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"straks/internal/pgcluster"
	"straks/smpp/smsctest"
)

// Options are those of a world. Zero values have the defaults named.
type Options struct {
	Program  func(args ...string) *exec.Cmd   // straks
	Nodes    int                              // 2
	Binds    int                              // of the account, all nodes together; 2
	Lease    time.Duration                    // of nodes; the program's default
	SMSC     smsctest.Profile                 // OnSubmit is the book's
	Database *pgcluster.Cluster               // closed by its owner; nil: a new one, the world's own
	DSN      func(id int, dsn string) string  // how a node connects to the database; nil: directly
	Carrier  func(id int, addr string) string // how it connects to the SMSC; nil: directly
	Peer     func(id int, addr string) string // where other nodes reach it; nil: directly
	API      string                           // more lines of [api]
	HA       bool                             // journal.ha
}

// World is a database, an SMSC and nodes between them.
type World struct {
	DB    *pgcluster.Cluster
	SMSC  *smsctest.SMSC
	Nodes []*Node
	Book  *Book
	Token string // of the organisation ttd

	owned   bool // DB is
	dir     string
	program func(args ...string) *exec.Cmd
	http    *http.Client
}

// Organisation is the one that orders.
const Organisation = "ttd"

// New makes a world whose nodes don't run yet: servers, an SMSC, configurations and an empty journal.
func New(ctx context.Context, o Options) (w *World, err error) {
	w = &World{Book: newBook(), Token: "straks_" + rand.Text(), DB: o.Database, owned: o.Database == nil, program: o.Program,
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
			w = nil
		}
	}()
	if w.dir, err = os.MkdirTemp("", "straks-nodes-"); err != nil {
		return w, err
	}
	if w.owned {
		if w.DB, err = pgcluster.Start(ctx, pgcluster.Options{}); err != nil {
			return w, err
		}
	}
	o.SMSC.OnSubmit = w.Book.submitted
	o.SMSC.Record = -1 // the book has them
	if w.SMSC, err = smsctest.Listen("127.0.0.1:0", o.SMSC); err != nil {
		return w, err
	}
	if err := w.configure(o); err != nil {
		return w, err
	}
	return w, w.run(ctx, "init", "-config", w.Nodes[0].Config)
}

// run runs a command of straks to its end.
func (w *World) run(ctx context.Context, args ...string) error {
	cmd := w.program(args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("straks %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return ctx.Err()
}

// configure writes the files of all nodes.
func (w *World) configure(o Options) error {
	password := filepath.Join(w.dir, "smsc.password")
	if err := os.WriteFile(password, []byte("secret\n"), 0o600); err != nil {
		return err
	}
	if o.Nodes == 0 {
		o.Nodes = 2
	}
	if o.Binds == 0 {
		o.Binds = 2
	}
	ca, err := newAuthority(w.dir)
	if err != nil {
		return err
	}
	for i := range o.Nodes {
		n := &Node{ID: i + 1, Name: string(rune('a' + i)), world: w}
		n.Config = filepath.Join(w.dir, n.Name+".toml")
		cert, key, err := ca.issue(n.Name, int64(n.ID))
		if err != nil {
			return err
		}
		peer, err := freePort()
		if err != nil {
			return err
		}
		dsn, carrier, reached, lease := w.DB.DSN(), w.SMSC.Addr(), peer, ""
		if o.Peer != nil {
			reached = o.Peer(n.ID, peer)
		}
		if o.DSN != nil {
			dsn = o.DSN(n.ID, dsn)
		}
		if o.Carrier != nil {
			carrier = o.Carrier(n.ID, carrier)
		}
		if o.Lease > 0 {
			lease = fmt.Sprintf("lease = %q", o.Lease)
		}
		text := fmt.Sprintf(configuration, o.API, filepath.Join(w.dir, n.Name+".sock"), dsn, o.HA, n.ID, "https://"+reached, peer, cert, key, ca.file(), lease,
			Organisation, sha256.Sum256([]byte(w.Token)), carrier, password, o.Binds)
		if err := os.WriteFile(n.Config, []byte(text), 0o600); err != nil {
			return err
		}
		w.Nodes = append(w.Nodes, n)
	}
	return nil
}

// freePort returns an address on loopback that nobody listens on: the other nodes' configurations need it before the
// node listens.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

const configuration = `
[api]
listen = "127.0.0.1:0"
plain_http = true
send_deadline = "3s"
%s
[metrics]
listen = "127.0.0.1:0"
[admin]
listen = %q
[journal]
engine = "postgres"
postgres = %q
ha = %v
[node]
id = %d
url = %q
listen = %q
tls_cert_file = %q
tls_key_file = %q
tls_ca_file = %q
%s
[numbers]
home = ["*"]
[[organisation]]
name = %q
[[organisation.token]]
name = "clients"
sha256 = "%x"
[[smsc]]
name = "telco"
addr = %q
system_id = "straks"
password_file = %q
binds = %d
reconnect_max = "1s"
`

// StartAll starts all nodes, and waits until they are ready.
func (w *World) StartAll(ctx context.Context) error {
	for _, n := range w.Nodes {
		if err := n.Start(ctx); err != nil {
			return err
		}
	}
	for _, n := range w.Nodes {
		if err := n.AwaitReady(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Close ends everything, at any stage.
func (w *World) Close() error {
	var errs []error
	for _, n := range w.Nodes {
		errs = append(errs, n.Kill())
	}
	if w.SMSC != nil {
		w.SMSC.Close()
	}
	w.http.CloseIdleConnections()
	if w.owned && w.DB != nil {
		errs = append(errs, w.DB.Close())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}
