package daemon

import (
	"context"
	"fmt"
	"time"

	"straks/api"
)

// Run works until ctx ends or a part fails, and calls ready when everything has
// started. It may be called once.
func (d *Daemon) Run(ctx context.Context, ready func()) error {
	s, n := newStack(d.log), d.notifier
	defer n.close()
	if d.audit != nil {
		s.start("audit", d.audit.Run)
	}
	s.start("admin", d.serveAdmin)
	if d.metrics != nil {
		s.start("metrics", d.serveMetrics)
	}
	if d.console != nil {
		s.start("console", d.serveConsole)
	}
	s.start("notify", func(ctx context.Context) error { return n.run(ctx, d.statusLine) })
	s.start("expiry", d.warnOfEnds)
	lost, lose := context.WithCancelCause(context.Background()) // with the journal
	defer lose(nil)
	s.start("journal", func(ctx context.Context) error { return d.watchJournal(ctx, lose) })
	if d.doctor != nil {
		s.start("doctor", d.doctor.Run)
	}
	d.hooks.Begin(ctx) // before anything enters the feed
	s.start("service", d.service.Run)
	s.start("webhooks", d.sendWebhooks)
	s.start("pumping", func(ctx context.Context) error { return d.pumping.Run(ctx, d.past) })
	if d.others != nil {
		s.start("limits", d.followOthers)
	}
	for _, i := range d.issuers {
		s.start("issuer "+i.Name(), i.Run)
	}
	for _, c := range d.simulated {
		s.start("simulated", func(ctx context.Context) error { return c.Run(ctx, d.service) })
	}
	if d.sms != nil {
		s.start("smpp", func(ctx context.Context) error { return d.sms.Run(ctx, d.service) })
	}
	if d.inbound != nil {
		s.start("inbound", d.serveInbound)
	}
	if d.mail != nil {
		s.start("smtp", func(ctx context.Context) error { return d.mail.Run(ctx, d.service) })
	}
	if d.codes != nil {
		s.start("verifications", d.codes.Run)
	}
	s.start("drain", func(ctx context.Context) error { return d.drain(ctx, lost) })
	if d.peers.listen != nil {
		s.start("peers", d.servePeers)
	}
	if _, ok := d.journal.(shared); ok {
		s.start("nodes", d.watchNodes)
	}
	s.start("api", d.serveAPI)
	version, _, _ := Version()
	d.log.Info("serving", "api", d.APIAddr(), "metrics", d.MetricsAddr(), "admin", d.AdminAddr(), "console", d.ConsoleAddr(), "version", version)
	n.ready()
	ready()
	return s.wait(ctx, func() {
		d.draining.Store(true)
		n.stopping()
		if ctx.Err() != nil { // no part has failed
			d.log.Info("not ready any more, and still serving", "drain_notice", d.config().API.DrainNotice.String())
			time.Sleep(d.config().API.DrainNotice)
		}
		d.leaving.Store(true)
	})
}

// watchJournal ends with the error that ends the journal, if one does, and calls lose with it.
func (d *Daemon) watchJournal(ctx context.Context, lose context.CancelCauseFunc) error {
	select {
	case err := <-d.journal.Damaged():
		lose(err)
		return err
	case <-ctx.Done():
		return nil
	}
}

func (d *Daemon) serveAdmin(ctx context.Context) error {
	return servePrivate(ctx, d.adminHandler(), d.admin, d.guarded(), d.log)
}

func (d *Daemon) serveMetrics(ctx context.Context) error {
	return servePrivate(ctx, newMux(d.metricsRoutes()), d.metrics, false, d.log)
}

func (d *Daemon) serveAPI(ctx context.Context) error {
	c := d.config().API
	limits := c.Limits()
	srv := api.Server(d.handler, limits, d.limiter, d.log)
	return serveHTTP(ctx, srv, api.Listener(d.api, d.limiter, d.certificate.config(), d.clients), c.DrainTimeout)
}

// drain ends when the API has ended and no order is in flight any more: clients
// may have abandoned some. Where the journal is lost, no outcome can be stored, and none is waited for.
func (d *Daemon) drain(ctx, lost context.Context) error {
	<-ctx.Done()
	drain, cancel := context.WithTimeout(lost, d.config().API.DrainTimeout)
	defer cancel()
	if err := d.service.Drain(drain); err != nil {
		return fmt.Errorf("%d orders still in flight: %w", d.service.InFlight(), err)
	}
	return nil
}
