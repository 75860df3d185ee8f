package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// adminFlag adds the flag of every command that asks a running daemon.
func adminFlag(fs *flags) *string {
	return fs.String("admin", "http://127.0.0.1:9090", "`URL`, or host:port, of the daemon's admin listener")
}

// direct asks the daemon itself: not through the environment's proxy, and not a host
// that a redirect names.
var direct = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// fetch copies the answer of the admin listener. A truncated answer is an error.
func fetch(ctx context.Context, admin, path string, to io.Writer) error {
	if !strings.Contains(admin, "://") {
		admin = "http://" + admin
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(admin, "/")+path, nil)
	if err != nil {
		return fmt.Errorf("-admin: %w", err)
	}
	resp, err := direct.Do(req)
	if err != nil {
		return fmt.Errorf("is the daemon running, and -admin its admin.listen? %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s%s: %s; is -admin the daemon's admin.listen, and not its api.listen?", admin, path, resp.Status)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s%s: %s", admin, path, resp.Status)
	}
	if _, err := io.Copy(to, resp.Body); err != nil {
		return fmt.Errorf("%s%s: %w", admin, path, err)
	}
	return nil
}

// fetchLong is fetch without a bound on the whole. It fails when nothing arrives for
// the timeout.
func fetchLong(ctx context.Context, admin, path string, to io.Writer, timeout time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(timeout, func() { cancel(fmt.Errorf("nothing arrived for %v", timeout)) })
	defer idle.Stop()
	return fetch(ctx, admin, path, idleWriter{to, idle, timeout})
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
