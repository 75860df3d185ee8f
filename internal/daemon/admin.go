package daemon

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// adminHandler serves the private listener.
func (d *Daemon) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := d.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(d.Status())
	})
	if j, ok := d.journal.(backuper); ok {
		mux.Handle("GET /journal/backup", backupHandler(j, d.log, BackupTimeout))
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(d.registry, promhttp.HandlerOpts{Registry: d.registry}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// adminServer has no write time-out: a profile takes as long as its request says.
func adminServer(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
}

// BackupTimeout is how long the reader of a backup may take no octet of it. While a
// backup is read, freed pages cannot be used again, and a journal that has failed
// cannot be reopened: a reader that hangs must not delay either for longer.
const BackupTimeout = 30 * time.Second

// backupHandler serves a consistent copy of the journal in use, for "straks
// journal backup". An answer that cannot be completed is cut off, so that it is not
// mistaken for a whole one.
func backupHandler(j backuper, log *slog.Logger, timeout time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		if err := j.Backup(r.Context(), deadlineWriter{w, timeout}); err != nil {
			log.Error("backup aborted", "err", err)
			panic(http.ErrAbortHandler) // net/http cuts the connection
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // the connection may be used again
		log.Info("backup taken")
	}
}

// deadlineWriter fails a write that its reader does not take within the timeout.
type deadlineWriter struct {
	http.ResponseWriter
	timeout time.Duration
}

func (w deadlineWriter) Write(b []byte) (int, error) {
	// A test's ResponseWriter has no connection, and no deadline.
	_ = http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Now().Add(w.timeout))
	return w.ResponseWriter.Write(b)
}
