package daemon

import (
	"context"
	"time"

	"straks/internal/config"
	"straks/internal/limits"
	"straks/orders"
)

// wireLimits gives the service its limits.
func (d *Daemon) wireLimits(service *orders.Config) {
	cfg := d.config().OrderLimits()
	cfg.Log, cfg.Registerer = d.log, d.registry
	d.limits = limits.New(cfg)
	service.Limiter = d.limits
}

// countAgain counts what was accepted before this process began.
func (d *Daemon) countAgain(ctx context.Context) error {
	return d.limits.Recover(ctx, d.journal, time.Now())
}

// relimit puts other limits in the place of those in use. They hold at once; what is said is what of the past could not
// be counted.
func (d *Daemon) relimit(cfg *config.Config) {
	if err := d.limits.Reconfigure(context.Background(), d.journal, cfg.OrderLimits(), time.Now()); err != nil {
		d.log.Error("limits: orders of before this change are missing in windows that are new or longer", "err", err)
	}
}
