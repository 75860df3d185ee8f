package daemon

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"time"

	"straks/internal/audit"
)

// adminRoutes returns what operators can ask for, by pattern of http.ServeMux. Each
// capability adds its lines here. The guard checks access, and bounds what a request sends
// to maxPrivateBody; a handler of another method than GET changes something.
func (d *Daemon) adminRoutes() map[string]http.Handler {
	routes := map[string]http.Handler{
		"GET /status":                  http.HandlerFunc(d.serveStatus),
		"GET /debug/words":             http.HandlerFunc(d.serveWords),
		"GET /trace":                   http.HandlerFunc(d.serveTrace),
		"GET /blocks":                  http.HandlerFunc(d.serveBlocks),
		"POST /carriers/{name}/{what}": http.HandlerFunc(d.operateCarrier),
		"POST /blocks":                 http.HandlerFunc(d.changeBlock),
		"POST /forget":                 http.HandlerFunc(d.forget),
		"GET /webhooks":                http.HandlerFunc(d.serveWebhooks),
		"POST /webhooks":               http.HandlerFunc(d.operateWebhook),
		"GET /limits":                  http.HandlerFunc(d.serveLimits),
		"POST /limits/lift":            http.HandlerFunc(d.serveLift),
		"POST /reload":                 http.HandlerFunc(d.serveReload),
		"/debug/pprof/":                http.HandlerFunc(pprof.Index),
		"/debug/pprof/cmdline":         http.HandlerFunc(pprof.Cmdline),
		"/debug/pprof/profile":         http.HandlerFunc(pprof.Profile),
		"/debug/pprof/symbol":          http.HandlerFunc(pprof.Symbol),
		"/debug/pprof/trace":           http.HandlerFunc(pprof.Trace),
	}
	if j, ok := d.journal.(backuper); ok {
		backup := backupHandler(j, d.log, BackupTimeout, d.backedUp)
		routes["GET /journal/backup"] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			d.operated(r, audit.Event{Action: audit.Backup, Outcome: "begun"}, "")
			backup(w, r)
		})
	}
	return routes
}

// guarded reports whether requests for the admin listener must have a token.
func (d *Daemon) guarded() bool { return !d.config().Admin.Socket() && d.config().Admin.Token() != "" }

// adminHandler serves the admin listener. Without a metrics listener it serves the routes
// of that one too, to which the guard does not apply: they are for monitoring.
func (d *Daemon) adminHandler() http.Handler {
	admin := buffered(newMux(d.adminRoutes()))
	if !d.config().Admin.Socket() {
		admin = guarded(d.config().Admin, d.log, admin)
	}
	if d.metrics != nil {
		return admin
	}
	both := newMux(d.metricsRoutes())
	both.Handle("/", admin)
	return both
}

func newMux(routes map[string]http.Handler) *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, h := range routes {
		mux.Handle(pattern, h)
	}
	return mux
}

// writeJSON answers with v. An error of the connection is the client's.
func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func (d *Daemon) serveStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(d.Status())
}

const (
	// BackupTimeout is how long the reader of a backup may take for backupStep octets of it:
	// a slower one is given up. Its copy needs as much of the disk as the journal.
	BackupTimeout = 30 * time.Second
	backupStep    = 1 << 20

	// backupTell is how often the client is told that the copy is still being made.
	backupTell = 5 * time.Second
)

// backupHandler serves a consistent copy of the journal in use, for "straks
// journal backup". While the copy is made the answer is 102, with the octets that are
// copied and their number ("1048576/8388608") as X-Progress. An answer that cannot be completed is cut off, so that
// it is not mistaken for a whole one.
func backupHandler(j backuper, log *slog.Logger, timeout time.Duration, taken func()) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		told := time.Now()
		c, err := j.Copy(r.Context(), func(done, all int64) {
			if time.Since(told) < backupTell {
				return
			}
			told = time.Now()
			w.Header().Set("X-Progress", fmt.Sprintf("%d/%d", done, all))
			w.WriteHeader(http.StatusProcessing)
			w.Header().Del("X-Progress")
		})
		if err != nil {
			log.Error("no backup", "err", err)
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		defer c.Close()
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.FormatInt(c.Size, 10))
		if err := sendSteps(w, c, timeout); err != nil {
			log.Error("backup aborted", "err", err)
			panic(http.ErrAbortHandler) // net/http cuts the connection
		}
		log.Info("backup taken", "bytes", c.Size)
		taken()
	}
}

// sendSteps copies a body. It fails if a step of it is not taken within the timeout.
func sendSteps(w http.ResponseWriter, body io.Reader, timeout time.Duration) error {
	plain := w
	if d, ok := w.(deadlineWriter); ok {
		plain = d.ResponseWriter // whose deadline begins anew with each write
	}
	out := http.NewResponseController(plain)
	for {
		_ = out.SetWriteDeadline(time.Now().Add(timeout)) // a test's has none
		_, err := io.CopyN(plain, body, backupStep)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("its reader takes less than %d octets in %v: %w", backupStep, timeout, err)
		case err != nil:
			return err
		}
	}
}
