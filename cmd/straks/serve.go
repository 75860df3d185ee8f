package main

import (
	"context"
	"io"
	"log/slog"
	"os/signal"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/config"
	"straks/internal/daemon"
	"straks/internal/logqueue"
)

// serveCommand runs the daemon until SIGTERM or SIGINT. Other signals that end a program
// by custom do not end it: systemd counts a death by one of them as wanted.
func serveCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("serve [-config FILE]")
	path := fs.configFlag()
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	cfg, warnings, err := config.Load(*path)
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGPIPE) // that nobody reads the log any more is no reason to die
	lines := logqueue.New(e.stderr)
	defer lines.Close()
	log := newLogger(lines, cfg)
	defer outliveHangup(log)()
	tuneProcessors()
	tuned, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { tuneMemory(tuned) })
	defer wg.Wait()
	defer cancel()
	for _, w := range warnings {
		log.Warn("configuration", "key", w.Key, "warning", w.Message)
	}
	d, err := daemon.New(ctx, cfg, log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	err = d.Run(ctx, func() {})
	d.Close()
	log.Info("stopped")
	return err
}

// newLogger writes JSON lines: what a machine reads at the end of the pipe.
func newLogger(w io.Writer, cfg *config.Config) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: cfg.Log.SlogLevel()}))
}
