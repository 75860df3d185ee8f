package daemon

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"
)

// adminRoutes returns what operators can ask for, by pattern of http.ServeMux. Each
// capability adds its lines here. The guard checks access, and bounds what a request sends
// to maxPrivateBody; a handler of another method than GET changes something.
func (d *Daemon) adminRoutes() map[string]http.Handler {
	routes := map[string]http.Handler{
		"GET /status":          http.HandlerFunc(d.serveStatus),
		"GET /debug/words":     http.HandlerFunc(d.serveWords),
		"GET /blocks":          http.HandlerFunc(d.serveBlocks),
		"POST /blocks":         http.HandlerFunc(d.changeBlock),
		"/debug/pprof/":        http.HandlerFunc(pprof.Index),
		"/debug/pprof/cmdline": http.HandlerFunc(pprof.Cmdline),
		"/debug/pprof/profile": http.HandlerFunc(pprof.Profile),
		"/debug/pprof/symbol":  http.HandlerFunc(pprof.Symbol),
		"/debug/pprof/trace":   http.HandlerFunc(pprof.Trace),
	}
	if j, ok := d.journal.(backuper); ok {
		routes["GET /journal/backup"] = backupHandler(j, d.log, BackupTimeout)
	}
	return routes
}

// guarded reports whether requests for the admin listener must have a token.
func (d *Daemon) guarded() bool { return !d.cfg.Admin.Socket() && d.cfg.Admin.Token() != "" }

// adminHandler serves the admin listener. Without a metrics listener it serves the routes
// of that one too, to which the guard does not apply: they are for monitoring.
func (d *Daemon) adminHandler() http.Handler {
	admin := buffered(newMux(d.adminRoutes()))
	if !d.cfg.Admin.Socket() {
		admin = guarded(d.cfg.Admin, d.log, admin)
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

func (d *Daemon) serveStatus(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(d.Status())
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
		log.Info("backup taken")
	}
}
