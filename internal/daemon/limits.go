package daemon

import (
	"context"
	"time"

	"straks/internal/limits"
	"straks/orders"
)

// wireLimits gives the service its limits, if the configuration has any.
func (d *Daemon) wireLimits(service *orders.Config) {
	cfg, limited := d.config().OrderLimits()
	if !limited {
		return
	}
	cfg.Log, cfg.Registerer = d.log, d.registry
	d.limits = limits.New(cfg)
	service.Limiter = d.limits
}

// countAgain counts what was accepted before this process began.
func (d *Daemon) countAgain(ctx context.Context) error {
	if d.limits == nil {
		return nil
	}
	return d.limits.Recover(ctx, d.journal, time.Now())
}
