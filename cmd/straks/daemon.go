package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"straks/api"
	"straks/cmd/straks/config"
	"straks/orders"
	"straks/orders/bolt"
	"straks/smpp"
	"straks/smtp"
)

// daemon is the whole program, wired. newDaemon takes what can be refused
// (journal, listeners), run runs it, close gives it all back.
type daemon struct {
	cfg      *config.Config
	log      *slog.Logger
	registry *prometheus.Registry
	journal  *bolt.Journal
	gateway  *smpp.Gateway // nil: no SMS
	pool     *smtp.Pool    // nil: no e-mail
	service  *orders.Service
	handler  http.Handler
	api      net.Listener
	admin    net.Listener
	draining atomic.Bool
}

// newDaemon wires a daemon that has not begun to work. Nothing is sent and no
// connection is made before run.
func newDaemon(cfg *config.Config, log *slog.Logger) (*daemon, error) {
	d := &daemon{cfg: cfg, log: log, registry: prometheus.NewRegistry()}
	d.registry.MustRegister(collectors.NewGoCollector(), buildInfo(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := d.open(); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// open takes what can be refused. What it took before an error is close's to give back.
func (d *daemon) open() (err error) {
	if d.journal, err = bolt.Open(d.cfg.Journal.Path, journalOptions(d.cfg, d.log, d.registry)); err != nil {
		return err
	}
	if err := d.wire(); err != nil {
		return err
	}
	if d.api, err = listenAPI(d.cfg.API); err != nil {
		return err
	}
	d.admin, err = listen("admin", d.cfg.Admin.Listen)
	return err
}

// journalOptions are those of the configuration.
func journalOptions(cfg *config.Config, log *slog.Logger, reg prometheus.Registerer) bolt.Options {
	return bolt.Options{FeedFinalOnly: cfg.Journal.FeedFinalOnly, MaxSize: int64(cfg.Journal.MaxSize),
		Queue: cfg.Journal.MaxQueue, Log: log, Registerer: reg}
}

// initJournal creates the journal, and refuses where one is.
func initJournal(cfg *config.Config) error {
	return bolt.Create(cfg.Journal.Path, journalOptions(cfg, slog.Default(), nil))
}

// listenAPI listens for clients, over TLS where the configuration says so.
func listenAPI(c config.API) (net.Listener, error) {
	if c.TLSCertFile == "" {
		return listen("api", c.Listen)
	}
	cert, err := tls.LoadX509KeyPair(c.TLSCertFile, c.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("api.tls_cert_file: %w", err)
	}
	l, err := listen("api", c.Listen)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}), nil
}

func listen(section, addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s.listen: %w", section, err)
	}
	return l, nil
}

// buildInfo is a constant 1 that says in its labels which build this is.
func buildInfo() prometheus.Collector {
	version, revision, goVersion := buildVersion()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "straks_build_info", Help: "Always 1; the labels tell the build.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "goversion": goVersion}}, func() float64 { return 1 })
}

// wire puts carriers, service and API together.
func (d *daemon) wire() error {
	cfg := d.cfg
	sc := orders.Config{
		Journal: d.journal, Organisations: cfg.Names(), Dialects: cfg.Dialects(),
		SendDeadline: cfg.API.SendDeadline, Retention: cfg.Journal.Retention,
		MaxInFlight: inFlight(cfg),
		Log:         d.log, Registerer: d.registry,
	}
	var sms *smsCarrier
	var err error
	if len(cfg.SMSCs) > 0 {
		sms = newSMSCarrier(cfg, d.log, d.registry)
		if d.gateway, err = smpp.New(cfg.Gateway(), sms.handler(), d.log, d.registry); err != nil {
			return err
		}
		sms.gateway, sc.SMS = d.gateway, sms
	}
	if len(cfg.Relays) > 0 {
		if d.pool, err = smtp.New(cfg.SMTP(), d.log, d.registry); err != nil {
			return err
		}
		sc.Email = &emailCarrier{pool: d.pool, sender: cfg.EmailSender}
	}
	d.service = orders.NewService(sc)
	if sms != nil {
		sms.service = d.service
	}
	return d.wireAPI()
}

// inFlight bounds orders by channel, at the door and in the service.
func inFlight(cfg *config.Config) map[orders.Channel]int {
	return map[orders.Channel]int{orders.SMS: cfg.SMSInFlight(), orders.Email: cfg.EmailInFlight()}
}

func (d *daemon) wireAPI() error {
	tokens, err := api.NewTokens(d.cfg.Tokens())
	if err != nil {
		return err
	}
	d.handler, err = api.New(api.Config{Service: d.service, Auth: tokens, BasePath: d.cfg.API.BasePath,
		MaxBody: int64(d.cfg.API.MaxBody), MaxInFlight: inFlight(d.cfg), Rates: d.cfg.Rates(), Log: d.log, Registerer: d.registry})
	return err
}

func (d *daemon) apiAddr() string   { return d.api.Addr().String() }
func (d *daemon) adminAddr() string { return d.admin.Addr().String() }

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
		s.start("smpp", d.gateway.Run)
	}
	if d.pool != nil {
		s.start("smtp", d.pool.Run)
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
	return serveHTTP(ctx, srv, limits.Listener(d.api), c.DrainTimeout)
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
		return line + "; not ready: " + err.Error()
	}
	return line + "; ready"
}

// close gives back what newDaemon took. It may be called at any stage, once.
func (d *daemon) close() {
	for _, l := range []net.Listener{d.api, d.admin} {
		if l != nil {
			l.Close()
		}
	}
	if d.journal != nil {
		if err := d.journal.Close(); err != nil {
			d.log.Error("journal not closed", "err", err)
		}
	}
}
