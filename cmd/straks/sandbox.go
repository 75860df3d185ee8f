package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/config"
	"straks/internal/daemon"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

const sandboxOrg = "ttd"

// sandbox is a daemon on loopback between a simulated SMSC and a simulated relay,
// with a journal in a temporary folder and a token. Its JSON is the command's output.
type sandbox struct {
	daemon *daemon.Daemon
	smsc   *smsctest.SMSC
	relay  *relaytest.Relay
	dir    string

	BaseURL string `json:"baseURL"`
	Token   string `json:"token"`
	Org     string `json:"org"`
	Admin   string `json:"admin"`
	Docs    string `json:"docs"`
	SMSC    string `json:"smsc"`
	Relay   string `json:"relay"`
}

// sandboxCommand runs a sandbox until a signal. When everything is ready it prints one
// line of JSON with all addresses.
func sandboxCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("sandbox [-listen ADDR]")
	listen := fs.String("listen", "127.0.0.1:8080", "address of the API; port 0 picks one")
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	sb, err := newSandbox(ctx, *listen, e)
	if err != nil {
		return err
	}
	defer sb.close()
	return sb.daemon.Run(ctx, func() {
		sb.awaitCarriers(ctx)
		_ = json.NewEncoder(e.stdout).Encode(sb)
	})
}

// awaitCarriers waits until the daemon is bound and connected, which takes
// milliseconds: a reader of the line may ask for /readyz at once.
func (sb *sandbox) awaitCarriers(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for sb.daemon.Ready() != nil && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
}

// newSandbox returns a sandbox whose daemon does not run yet. The caller closes it.
func newSandbox(ctx context.Context, listen string, e env) (_ *sandbox, err error) {
	sb := &sandbox{Org: sandboxOrg, Token: newToken()}
	defer func() {
		if err != nil {
			sb.close()
		}
	}()
	if sb.dir, err = os.MkdirTemp("", "straks-sandbox-"); err != nil {
		return nil, err
	}
	if sb.smsc, err = smsctest.Listen("127.0.0.1:0", smsctest.Sandbox()); err != nil {
		return nil, err
	}
	if sb.relay, err = relaytest.Listen("127.0.0.1:0", relaytest.Profile{SMTPUTF8: true, Rules: relaytest.StandardRules()}); err != nil {
		return nil, err
	}
	sb.SMSC, sb.Relay = sb.smsc.Addr(), sb.relay.Addr()
	cfg, err := sb.config(listen)
	if err != nil {
		return nil, err
	}
	if err := daemon.CreateJournal(cfg, 0); err != nil {
		return nil, err
	}
	if sb.daemon, err = daemon.New(ctx, cfg, newLogger(e.stderr, cfg), prometheus.NewRegistry()); err != nil {
		return nil, err
	}
	sb.BaseURL = "http://" + sb.daemon.APIAddr() + cfg.API.BasePath
	sb.Admin = "http://" + sb.daemon.AdminAddr()
	sb.Docs = "http://" + sb.daemon.APIAddr() + "/docs"
	return sb, nil
}

// config writes and reads a configuration file, so that a sandbox is set up like any
// other daemon.
func (sb *sandbox) config(listen string) (*config.Config, error) {
	file := filepath.Join(sb.dir, "straks.toml")
	password := filepath.Join(sb.dir, "smsc.password")
	text := fmt.Sprintf(sandboxConfig, listen, filepath.Join(sb.dir, "journal.db"), sb.Org,
		sha256.Sum256([]byte(sb.Token)), sb.SMSC, password, sb.Relay)
	if err := os.WriteFile(password, []byte("sandbox"), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, []byte(strings.TrimSpace(text)), 0o600); err != nil {
		return nil, err
	}
	cfg, _, err := config.Load(file)
	return cfg, err
}

const sandboxConfig = `
[api]
listen = %q
docs = true
[admin]
listen = "127.0.0.1:0"
[log]
level = "warn"
[journal]
path = %q
[[organisation]]
name = %q
[[organisation.token]]
name = "sandbox"
sha256 = "%x"
[[smsc]]
name = "sandbox"
addr = %q
system_id = "straks"
password_file = %q
errors = { "013" = "barred" }
[[relay]]
name = "sandbox"
addr = %q
tls = "off"
`

// close releases everything, at any stage.
func (sb *sandbox) close() {
	if sb.daemon != nil {
		sb.daemon.Close()
	}
	if sb.smsc != nil {
		sb.smsc.Close()
	}
	if sb.relay != nil {
		sb.relay.Close()
	}
	if sb.dir != "" {
		os.RemoveAll(sb.dir)
	}
}
