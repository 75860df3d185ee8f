package nodes

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"straks/internal/freeport"
	"straks/internal/pgcluster"
	"straks/smpp/smsctest"
)

// Options are those of a world. Zero values have the defaults named.
type Options struct {
	Program  func(args ...string) *exec.Cmd   // straks
	Nodes    int                              // 2
	Binds    int                              // of the account, all nodes together; 2
	Lease    time.Duration                    // of nodes; the program's default
	SMSC     smsctest.Profile                 // OnSubmit: the book's where it is nil
	Database *pgcluster.Cluster               // closed by its owner; nil: a new one, the world's own
	Journal  string                           // name of the database that has the journal; empty: the cluster's own
	DSN      func(id int, dsn string) string  // how a node connects to the database; nil: directly
	Carrier  func(id int, addr string) string // how it connects to the SMSC; nil: directly
	Peer     func(id int, addr string) string // where other nodes reach it; nil: directly
	API      string                           // more lines of [api]
	Account  string                           // more lines of [[smsc]]
	Token    string                           // of the organisation; random
	HA       bool                             // journal.ha
	Ports    bool                             // the API and the metrics of a node keep their ports when it starts again
}

// World is a database, an SMSC and nodes between them.
type World struct {
	DB    *pgcluster.Cluster
	SMSC  *smsctest.SMSC
	Nodes []*Node
	Book  *Book
	Token string // of the organisation ttd
	Front string // host:port of a proxy to which clients of Load go; empty: they take the nodes in turn

	outages outages

	owned   bool     // DB is
	journal string   // Options.Journal
	ports   []func() // which release what is reserved
	dir     string
	program func(args ...string) *exec.Cmd
	http    *http.Client
}

// Organisation is the one that orders.
const Organisation = "ttd"

// New makes a world whose nodes don't run yet: servers, an SMSC, configurations and an empty journal.
func New(ctx context.Context, o Options) (w *World, err error) {
	w = &World{Book: newBook(), Token: cmp.Or(o.Token, "straks_"+rand.Text()), DB: o.Database, owned: o.Database == nil, program: o.Program, journal: o.Journal,
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
	if o.SMSC.OnSubmit == nil {
		o.SMSC.OnSubmit, o.SMSC.OnAck = w.Book.submitted, w.Book.acknowledged
	}
	o.SMSC.Record = -1 // the book has them
	if w.SMSC, err = smsctest.Listen("127.0.0.1:0", o.SMSC); err != nil {
		return w, err
	}
	if err := w.configure(o); err != nil {
		return w, err
	}
	return w, w.run(ctx, "init", "-config", w.Nodes[0].Config)
}

// dsn returns how to connect to the journal.
func (w *World) dsn() string {
	if w.journal == "" {
		return w.DB.DSN()
	}
	return w.DB.DSNOf(w.journal)
}

// sql asks the journal.
func (w *World) sql(ctx context.Context, query string) (string, error) {
	if w.journal == "" {
		return w.DB.Primary.SQL(ctx, query)
	}
	return w.DB.Primary.SQLIn(ctx, w.journal, query)
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
		n.Config, n.Admin = filepath.Join(w.dir, n.Name+".toml"), filepath.Join(w.dir, n.Name+".sock")
		cert, key, err := ca.issue(n.Name, int64(n.ID))
		if err != nil {
			return err
		}
		peer, err := w.freePort()
		if err != nil {
			return err
		}
		api, metrics := "127.0.0.1:0", "127.0.0.1:0"
		if o.Ports {
			if api, err = w.freePort(); err != nil {
				return err
			}
			if metrics, err = w.freePort(); err != nil {
				return err
			}
		}
		dsn, carrier, reached, lease := w.dsn(), w.SMSC.Addr(), peer, ""
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
		text := fmt.Sprintf(configuration, api, o.API, metrics, n.Admin, dsn, o.HA, n.ID, "https://"+reached, peer, cert, key, ca.file(), lease,
			Organisation, sha256.Sum256([]byte(w.Token)), carrier, password, o.Binds, o.Account)
		if err := os.WriteFile(n.Config, []byte(text), 0o600); err != nil {
			return err
		}
		w.Nodes = append(w.Nodes, n)
	}
	return nil
}

// freePort returns an address on loopback that is kept for a node until Close: the configurations of the others have it,
// whether the node listens or not.
func (w *World) freePort() (string, error) {
	addr, release, err := freeport.Reserve("127.0.0.1:0")
	if err == nil {
		w.ports = append(w.ports, release)
	}
	return addr, err
}

const configuration = `
[api]
listen = %q
plain_http = true
send_deadline = "3s"
%s
[metrics]
listen = %q
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
%s
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
	for _, release := range w.ports {
		release()
	}
	if w.owned && w.DB != nil {
		errs = append(errs, w.DB.Close())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}
