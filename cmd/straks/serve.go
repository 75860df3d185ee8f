package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/config"
	"straks/internal/daemon"
	"straks/internal/logqueue"
)

// serveCommand runs the daemon until SIGTERM or SIGINT. SIGHUP has it read the configuration again. SIGPIPE does not
// end it: systemd takes a death by one of these for a clean exit.
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
	signal.Ignore(syscall.SIGPIPE) // the log's reader may go away
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // one that comes before Run counts when it runs
	style := styleOf(e.stderr, cfg.Log)
	lines := logqueue.New(e.stderr, style.handler)
	defer lines.Close()
	level := new(slog.LevelVar)
	level.Set(style.level)
	style.level = slog.LevelDebug
	log := slog.New(leveled{style.handler(lines), level})
	forbidDumps(log)
	tune()
	for _, w := range append(warnings, descriptorWarnings(cfg)...) {
		log.Warn("configuration", "key", w.Where(), "warning", w.Message)
	}
	d, err := daemon.New(ctx, cfg, log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	d.OnReload(func() (*config.Config, []config.Warning, error) { return config.Load(*path) },
		func(cfg *config.Config) { level.Set(cfg.Log.SlogLevel()) })
	stop := onHangup(hangups, d)
	err = d.Run(ctx, func() {})
	stop()
	d.Close()
	log.Info("stopped")
	return err
}

// onHangup reads the configuration again at each SIGHUP, until stop is called. A refused configuration is in the log, and
// the one in use stays.
func onHangup(hangups chan os.Signal, d *daemon.Daemon) (stop func()) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range hangups {
			_, _ = d.Reload() // which logs what came of it
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-ended
	}
}

const (
	// gcPercent is how far the heap may grow between two collections, in percent of
	// what is alive. Little is alive (about 8 MiB at 8,000 orders/s), so that Go's
	// default of 100 would collect many times a second.
	gcPercent = 400
	// gcGrowth bounds the same in octets, down to leastGCPercent: where much is alive, such as the pages of a thousand
	// clients that do not read them, it must not become five times as much before it is collected.
	gcGrowth, leastGCPercent = 32 << 20, 50
	// memoryLimit is the soft limit of the Go runtime, in octets. Near it the collector
	// runs more often. Only a large journal's list of free pages needs that much.
	memoryLimit = 256 << 20
)

// tune sets the Go runtime, except for what the environment sets (GOGC, GOMEMLIMIT,
// GOMAXPROCS).
//
// It doubles GOMAXPROCS, whose default is the processors or what the control group
// grants. While all Ps are busy, Go polls the network every 10 ms only, and orders
// would wait that long at each step; with more Ps than processors the kernel wakes the
// right thread as soon as data arrives (8 % more orders/s, see docs/performance.md).
func tune() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
		followCollections()
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.SetDefaultGOMAXPROCS()
		runtime.GOMAXPROCS(2 * runtime.GOMAXPROCS(0))
	}
}

// followCollections sets the percentage again after each collection, by what it has found alive.
func followCollections() {
	runtime.AddCleanup(new([16]byte), func(alive []metrics.Sample) { // a new object is collected by the next collection
		metrics.Read(alive)
		debug.SetGCPercent(gcPercentFor(alive[0].Value.Uint64() + alive[1].Value.Uint64()))
		followCollections()
	}, []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}) // the percentage is of both
}

// gcPercentFor returns how far the heap may grow, with so many octets alive.
func gcPercentFor(alive uint64) int {
	return int(min(max(100*gcGrowth/max(alive, 1), leastGCPercent), gcPercent))
}
