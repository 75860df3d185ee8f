package daemon

import (
	"errors"
	"fmt"
	"net/http"
	"sync"

	"straks/internal/audit"
	"straks/internal/config"
	"straks/internal/faults"
	"straks/internal/printable"
)

// reload is how the configuration is read again.
type reload struct {
	mu   sync.Mutex // held while the configuration changes
	load func() (*config.Config, []config.Warning, error)
	then func(*config.Config)
}

// OnReload sets how Reload reads the configuration, and what is done with one that is in use then. It is called before
// Run.
func (d *Daemon) OnReload(load func() (*config.Config, []config.Warning, error), then func(*config.Config)) {
	d.reload.load, d.reload.then = load, then
}

// Reloaded is what came of reading the configuration again.
type Reloaded struct {
	Warnings []config.Warning `json:"warnings,omitempty"` // of the configuration in use now
	Restart  []string         `json:"restart,omitempty"`  // keys that have changed, and stay as they were until a restart
}

// errNoReload: nobody has said where the configuration is.
var errNoReload = errors.New("this daemon can't read its configuration again: restart it")

// Reload reads the configuration again and puts it in the place of the one in use: tokens, organisations, limits,
// routes, SMSCs, relays, keys of DKIM and the level of the log. Binds and connections that did not change stay up, and no
// request is refused for it. One that has a fault is refused whole: the one in use stays, and the error has every fault.
func (d *Daemon) Reload() (Reloaded, error) {
	d.reload.mu.Lock()
	defer d.reload.mu.Unlock()
	if d.reload.load == nil {
		return Reloaded{}, errNoReload
	}
	d.notifier.reloading()
	defer d.notifier.ready()
	cfg, warnings, err := d.reload.load()
	if err != nil {
		d.log.Error("configuration refused; the one in use stays", "err", printable.Line(err.Error()))
		return Reloaded{}, err
	}
	restart, err := d.apply(cfg)
	if err != nil {
		d.log.Error("configuration refused; the one in use stays", "err", printable.Line(err.Error()))
		return Reloaded{}, err
	}
	for _, w := range warnings {
		d.log.Warn("configuration", "key", w.Where(), "warning", w.Message)
	}
	for _, key := range restart {
		d.log.Warn("configuration", "key", key, "warning", "has changed, and takes effect after a restart")
	}
	d.log.Info("configuration read again")
	return Reloaded{warnings, restart}, nil
}

// apply puts a configuration in the place of the one in use, and returns the keys that need a restart. What can fail
// comes first.
func (d *Daemon) apply(cfg *config.Config) (restart []string, err error) {
	old := d.config()
	restart = cfg.KeepFixed(old)
	useCertificates, err := d.clients.Prepare(cfg.ClientCertificates())
	if err != nil {
		return nil, err
	}
	if d.gateway != nil {
		if err := d.gateway.Reconfigure(cfg.Gateway()); err != nil {
			return nil, err
		}
	}
	if d.pool != nil {
		if err := d.pool.Reconfigure(cfg.SMTP()); err != nil {
			return nil, d.restore(old, err)
		}
	}
	// Before its token is good, an organisation has its mode and its senders.
	for _, c := range d.simulated {
		c.SetRules(cfg.Modes())
	}
	d.warnOfKept("all", cfg.Modes())
	if d.sms != nil {
		d.sms.Reconfigure(d.smsConfig(cfg))
	}
	if d.mail != nil {
		d.mail.Reconfigure(d.mailConfig(cfg))
	}
	d.relimit(cfg)
	d.handler.Reconfigure(d.apiSettings(cfg))
	var forms map[string][]string
	if d.sms != nil {
		forms = d.sms.HintForms()
	}
	d.service.SetNames(cfg.Names(), relayNames(cfg), forms)
	if err := d.tokens.SetTokens(cfg.Tokens()); err != nil { // checked, when it was read
		return nil, err
	}
	useCertificates()
	d.conf.Store(cfg)
	if d.reload.then != nil {
		d.reload.then(cfg)
	}
	return restart, nil
}

// restore puts the old SMSCs back where the new relays could not be taken.
func (d *Daemon) restore(old *config.Config, cause error) error {
	if d.gateway == nil {
		return cause
	}
	if err := d.gateway.Reconfigure(old.Gateway()); err != nil {
		return fmt.Errorf("%w; and the former SMSCs were not taken again: %w", cause, err)
	}
	return cause
}

// serveReload is POST /reload, for "straks reload".
func (d *Daemon) serveReload(w http.ResponseWriter, r *http.Request) {
	done, err := d.Reload()
	outcome := "done"
	if err != nil {
		outcome = "refused"
	}
	d.operated(r, audit.Event{Action: audit.Reload, Object: "configuration " + d.config().Digest(), Outcome: outcome}, "")
	var invalid *config.Invalid
	var found faults.Faults
	switch {
	case err == nil:
		writeJSON(w, done)
	case errors.Is(err, errNoReload):
		http.Error(w, err.Error(), http.StatusNotImplemented)
	case errors.As(err, &invalid), errors.As(err, &found):
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	default:
		http.Error(w, fmt.Sprint(err), http.StatusUnprocessableEntity)
	}
}
