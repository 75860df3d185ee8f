package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/api/client"
	"straks/codes"
	"straks/internal/config"
	"straks/internal/daemon"
	"straks/internal/inbox"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
	"straks/smtp/returnpath"
)

const (
	sandboxOrg = "ttd"
	// limitedSuffix makes the token of an organisation with a small rate out of the token.
	limitedSuffix = "-limited"
	// sandboxNumber is the short code whose messages reach the organisation.
	sandboxNumber = "2077"
	// inboxLimit bounds the messages that the inbox keeps, in octets.
	inboxLimit = 64 << 20
)

// sandbox is a daemon on loopback between a simulated SMSC and a simulated relay, with a
// journal in a temporary folder, a token, and an inbox that shows what the carriers got. Its
// JSON is the command's output where that is no terminal.
type sandbox struct {
	daemon *daemon.Daemon
	smsc   *smsctest.SMSC
	relay  *relaytest.Relay
	inbox  *inbox.Server
	page   net.Listener // of the inbox
	dir    string

	BaseURL string `json:"baseURL"`
	Token   string `json:"token"`
	Org     string `json:"org"`
	Inbox   string `json:"inbox"`
	Admin   string `json:"admin"`
	Docs    string `json:"docs"`
	SMSC    string `json:"smsc"`
	Relay   string `json:"relay"`
}

// sandboxOptions is the command line of straks sandbox.
type sandboxOptions struct {
	listen string // of the API; the inbox and the admin listener have the next two ports
	token  string // empty: a new one
	hosts  []string
}

// sandboxCommand runs a sandbox until a signal. When everything is ready it prints where
// everything is: for a person on a terminal, else as one line of JSON.
func sandboxCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("sandbox [-listen ADDR] [-token TOKEN] [-host NAME]… [-json]")
	o := sandboxOptions{}
	fs.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`address` of the API; the inbox has the next port, and the admin listener the one after, on loopback. Port 0 picks three. In a container: 0.0.0.0:8080")
	fs.StringVar(&o.token, "token", os.Getenv("STRAKS_TOKEN"), "the `token` of clients (default: STRAKS_TOKEN, or else a new one)")
	fs.Func("host", "a `name` under which browsers reach the inbox, beside localhost and addresses; may be repeated",
		func(v string) error { o.hosts = append(o.hosts, v); return nil })
	asJSON := fs.Bool("json", false, "print one line of JSON on a terminal too")
	fs.Lookup("token").DefValue = "" // the help shows no token
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	sb, err := newSandbox(ctx, o, e)
	if err != nil {
		return err
	}
	defer sb.close()
	ctx, cancel := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		served <- sb.inbox.Serve(ctx, sb.page)
		cancel() // without its inbox the daemon ends too
	}()
	err = sb.daemon.Run(ctx, func() {
		sb.awaitCarriers(ctx)
		if *asJSON || !isTerminal(e.stdout) {
			_ = printJSON(e.stdout, sb)
		} else {
			sb.print(e.stdout)
		}
	})
	cancel()
	return errors.Join(err, <-served)
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
func newSandbox(ctx context.Context, o sandboxOptions, e env) (_ *sandbox, err error) {
	sb := &sandbox{Org: sandboxOrg, Token: cmp.Or(o.token, newToken())}
	if err := checkSandboxToken(sb.Token); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			sb.close()
			err = explainPort(err)
		}
	}()
	if sb.dir, err = os.MkdirTemp("", "straks-sandbox-"); err != nil {
		return nil, err
	}
	box := inbox.New(inboxLimit)
	if err := sb.simulate(box); err != nil {
		return nil, err
	}
	cfg, err := sb.config(o.listen)
	if err != nil {
		return nil, err
	}
	if err := daemon.CreateJournal(cfg, 0); err != nil {
		return nil, err
	}
	if sb.daemon, err = daemon.New(ctx, cfg, newLogger(e.stderr, cfg), prometheus.NewRegistry()); err != nil {
		return nil, err
	}
	sb.relay.ReportTo("tcp", sb.daemon.MailAddr())
	if sb.page, err = net.Listen("tcp", nextPort(o.listen, 1)); err != nil {
		return nil, fmt.Errorf("the inbox: %w", err)
	}
	host := reachable(o.listen)
	sb.BaseURL = "http://" + at(host, sb.daemon.APIAddr()) + cfg.API.BasePath
	sb.Admin = "http://" + sb.daemon.AdminAddr()
	sb.Docs = "http://" + at(host, sb.daemon.APIAddr()) + "/docs"
	sb.Inbox = "http://" + at(host, sb.page.Addr().String())
	return sb, sb.show(box, o, cfg, e)
}

// simulate starts the carriers, which tell the inbox of what they get.
func (sb *sandbox) simulate(box *inbox.Inbox) (err error) {
	p := smsctest.Sandbox()
	p.Record = -1 // the inbox has them
	p.OnSubmit, p.OnReceipt = box.Submitted, box.Receipted
	if sb.smsc, err = smsctest.Listen("127.0.0.1:0", p); err != nil {
		return err
	}
	relay := relaytest.Sandbox()
	relay.Keep, relay.OnMessage = 1, box.Mailed // the inbox has them
	if sb.relay, err = relaytest.Listen("127.0.0.1:0", relay); err != nil {
		return err
	}
	sb.SMSC, sb.Relay = sb.smsc.Addr(), sb.relay.Addr()
	return nil
}

// show makes the server of the inbox.
func (sb *sandbox) show(box *inbox.Inbox, o sandboxOptions, cfg *config.Config, e env) error {
	api := "http://" + at("127.0.0.1", sb.daemon.APIAddr()) + cfg.API.BasePath
	if !local(o.listen) {
		api = "http://" + at(reachable(o.listen), sb.daemon.APIAddr()) + cfg.API.BasePath
	}
	c, err := client.New(api, sb.Token, nil)
	if err != nil {
		return err
	}
	limited, err := client.New(api, sb.Token+limitedSuffix, nil)
	if err != nil {
		return err
	}
	sb.inbox, err = inbox.NewServer(box, inbox.Config{SMSC: sb.smsc, Relay: sb.relay, Client: c, Limited: limited,
		Forward: sb.daemon.ForwardVerifications, URL: sb.BaseURL, Token: sb.Token, Docs: sb.Docs, Number: sandboxNumber, Hosts: o.hosts, Remote: !local(o.listen), Log: newLogger(e.stderr, cfg)})
	return err
}

// checkSandboxToken refuses a token that no client could send (RFC 6750 §2.1).
func checkSandboxToken(token string) error {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/="
	if strings.Trim(token, allowed) != "" || len(token) > 1000 {
		return misused("sandbox: a token has letters, digits and -._~+/= only, 1000 at most: give another by -token or STRAKS_TOKEN")
	}
	return nil
}

// nextPort returns the address with a port that is n higher. Port 0 stays.
func nextPort(addr string, n int) string {
	host, port, err := net.SplitHostPort(addr)
	number, bad := strconv.Atoi(port)
	if err != nil || bad != nil || number == 0 {
		return net.JoinHostPort(host, "0")
	}
	return net.JoinHostPort(host, strconv.Itoa(number+n))
}

// local reports whether the address is reached from this machine only.
func local(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// reachable returns the host under which this machine reaches a listener.
func reachable(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return "localhost"
	}
	return host
}

// at returns the address of a listener with another host.
func at(host, addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return net.JoinHostPort(host, port)
}

// explainPort adds to the error of a taken port what can be done about it.
func explainPort(err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return fmt.Errorf("%w\nAnother program has that port, perhaps another sandbox (\"ss -ltnp\" shows it).\n"+
		"End that program, or give this sandbox three other ports: straks sandbox -listen 127.0.0.1:9080", err)
}

// config writes and reads a configuration file, so that a sandbox is set up like any
// other daemon.
func (sb *sandbox) config(listen string) (*config.Config, error) {
	file := filepath.Join(sb.dir, "straks.toml")
	password, key, codeKey := filepath.Join(sb.dir, "smsc.password"), filepath.Join(sb.dir, "return-path.key"), filepath.Join(sb.dir, "verification.key")
	text := fmt.Sprintf(sandboxConfig, listen, nextPort("127.0.0.1:"+portOf(listen), 2), filepath.Join(sb.dir, "journal.db"), sb.Org,
		sandboxNumber, sha256.Sum256([]byte(sb.Token)), sb.Org+limitedSuffix, sha256.Sum256([]byte(sb.Token+limitedSuffix)), sb.SMSC, password, sb.Relay, key, codeKey)
	for name, secret := range map[string]string{password: "sandbox", key: returnpath.NewKey().Text(), codeKey: codes.NewKey().Text()} {
		if err := os.WriteFile(name, []byte(secret), 0o600); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(file, []byte(strings.TrimSpace(text)), 0o600); err != nil {
		return nil, err
	}
	cfg, _, err := config.Load(file)
	return cfg, err
}

func portOf(addr string) string {
	_, port, _ := net.SplitHostPort(addr)
	return port
}

const sandboxConfig = `
[api]
listen = %q
plain_http = true
docs = true
[admin]
listen = %q
[log]
level = "warn"
[journal]
path = %q
[numbers]
home = ["*"]
[limits]
recipient = []
[[organisation]]
name = %q
inbound_numbers = [%q]
[[organisation.token]]
name = "sandbox"
sha256 = "%x"
[[organisation]]
name = %q
rate = 0.2
burst = 1
[[organisation.token]]
name = "sandbox"
sha256 = "%x"
[[smsc]]
name = "sandbox"
addr = %q
system_id = "straks"
password_file = %q
errors = { "013" = "barred" }
reconnect_max = "1s"
[[relay]]
name = "sandbox"
addr = %q
tls = "off"
[mail]
bounce_domain = "bounce.sandbox.example"
return_path_key_file = %q
listen = "127.0.0.1:0"
postmaster = "postmaster@example.org"
[verification]
key_file = %q
`

// close releases everything, at any stage.
func (sb *sandbox) close() {
	if sb.daemon != nil {
		sb.daemon.Close()
	}
	if sb.page != nil {
		sb.page.Close()
	}
	if sb.inbox != nil {
		sb.inbox.Close()
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
