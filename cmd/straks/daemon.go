package main

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"straks/api"
	"straks/internal/config"
	"straks/orders"
	"straks/orders/bolt"
	"straks/orders/mail"
	"straks/orders/sms"
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
	sms      *sms.Channel  // nil: no SMS
	mail     *mail.Channel // nil: no e-mail
	service  *orders.Service
	handler  http.Handler
	api      net.Listener
	tls      *tls.Config // of the API's connections; nil: they are plain
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
	if d.tls, err = apiTLS(d.cfg.API, d.registry); err != nil {
		return err
	}
	if d.api, err = listen("api", d.cfg.API.Listen); err != nil {
		return err
	}
	d.admin, err = listen("admin", d.cfg.Admin.Listen)
	return err
}

// journalOptions are those of the configuration.
func journalOptions(cfg *config.Config, log *slog.Logger, reg prometheus.Registerer) bolt.Options {
	return bolt.Options{MaxSize: int64(cfg.Journal.MaxSize),
		Queue: cfg.Journal.MaxQueue, Log: log, Registerer: reg}
}

// initJournal creates the journal, and refuses where one is.
func initJournal(cfg *config.Config) error {
	return bolt.Create(cfg.Journal.Path, journalOptions(cfg, slog.Default(), nil))
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
		Journal: d.journal, Organisations: cfg.Names(),
		SendDeadline: cfg.API.SendDeadline, Retention: cfg.Journal.Retention, FeedFinalOnly: cfg.Journal.FeedFinalOnly,
		MaxInFlight: make(map[orders.Channel]int),
		Log:         d.log, Registerer: d.registry,
	}
	for channel, room := range cfg.Rooms() {
		sc.MaxInFlight[channel] = room.Most
	}
	var err error
	if len(cfg.SMSCs) > 0 {
		if d.gateway, err = smpp.New(cfg.Gateway(), d.log, d.registry); err != nil {
			return err
		}
		d.sms = sms.New(cfg.SMSChannel(), d.gateway, d.log, d.registry)
		sc.SMS, sc.HintForms = d.sms, d.sms.HintForms()
	}
	if len(cfg.Relays) > 0 {
		if d.pool, err = smtp.New(cfg.SMTP(), d.log, d.registry); err != nil {
			return err
		}
		d.mail = mail.New(cfg.EmailSenders(), d.pool, d.log)
		sc.Email = d.mail
	}
	d.service = orders.NewService(sc)
	return d.wireAPI()
}

func (d *daemon) wireAPI() error {
	tokens, err := api.NewTokens(d.cfg.Tokens())
	if err != nil {
		return err
	}
	d.handler, err = api.New(api.Config{Service: d.service, Auth: tokens, BasePath: d.cfg.API.BasePath,
		MaxBody: int64(d.cfg.API.MaxBody), Rooms: d.cfg.Rooms(), Rates: d.cfg.Rates(), Numbers: d.cfg.Numbers.Rules(), Log: d.log, Registerer: d.registry})
	return err
}

func (d *daemon) apiAddr() string   { return d.api.Addr().String() }
func (d *daemon) adminAddr() string { return d.admin.Addr().String() }

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
