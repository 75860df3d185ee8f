package daemon

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"straks/api"
	"straks/codes"
	"straks/hooks"
	"straks/internal/audit"
	"straks/internal/clientcert"
	"straks/internal/config"
	"straks/internal/connlimit"
	"straks/internal/issuer"
	"straks/internal/limits"
	"straks/internal/printable"
	"straks/internal/pumping"
	"straks/internal/rawwords"
	"straks/orders"
	"straks/orders/mail"
	"straks/orders/postgres/examine"
	"straks/orders/simulated"
	"straks/orders/sms"
	"straks/smpp"
	"straks/smtp"
)

// Daemon is the whole program, wired. New takes what can be refused (journal,
// listeners), Run works, Close releases everything.
type Daemon struct {
	conf        atomic.Pointer[config.Config] // in use; it does not change
	log         *slog.Logger
	registry    *prometheus.Registry
	journal     engine
	doctor      *examine.Watch // of the journal's database; nil: the journal is a file
	gateway     *smpp.Gateway  // nil: no SMS
	pool        *smtp.Pool     // nil: no e-mail
	sms         *sms.Channel   // nil: no SMS
	mail        *mail.Channel  // nil: no e-mail
	service     *orders.Service
	limits      *limits.Limits
	others      *limits.Follower // of the orders of other nodes; nil: there are none
	past        limits.History   // what is not counted as it comes
	codes       *codes.Service   // nil: there are no verifications
	pumping     *pumping.Detector
	hooks       *hooks.Dispatcher
	sends       atomic.Bool          // of nodes that share a journal, this one sends the webhooks
	smscs       rawwords.Hub         // what SMSCs say, for operators who listen
	relays      rawwords.Hub         // what relays say, likewise
	issuers     []*issuer.Issuer     // of JSON web tokens
	simulated   []*simulated.Carrier // before the channels, where an organisation only tests
	audit       *audit.Log           // nil: there is none
	handler     *api.Handler         // of the API
	api         net.Listener
	certificate certificate        // of the API's connections
	metrics     net.Listener       // nil: the admin listener serves its routes
	limiter     *connlimit.Limiter // of the API's connections
	admin       net.Listener
	tokens      *api.Callers
	clients     *clientcert.Verifier // of client certificates
	tail        logTail              // of the log, for the console
	console     *consoleListener     // nil: there is none
	draining    atomic.Bool          // it stops, and serves still for api.drain_notice
	leaving     atomic.Bool          // that is over
	notifier    *notifier
	reload      reload

	peers peers

	mailBack
}

// New returns a daemon that has opened its journal and listens, but does not work
// yet: before Run nothing is sent and no connection is made. ctx bounds the
// migration of a journal of an older schema. reg must be empty.
func New(ctx context.Context, cfg *config.Config, log *slog.Logger, reg *prometheus.Registry) (*Daemon, error) {
	d := &Daemon{log: log, registry: reg}
	d.conf.Store(cfg)
	d.notifier = newNotifier(log)
	if cfg.Console.On() {
		d.log = slog.New(d.tail.handler(log.Handler()))
	}
	reg.MustRegister(collectors.NewGoCollector(), buildInfo(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := d.open(ctx); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Daemon) config() *config.Config { return d.conf.Load() }

// open takes what can be refused. After an error Close releases what was taken.
func (d *Daemon) open(ctx context.Context) (err error) {
	if d.journal, err = openJournal(ctx, d.config(), d.toOthers(), d.log, d.registry); err != nil {
		return err
	}
	if err := d.watchDatabase(); err != nil {
		return err
	}
	if err := d.openAudit(); err != nil {
		return err
	}
	if err := d.wire(); err != nil {
		return err
	}
	if err := d.countAgain(ctx); err != nil {
		return err
	}
	if d.certificate, err = apiCertificate(d.config().API, d.log, d.registry); err != nil {
		return err
	}
	if d.limiter, err = api.NewConnections(d.config().API.Limits(), d.log, d.registry); err != nil {
		return err
	}
	return d.listen()
}

// listen opens every listener, or takes those that systemd opened.
func (d *Daemon) listen() (err error) {
	systemd, err := inherit()
	if err != nil {
		return err
	}
	defer func() { systemd.close() }()
	if d.api, err = systemd.listenAny("api", apiSocket(d.config().API)); err != nil {
		return err
	}
	if addr := d.config().Metrics.Listen; addr != "" {
		if d.metrics, err = systemd.listen("metrics", addr); err != nil {
			return err
		}
	}
	if d.config().Console.On() {
		if err := d.openConsole(&systemd); err != nil {
			return err
		}
	}
	if d.admin, err = systemd.listenAny("admin", adminSocket(d.config().Admin)); err != nil {
		return err
	}
	if err := d.listenMail(&systemd); err != nil {
		return err
	}
	if err := d.listenPeers(&systemd); err != nil {
		return err
	}
	return systemd.rest()
}

// wire builds channels, service and API, each over those before.
func (d *Daemon) wire() (err error) {
	cfg := d.config()
	service := orders.Config{
		Journal: d.journal, Organisations: cfg.Names(),
		SendDeadline: cfg.API.SendDeadline, StallAfter: cfg.Journal.StallAfter, Retention: func() orders.Retention { return d.config().Retention() },
		MaxInFlight: cfg.API.MaxInFlight, Log: d.log, Registerer: d.registry,
		ReceiptWait: func(carrier string) time.Duration { return d.config().ReceiptWait(carrier) },
	}
	gateway := cfg.Gateway()
	d.share(&service, &gateway)
	if len(cfg.SMSCs) > 0 {
		if d.gateway, err = smpp.New(gateway, d.log, d.registry); err != nil {
			return err
		}
		d.sms = sms.New(d.smsConfig(cfg), d.gateway, d.log, d.registry)
		service.SMS, service.HintForms = d.kept(orders.SMS, d.sms), d.sms.HintForms()
	}
	if len(cfg.Relays) > 0 {
		if d.pool, err = smtp.New(cfg.SMTP(), d.log, d.registry); err != nil {
			return err
		}
		d.mail = mail.New(d.mailConfig(cfg), d.pool, d.log, d.registry)
		service.Email = d.kept(orders.Email, d.mail)
		if err := d.wireInbound(); err != nil {
			return err
		}
	}
	service.Relays = relayNames(cfg)
	d.wireLimits(&service)
	d.service = orders.NewService(service)
	if err := d.wireCodes(); err != nil {
		return err
	}
	d.wireWebhooks()
	if d.tokens, err = d.callers(); err != nil {
		return err
	}
	if err := d.wirePeers(); err != nil {
		return err
	}
	d.handler, err = api.New(api.Config{Service: d.service, Codes: d.codes, Auth: d.tokens, Peers: d.peers.client, BasePath: cfg.API.BasePath,
		MaxBody: int64(cfg.API.MaxBody), MaxBodySMS: int64(cfg.API.MaxBodySMS), MaxRequests: cfg.API.MaxConnections, Failures: cfg.API.Failures(), Settings: d.apiSettings(cfg), Docs: cfg.API.Docs, Audit: d.audit, Log: d.log, Registerer: d.registry})
	return err
}

// What parts get of a configuration, at the start and by Reload.

func (d *Daemon) smsConfig(cfg *config.Config) sms.Config {
	c := cfg.SMSChannel()
	c.Words = &d.smscs
	return c
}

func (d *Daemon) mailConfig(cfg *config.Config) mail.Config {
	return mail.Config{Organisations: cfg.EmailSenders(), Paths: cfg.Mail.Paths(), Waits: cfg.Waits(), Price: cfg.Cost.Email, Words: &d.relays}
}

func (d *Daemon) apiSettings(cfg *config.Config) api.Settings {
	return api.Settings{Rates: cfg.Rates(d.liveNodes()), FeedsWithAll: cfg.FeedsWithAll(), Numbers: cfg.NumberRules()}
}

// relayNames returns what stands for a relay in labels of metrics.
func relayNames(cfg *config.Config) []string {
	names := make([]string, len(cfg.Relays))
	for i, r := range cfg.Relays {
		names[i] = r.Name
	}
	if len(cfg.Modes()) > 0 {
		names = append(names, simulated.Name)
	}
	return names
}

// APIAddr returns the address of the API, with the port that was chosen for port 0.
func (d *Daemon) APIAddr() string { return d.api.Addr().String() }

// AdminAddr returns the address of the admin listener, likewise, or the path of its socket.
func (d *Daemon) AdminAddr() string { return d.admin.Addr().String() }

// MetricsAddr returns the address of the listener that serves the metrics.
func (d *Daemon) MetricsAddr() string {
	if d.metrics == nil {
		return d.AdminAddr()
	}
	return d.metrics.Addr().String()
}

// Close releases what New took. It may be called once, after Run has returned.
func (d *Daemon) Close() {
	for _, l := range []net.Listener{d.api, d.metrics, d.admin, d.reports, d.lmtp, d.peers.listen} {
		if l != nil {
			l.Close()
		}
	}
	if d.console != nil {
		d.console.listen.Close()
	}
	if d.peers.client != nil {
		d.peers.client.Close()
	}
	if d.journal != nil {
		if err := d.journal.Close(); err != nil {
			d.log.Error("journal not closed", "err", printable.Line(err.Error()))
		}
	}
}
