package daemon

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/limits"
	"straks/internal/ratelog"
)

const (
	// othersEvery is how soon this node counts what other nodes have accepted.
	othersEvery = time.Second
	// othersTime bounds one look: the next one goes on where it was.
	othersTime = 30 * time.Second
)

// countAgain counts what was accepted before this process began, and what other nodes have accepted until now.
func (d *Daemon) countAgain(ctx context.Context) error {
	e, ok := d.journal.(shared)
	if !ok {
		d.past = d.journal
		return d.limits.Recover(ctx, d.past, d.now())
	}
	others, err := e.Others(ctx)
	if err != nil {
		return err
	}
	d.past, d.others = others, limits.NewFollower(others, limiter{d.limits, d.pumping}.Count)
	d.registry.MustRegister(followed{d.others})
	if err := d.limits.Recover(ctx, d.past, d.now()); err != nil {
		return err
	}
	return d.others.Read(ctx)
}

// now returns the time by which orders are accepted.
func (d *Daemon) now() time.Time {
	if e, ok := d.journal.(shared); ok {
		return e.Now()
	}
	return time.Now()
}

// followOthers counts what other nodes accept, until ctx ends. It says nothing where this node accepts nothing itself.
func (d *Daemon) followOthers(ctx context.Context) error {
	failed := ratelog.New(d.log, 3)
	tick := time.NewTicker(othersEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		look, cancel := context.WithTimeout(ctx, othersTime)
		err := d.others.Read(look)
		cancel()
		if e, ok := d.journal.(shared); err != nil && ctx.Err() == nil && !(ok && e.Allow() != nil) {
			failed.Write("others", slog.LevelWarn, "limits: what other nodes accept is not counted now, trying again", slog.Any("err", err))
		}
	}
}

// Counted is what this node has counted of the orders of others.
type Counted struct {
	Orders uint64  `json:"orders"`        // since its start
	Behind float64 `json:"behindSeconds"` // since when it has not looked
}

// counted returns nil where the journal is this node's alone.
func (d *Daemon) counted() *Counted {
	if d.others == nil {
		return nil
	}
	n, behind := d.others.State()
	return &Counted{n, behind.Seconds()}
}

// followed is the metrics of a follower.
type followed struct{ *limits.Follower }

var (
	othersOrders = prometheus.NewDesc("straks_limits_others_orders_total",
		"Orders that other nodes accepted and that limits, budgets and pumping count here too.", nil, nil)
	othersBehind = prometheus.NewDesc("straks_limits_others_behind_seconds",
		"How long ago this node last counted what other nodes had accepted.", nil, nil)
)

func (f followed) Describe(to chan<- *prometheus.Desc) {
	to <- othersOrders
	to <- othersBehind
}

func (f followed) Collect(to chan<- prometheus.Metric) {
	n, behind := f.State()
	to <- prometheus.MustNewConstMetric(othersOrders, prometheus.CounterValue, float64(n))
	to <- prometheus.MustNewConstMetric(othersBehind, prometheus.GaugeValue, behind.Seconds())
}
