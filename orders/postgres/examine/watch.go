package examine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// every is how often a node looks, and again how soon it looks after it found a fault.
	every, again = time.Minute, 5 * time.Second
)

// Watch looks at the database every minute, for a node.
type Watch struct {
	config   *pgx.ConnConfig
	options  Options
	required bool
	log      *slog.Logger
	gauge    *prometheus.GaugeVec
	faults   atomic.Pointer[[]Finding] // that must be fixed; nil: before the first look
}

// NewWatch returns a watch, which looks when it runs. required: the node is not ready while something must be fixed.
func NewWatch(config *pgx.ConnConfig, o Options, required bool, log *slog.Logger, reg prometheus.Registerer) *Watch {
	w := &Watch{config: config, options: o, required: required, log: log,
		gauge: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "straks_doctor",
			Help: "1 for each finding of straks doctor about the database that must be fixed, as of the last minute."}, []string{"finding"})}
	for _, name := range Names() {
		w.gauge.WithLabelValues(name)
	}
	if reg != nil {
		reg.MustRegister(w.gauge)
	}
	return w
}

// Run looks until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	for {
		next := every
		if w.look(ctx) {
			next = again
		}
		select {
		case <-time.After(next):
		case <-ctx.Done():
			return nil
		}
	}
}

// look looks once, and reports whether something must be fixed.
func (w *Watch) look(ctx context.Context) bool {
	all := Examine(ctx, w.config, w.options)
	if ctx.Err() != nil {
		return false
	}
	var faults []Finding
	bad := make(map[string]bool)
	for _, f := range all {
		if f.Level == Fix {
			faults = append(faults, f)
			bad[f.Name] = true
		}
	}
	for _, name := range Names() {
		value := 0.0
		if bad[name] {
			value = 1
		}
		w.gauge.WithLabelValues(name).Set(value)
	}
	w.tell(faults)
	w.faults.Store(&faults)
	return len(faults) > 0
}

// tell logs what is new since the last look, and what is gone.
func (w *Watch) tell(faults []Finding) {
	before := make(map[string]bool)
	if last := w.faults.Load(); last != nil {
		for _, f := range *last {
			before[f.Name] = true
		}
	}
	for _, f := range faults {
		if !before[f.Name] {
			w.log.Warn("the database can't be relied upon; see straks doctor", "finding", f.Name, "says", f.Says, "ready", !w.required)
		}
		delete(before, f.Name)
	}
	for name := range before {
		w.log.Info("a finding about the database is gone", "finding", name, "left", len(faults))
	}
}

// Ready returns why the node is not ready, or nil.
func (w *Watch) Ready() error {
	if !w.required {
		return nil
	}
	faults := w.faults.Load()
	switch {
	case faults == nil:
		return errors.New("the database has not been looked at yet")
	case len(*faults) == 0:
		return nil
	}
	names := make([]string, len(*faults))
	for i, f := range *faults {
		names[i] = f.Name
	}
	return fmt.Errorf("the database can't be relied upon (%s): see straks doctor", strings.Join(names, ", "))
}
