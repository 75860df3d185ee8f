package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"straks/internal/config"
	"straks/internal/printable"
)

// adminFlags are the flags of every command that asks a running daemon.
type adminFlags struct{ config, admin *string }

const adminUsage = "the daemon's admin listener: `ADDRESS` is the path of a socket, a URL, or host:port (default: the configuration's admin.listen)"

// adminFlags adds -config and -admin.
func (f *flags) adminFlags() adminFlags {
	return adminFlags{f.configFlag(), f.String("admin", "", adminUsage)}
}

// client returns a client of the admin listener that the flags name.
func (f adminFlags) client() (*adminClient, error) {
	if *f.admin != "" {
		return adminAt(*f.admin)
	}
	cfg, _, err := config.LoadSealed(*f.config)
	if err != nil {
		return nil, fmt.Errorf("the daemon's admin listener is not known. Give -admin, or -config: %w", err)
	}
	return adminOf(cfg)
}

// adminToken is the environment's variable with the token of the admin listener.
const adminToken = "STRAKS_ADMIN_TOKEN"

// adminClient asks the admin listener of one daemon.
type adminClient struct {
	where string // the listener, for messages
	base  string // URL of the listener, without a trailing slash
	token string // empty: none
	http  *http.Client
}

// maxHeader bounds the header of an answer, in octets.
const maxHeader = 64 << 10

// adminAt returns a client of the listener at an address: the path of a socket, a URL, or
// host:port. On TCP it sends the environment's token.
func adminAt(addr string) (*adminClient, error) {
	c := &adminClient{where: addr, base: addr, token: os.Getenv(adminToken)}
	// No proxy of the environment, and no host that a redirect names: the daemon itself.
	// Without compression an answer is as long as it is in the connection.
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader}
	switch {
	case strings.Contains(addr, "://"):
	case config.IsSocket(addr):
		c.base, c.token = "http://localhost", ""
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", addr)
		}
	default:
		c.base = "http://" + addr
	}
	u, err := url.Parse(c.base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, misused("-admin is %q; want the path of a socket, http://HOST:PORT, or host:port", addr)
	}
	c.base = strings.TrimRight(c.base, "/")
	c.http = &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

// adminOf returns a client of the daemon that has the configuration. On TCP it sends the
// token of the configuration's file.
func adminOf(cfg *config.Config) (*adminClient, error) {
	addr := cfg.Admin.Listen
	if host, port, err := net.SplitHostPort(addr); err == nil && (host == "" || net.ParseIP(host).IsUnspecified()) {
		addr = net.JoinHostPort("localhost", port)
	}
	c, err := adminAt(addr)
	if err != nil || cfg.Admin.Socket() || cfg.Admin.TokenFile == "" || c.token != "" {
		return c, err
	}
	if c.token, err = config.ReadSecret(cfg.Admin.TokenFile); err != nil {
		return nil, fmt.Errorf("the token of the admin listener: admin.token_file %w. Its owner can read it; %s in the environment stands for it", err, adminToken)
	}
	return c, nil
}

// getJSON reads an answer in JSON of at most max octets into v.
func (c *adminClient) getJSON(ctx context.Context, path string, max int64, v any) error {
	return c.doJSON(ctx, http.MethodGet, path, nil, max, v)
}

// doJSON sends a request with a body in JSON, unless that is nil, and reads the answer as
// getJSON does.
func (c *adminClient) doJSON(ctx context.Context, method, path string, body []byte, max int64, v any) error {
	var text bytes.Buffer
	if err := c.do(ctx, method, path, body, "application/json", &text, max); err != nil {
		return err
	}
	if err := json.Unmarshal(text.Bytes(), v); err != nil {
		return fmt.Errorf("%s: %s %s: the answer is not that of a straks: %w", c.where, method, path, err)
	}
	return nil
}

// do sends a request and copies the answer, which must be of the given media type, have at
// most max octets, and be complete.
func (c *adminClient) do(ctx context.Context, method, path string, body []byte, kind string, to io.Writer, max int64) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("-admin: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	if err = c.refused(resp); err == nil {
		err = copyAnswer(to, resp, kind, max)
	}
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w", c.where, method, path, err)
	}
	return nil
}

// copyAnswer copies the body of a success.
func copyAnswer(to io.Writer, resp *http.Response, kind string, max int64) error {
	header := resp.Header.Get("Content-Type")
	if got, _, err := mime.ParseMediaType(header); err != nil || got != kind {
		return fmt.Errorf("the answer is %q, not %s: is this the daemon's admin.listen?", header, kind)
	}
	if encoding := resp.Header.Get("Content-Encoding"); encoding != "" {
		return fmt.Errorf("the answer has the Content-Encoding %q, which was not asked for", encoding)
	}
	n, err := io.Copy(to, io.LimitReader(resp.Body, max))
	if err == nil && n == max {
		if extra, _ := io.ReadFull(resp.Body, make([]byte, 1)); extra > 0 {
			err = fmt.Errorf("the answer has more than %d octets", max)
		}
	}
	return err
}

// explain adds to the error of a connection what can be done about it.
func (c *adminClient) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s may be used by the daemon's user and group only (admin.mode, admin.group): run this as root, or as a member of the group: %w", c.where, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no socket %s: is the daemon running, and is this its admin.listen? %w", c.where, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nothing listens on %s: is the daemon running, and is this its admin.listen? %w", c.where, err)
	}
	return fmt.Errorf("%s: is the daemon running, and is this its admin.listen? %w", c.where, err)
}

// maxReason bounds the part of an error's body that is printed, in octets.
const maxReason = 16 << 10

// refused returns the error of an answer other than a success.
func (c *adminClient) refused(resp *http.Response) error {
	status := fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case resp.StatusCode/100 == 3:
		return fmt.Errorf("%s: it redirects to %q, and no redirect is followed", status, hostOf(resp))
	case resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s: is this the daemon's admin.listen, and not its api.listen or metrics.listen?", status)
	case resp.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s: the admin listener wants a token: set %s, or give -config without -admin for that of admin.token_file", status, adminToken)
	}
	reason, _ := io.ReadAll(io.LimitReader(resp.Body, maxReason))
	return fmt.Errorf("%s: %s", status, printable.Line(cmp.Or(strings.TrimSpace(string(reason)), "no reason given")))
}

// hostOf returns the host that a redirect names, cut where it is very long.
func hostOf(resp *http.Response) string {
	target, err := resp.Location()
	if err != nil {
		return ""
	}
	return target.Host[:min(len(target.Host), 255)]
}

// maxInterim bounds the interim answers to a request. One comes every 5 s while a copy is made: those of
// 300 GB.
const maxInterim = 1000

// getLong copies an answer that may take any time. It fails when nothing arrives for the
// timeout.
func (c *adminClient) getLong(ctx context.Context, path, kind string, to io.Writer, max int64, timeout time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(timeout, func() { cancel(fmt.Errorf("nothing arrived for %v", timeout)) })
	defer idle.Stop()
	interim := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			if interim++; code != http.StatusProcessing || interim > maxInterim {
				return fmt.Errorf("interim answer %d, the %dth", code, interim)
			}
			idle.Reset(timeout) // the daemon works on it
			return nil
		},
	})
	return c.do(ctx, http.MethodGet, path, nil, kind, idleWriter{to, idle, timeout}, max)
}

// idleWriter restarts a timer after each write. During a write, which may take long,
// the timer is stopped.
type idleWriter struct {
	io.Writer
	idle    *time.Timer
	timeout time.Duration
}

func (w idleWriter) Write(b []byte) (int, error) {
	w.idle.Stop()
	defer w.idle.Reset(w.timeout)
	return w.Writer.Write(b)
}
