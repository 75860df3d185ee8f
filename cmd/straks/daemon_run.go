package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"straks/api"
)

// run works until ctx ends or a part fails. Parts end in the reverse of this
// order: requests drain first, then orders in flight, then the carriers'
// connections (which acknowledge receipts until they are unbound), then the
// service that stores them. The journal is closed last of all, by close.
func (d *daemon) run(ctx context.Context, ready func()) error {
	s, n := newStack(d.log), notifier{d.log}
	s.start("admin", d.serveAdmin)
	s.start("notify", func(ctx context.Context) error { return n.run(ctx, d.statusLine) })
	s.start("service", d.service.Run)
	if d.gateway != nil {
		s.start("smpp", func(ctx context.Context) error { return d.sms.Run(ctx, d.service) })
	}
	if d.pool != nil {
		s.start("smtp", func(ctx context.Context) error { return d.mail.Run(ctx, d.service) })
	}
	s.start("flights", d.awaitFlights)
	s.start("api", d.serveAPI)
	version, _, _ := buildVersion()
	d.log.Info("serving", "api", d.apiAddr(), "admin", d.adminAddr(), "version", version)
	n.ready()
	ready()
	return s.wait(ctx, func() {
		d.draining.Store(true)
		n.stopping()
	})
}

func (d *daemon) serveAdmin(ctx context.Context) error {
	return serveHTTP(ctx, adminServer(adminHandler(d.registry, d.ready, d.status, backupHandler(d.journal, d.log, backupPatience))), d.admin, time.Second)
}

func (d *daemon) serveAPI(ctx context.Context) error {
	c := d.cfg.API
	limits := c.Limits()
	srv := api.Server(d.handler, limits, d.log)
	return serveHTTP(ctx, srv, api.Listener(d.api, limits, d.tls), c.DrainTimeout)
}

// awaitFlights outlives the API by as long as orders are in flight that their
// callers have left.
func (d *daemon) awaitFlights(ctx context.Context) error {
	<-ctx.Done()
	drain, cancel := context.WithTimeout(context.Background(), d.cfg.API.DrainTimeout)
	defer cancel()
	if err := d.service.Drain(drain); err != nil {
		return fmt.Errorf("%d orders still in flight: %w", d.service.InFlight(), err)
	}
	return nil
}

// ready tells whether orders would be taken and sent now, or why not.
func (d *daemon) ready() error {
	if d.draining.Load() {
		return errors.New("draining")
	}
	return errors.Join(d.journal.Ready(), d.service.Ready())
}

// statusLine is what systemctl shows. It touches what must never hang: systemd
// restarts a daemon that can't say how it is.
func (d *daemon) statusLine() string {
	line := fmt.Sprintf("%d orders in flight", d.service.InFlight())
	if err := d.ready(); err != nil {
		return line + "; not ready: " + oneLine(err.Error())
	}
	return line + "; ready"
}
