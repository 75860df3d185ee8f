package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// adminFlag is the flag of every command that asks a running daemon.
func adminFlag(fs *flags) *string {
	return fs.String("admin", "http://127.0.0.1:9090", "`URL`, or host:port, of the daemon's admin listener")
}

// direct asks the daemon itself: what it answers is no business of the environment's proxy, nor
// of a host that it might name.
var direct = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// fetch copies what the admin listener answers. An answer that breaks off is an error.
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

// fetchPatiently is fetch of what may take long. It gives up where nothing comes for so long.
func fetchPatiently(ctx context.Context, admin, path string, to io.Writer, patience time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(patience, func() { cancel(fmt.Errorf("nothing came for %v", patience)) })
	defer silence.Stop()
	return fetch(ctx, admin, path, progress{to, silence, patience})
}

// progress is a writer that puts a timer off at each write, for as long as that takes too.
type progress struct {
	io.Writer
	silence  *time.Timer
	patience time.Duration
}

func (p progress) Write(b []byte) (int, error) {
	p.silence.Stop()
	defer p.silence.Reset(p.patience)
	return p.Writer.Write(b)
}
