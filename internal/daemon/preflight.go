package daemon

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/api"
	"straks/internal/config"
	"straks/internal/faults"
	"straks/orders/bolt"
	"straks/orders/postgres"
)

// Preflight returns what New would refuse on this machine, for a configuration without faults of its own, and what
// an operator should know where it starts nevertheless. It goes through the steps of New and changes nothing: the
// journal is opened for reading, and each listener is closed at once. Where another process has the journal open,
// that is a daemon which has the listeners too; then neither is looked at.
func Preflight(cfg *config.Config) (found, warnings faults.Faults) {
	list, noted := faults.New(), faults.New()
	d := &Daemon{log: slog.New(slog.DiscardHandler), registry: prometheus.NewRegistry()}
	d.conf.Store(cfg)
	if err := d.wire(); err != nil {
		list.Add("configuration", "is refused: %v", err)
	}
	if _, err := apiCertificate(cfg.API, d.log, d.registry); err != nil {
		list.Add("api.tls_cert_file", "is refused: %v", err)
	}
	if _, err := api.NewConnections(cfg.API.Limits(), d.log, d.registry); err != nil {
		list.Add("api.max_connections", "is refused: %v", err)
	}
	try := tryJournal
	if cfg.Journal.Shared() {
		try = tryDatabase
	}
	if running := try(cfg, list, noted); !running {
		tryListeners(cfg, list, noted)
	}
	return list.All(), noted.All()
}

// tryJournal opens the journal as New would, but for reading. running reports that another process has it open.
func tryJournal(cfg *config.Config, found, warnings *faults.List) (running bool) {
	path := cfg.Journal.Path
	j, err := bolt.OpenReadOnly(path, bolt.Options{Keys: cfg.Journal.Keys(), Log: slog.New(slog.DiscardHandler)})
	if errors.Is(err, bolt.ErrLocked) {
		warnings.Add("journal.path", "names a journal that another process has open, most likely straks: the journal and the listeners were not looked at")
		return true
	}
	if err != nil {
		found.Add("journal.path", "can't be used: %v", err)
		return false
	}
	switch err := j.Current(); {
	case errors.Is(err, bolt.ErrOutdated):
		warnings.Add("journal.path", "%v", err)
	case err != nil:
		found.Add("journal.path", "can't be used: %v", err)
	}
	if err := j.Close(); err != nil {
		found.Add("journal.path", "can't be used: %v", err)
	}
	writable, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		found.Add("journal.path", "can't be written: %v", err)
		return false
	}
	writable.Close()
	return false
}

// tryDatabase looks at the journal in a database. running reports that this node runs.
func tryDatabase(cfg *config.Config, found, warnings *faults.List) (running bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	options, err := postgresOptions(cfg, slog.New(slog.DiscardHandler), nil)
	if err == nil {
		running, err = postgres.Probe(ctx, options)
	}
	if err != nil {
		found.Add("journal.postgres", "can't be used: %v", err)
	}
	if running {
		warnings.Add("node.id", "is %d, and that node runs: the listeners were not looked at", cfg.Node.ID)
	}
	return running
}

// tryListeners listens on every address, all at the same time, as the daemon does.
func tryListeners(cfg *config.Config, found, warnings *faults.List) {
	addresses := map[string]string{"api": cfg.API.Listen, "metrics": cfg.Metrics.Listen, "admin": cfg.Admin.Listen, "console": cfg.Console.Listen,
		"mail": cfg.Mail.Listen, "node": cfg.Node.Listen}
	sockets := socketsOfUnit()
	for _, section := range []string{"api", "metrics", "admin", "console", "mail", "node"} {
		addr := addresses[section]
		ofSystemd := false
		sockets = slices.DeleteFunc(sockets, func(l *net.TCPAddr) bool {
			fits := sameAddress(l, addr)
			ofSystemd = ofSystemd || fits
			return fits
		})
		if addr == "" || section == "admin" && cfg.Admin.Socket() || section == "api" && cfg.API.Socket() {
			continue
		}
		l, err := listen(section, addr)
		if errors.Is(err, syscall.EADDRINUSE) && ofSystemd {
			continue // the daemon gets the socket
		}
		if err != nil {
			found.In(section).Add("listen", "can't be used: %v", errors.Unwrap(err))
			continue
		}
		defer l.Close()
	}
	for _, l := range sockets {
		warnings.In("api").Add("listen", "is %s, and systemd's socket listens on %s, where nobody here does: straks.service would not start; change one (systemctl edit --full straks.socket)", cfg.API.Listen, l)
	}
	if cfg.API.Socket() {
		trySocket("listen", apiSocket(cfg.API), found.In("api"), warnings.In("api"))
	}
	if cfg.Admin.Socket() {
		trySocket("listen", adminSocket(cfg.Admin), found.In("admin"), warnings.In("admin"))
	}
	if cfg.Mail.LMTP != "" {
		trySocket("lmtp", lmtpSocket(cfg.Mail), found.In("mail"), warnings.In("mail"))
	}
}

// trySocket makes a socket beside the one that the configuration names. The folder of the default one is made by
// systemd when the unit starts, or by a daemon that root starts.
func trySocket(key string, s socket, found, warnings *faults.List) {
	folder := filepath.Dir(s.path)
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) && folder == filepath.Dir(config.DefaultAdmin) {
		warnings.Add(key, "is in %s, which does not exist now: the systemd unit makes it, and so does a daemon that root starts; else set listen to a path elsewhere", folder)
		return
	}
	if err := checkFree(s.path); err != nil {
		found.Add(key, "can't be used: %v", err)
		return
	}
	s.path = filepath.Join(folder, ".try") // is no longer than what config lets pass
	l, err := bindSocket(s)
	if err != nil {
		found.Add(key, "can't be used: %v", err)
		return
	}
	l.Close()
}
