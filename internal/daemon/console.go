package daemon

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"straks/console"
	"straks/internal/config"
	"straks/internal/pemfile"
	"straks/internal/recent"
	"straks/orders"
	"straks/orders/bolt"
	"straks/orders/postgres"
)

// consoleSource is what the console shows and does, made of the daemon's parts.
type consoleSource struct {
	*Daemon
	started time.Time
	recent  *recent.Recorder
	backup  atomic.Int64 // when the last one was taken, in unix µs; 0: none
	bounds  atomic.Pointer[map[string][]time.Duration]

	mu          sync.Mutex
	shown       console.Now    // by Now
	conf        *config.Config // of carriers
	carrierEnds []console.End  // of the certificates that they ask for
}

// consoleListener is the console's part of the daemon.
type consoleListener struct {
	pages       *console.Console
	source      *consoleSource
	listen      net.Listener
	certificate certificate
}

// openConsole takes what of the console can be refused.
func (d *Daemon) openConsole(systemd *inherited) (err error) {
	cfg := &d.config().Console
	l := &consoleListener{source: &consoleSource{Daemon: d, started: time.Now(), recent: recent.New()}}
	if l.certificate, err = openCertificate("console.tls_cert_file", cfg.TLSCertFile, cfg.TLSKeyFile, d.log); err != nil {
		return err
	}
	if l.pages, err = console.New(console.Config{Source: l.source, Accounts: cfg.Accounts(), OIDC: cfg.Provider(),
		Session: cfg.Session, Idle: cfg.Idle, Log: d.log, Audit: d.audit}); err != nil {
		return err
	}
	if l.listen, err = systemd.listen("console", cfg.Listen); err != nil {
		return err
	}
	d.console = l
	return nil
}

// serveConsole serves the pages, and samples the counters that they show, until ctx ends.
func (d *Daemon) serveConsole(ctx context.Context) error {
	sampling, stop := context.WithCancel(ctx)
	sampled := make(chan struct{})
	go func() {
		defer close(sampled)
		d.console.source.sampleEvery(sampling)
	}()
	defer func() {
		stop()
		<-sampled
	}()
	defer context.AfterFunc(ctx, d.console.pages.Close)()
	l := d.console.listen
	if settings := d.console.certificate.config(); settings != nil {
		l = tls.NewListener(l, settings)
	}
	return servePrivate(ctx, d.console.pages, l, false, d.log)
}

// ConsoleAddr returns the address of the console; empty where there is none.
func (d *Daemon) ConsoleAddr() string {
	if d.console == nil {
		return ""
	}
	return d.console.listen.Addr().String()
}

// backedUp notes that a backup was taken.
func (d *Daemon) backedUp() {
	if d.console != nil {
		d.console.source.backup.Store(time.Now().UnixMicro())
	}
}

// ends returns when certificates of ours and tokens end.
func (d *Daemon) ends() (all []console.End) {
	ours := map[string]certificate{"api": d.certificate}
	if d.console != nil {
		ours["console"] = d.console.certificate
	}
	for name, c := range ours {
		if c.files != nil {
			all = append(all, console.End{Kind: "certificate", Name: name, At: c.end()})
		}
	}
	for _, e := range d.clients.Ends() {
		name := strings.TrimSpace("client CA " + e.Organisation)
		all = append(all, console.End{Kind: "certificate", Name: name, At: e.CA})
		if !e.List.IsZero() {
			all = append(all, console.End{Kind: "crl", Name: name, At: e.List})
		}
	}
	for _, o := range d.config().Organisations {
		for _, t := range o.Tokens {
			if !t.Expires.IsZero() {
				all = append(all, console.End{Kind: "token", Name: o.Name + " " + t.Name, At: t.Expires})
			}
		}
	}
	return all
}

// allEnds adds the certificates that we show to carriers. Their files are read once for each configuration, as the
// carriers do. Under mu.
func (s *consoleSource) allEnds() []console.End {
	if cfg := s.config(); cfg != s.conf {
		s.conf, s.carrierEnds = cfg, nil
		add := func(name, cert, key string) {
			if cert == "" {
				return
			}
			if pair, err := pemfile.Pair(cert, key); err == nil {
				s.carrierEnds = append(s.carrierEnds, console.End{Kind: "certificate", Name: name, At: pair[0].Leaf.NotAfter})
			}
		}
		for _, c := range cfg.SMSCs {
			add(c.Name, c.TLS.CertFile, c.TLS.KeyFile)
		}
		for _, r := range cfg.Relays {
			add(r.Name, r.ClientCert, r.ClientKey)
		}
	}
	all := slices.Concat(s.ends(), s.carrierEnds)
	sortEnds(all)
	return all
}

// nowAge is how old the answer of Now may be: all open pages ask for it every second.
const nowAge = 500 * time.Millisecond

// Now implements console.Overview.
func (s *consoleSource) Now() console.Now {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.shown.At) > nowAge {
		s.shown = s.look()
	}
	return s.shown
}

// look returns the state of the whole.
func (s *consoleSource) look() console.Now {
	version, _, _ := Version()
	n := console.Now{At: time.Now(), Started: s.started, Version: version, InFlight: s.service.InFlight(),
		Minutes: s.orders(recent.Minutes), Hour: s.orders(recent.Hour), Journal: s.journalState(), Ends: s.allEnds()}
	if err := s.Ready(); err != nil {
		n.Reason = err.Error()
	}
	if n.Ready = n.Reason == ""; !n.Ready && s.journal.Ready() == nil {
		n.Sends = s.sends()
	}
	for _, c := range s.carrierStates() {
		n.Carriers = append(n.Carriers, c.CarrierNow)
	}
	for _, l := range s.tail.last() {
		n.Warnings = append(n.Warnings, console.Warning{At: l.at, Error: l.level >= errorLevel, Text: l.text})
	}
	return n
}

// sends returns the channels that can send.
func (s *consoleSource) sends() (all []string) {
	for _, channel := range []orders.Channel{orders.SMS, orders.Email} {
		if s.service.ReadyFor(channel) == nil {
			all = append(all, channel.String())
		}
	}
	return all
}

// Organisations implements console.Organisations.
func (s *consoleSource) Organisations() (all []console.Organisation) {
	used, spent := s.tokens.Used(), s.spentBy()
	for _, o := range s.config().Organisations {
		shown := console.Organisation{Name: o.Name, Rate: o.Rate, Burst: o.Burst,
			Outcomes: s.counts(recent.Day, "org/"+o.Name+"/", orderOutcomes), Results: s.counts(recent.Day, "org/"+o.Name+"/", results)}
		shown.Pumping = strings.Join(s.suspectedOf(o.Name), ", ")
		if c, ok := spent[o.Name]; ok {
			shown.Spent = c.Spent.String() + " " + s.config().Cost.Currency
			if c.Budget > 0 {
				shown.Budget, shown.Used = c.Budget.String(), c.Used()
			}
		}
		for _, t := range o.Tokens {
			shown.Tokens = append(shown.Tokens, console.Token{Name: t.Name, Scopes: t.Scopes, Expires: t.Expires, Used: used[[2]string{o.Name, t.Name}]})
		}
		all = append(all, shown)
	}
	return all
}

// journalState is the state of the store. Its growth is that of the octets in use, over the last day at most.
func (s *consoleSource) journalState() console.Journal {
	j := console.Journal{Free: -1, DaysLeft: -1}
	switch levels := s.journal.Levels().(type) {
	case bolt.Stats:
		j.File, j.Size = levels.FileSize, levels.FileSize-levels.FreeSize
	case postgres.Levels:
		j.Shared = &console.Shared{Node: levels.Node, Keeper: levels.Keeper, Parked: levels.Parked, Lease: seconds(levels.Lease), Offset: seconds(levels.Offset)}
		for _, n := range s.Nodes() {
			j.Shared.Live = append(j.Shared.Live, n.ID)
		}
		return j
	}
	if at := s.backup.Load(); at != 0 {
		j.LastBackup = time.UnixMicro(at)
	}
	if free, ok := freeOctets(s.config().Journal.Path); ok {
		j.Free = free
	}
	over := min(time.Since(s.recent.Since()), 24*time.Hour)
	if s.recent.Since().IsZero() || over < growthKnown {
		return j
	}
	j.Growth = int64(s.recent.Total(recent.Day, journalKey) * float64(24*time.Hour) / float64(over))
	switch {
	case j.Free < 0:
	case j.Growth <= 0:
		j.Growth, j.DaysLeft = 0, manyDays
	default:
		j.DaysLeft = int(min((j.Free+j.File-j.Size)/j.Growth, manyDays))
	}
	return j
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

const (
	growthKnown = 15 * time.Minute // what is younger says nothing of a day
	manyDays    = 10_000
)
