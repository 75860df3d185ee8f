package config

import "reflect"

// fixed are the tables that take effect at the start only, by their key, and the fields that hold them. The
// others can change while the daemon runs.
var fixed = []struct {
	key   string
	field func(*Config) any // pointer to the field
}{
	{"metrics", func(c *Config) any { return &c.Metrics }},
	{"admin", func(c *Config) any { return &c.Admin }},
	{"console", func(c *Config) any { return &c.Console }},
	{"journal", func(c *Config) any { return &c.Journal }},
	{"node", func(c *Config) any { return &c.Node }},
	{"audit", func(c *Config) any { return &c.Audit }},
	{"mail", func(c *Config) any { return &c.Mail }},
	{"verification", func(c *Config) any { return &c.Verification }},
	{"issuer", func(c *Config) any { return &c.Issuers }},
	{"api", func(c *Config) any { return &c.API }},
	{"log.format", func(c *Config) any { return &c.Log.Format }},
}

// KeepFixed gives the configuration the values of the one in use where a change takes effect at the start only, and
// returns the keys of those that differ: a table as a whole.
func (cfg *Config) KeepFixed(inUse *Config) (changed []string) {
	defer cfg.keepReloadable(cfg.API, inUse)()
	for _, f := range fixed {
		now, was := reflect.ValueOf(f.field(cfg)).Elem(), reflect.ValueOf(f.field(inUse)).Elem()
		if !reflect.DeepEqual(now.Interface(), was.Interface()) {
			changed = append(changed, f.key)
			now.Set(was)
		}
	}
	if (len(cfg.SMSCs) == 0) != (len(inUse.SMSCs) == 0) { // the channel begins or ends
		changed = append(changed, "smsc")
		cfg.SMSCs, cfg.Routes = inUse.SMSCs, inUse.Routes
	}
	if (len(cfg.Relays) == 0) != (len(inUse.Relays) == 0) {
		changed = append(changed, "relay")
		cfg.Relays, cfg.MailRoutes = inUse.Relays, inUse.MailRoutes
	}
	if cfg.keepWebhooks(inUse) {
		changed = append(changed, "organisation.webhook")
	}
	if cfg.keepApps(inUse) {
		changed = append(changed, "organisation.app")
	}
	return changed
}

// keepApps gives organisations the names in texts of codes that are in use, and reports whether they had others.
func (cfg *Config) keepApps(inUse *Config) (changed bool) {
	was := inUse.Codes().Apps
	for i := range cfg.Organisations {
		o := &cfg.Organisations[i]
		if app, ok := was[o.Name]; ok && app != o.app() {
			changed, o.App = cfg.Verification.On(), app
		}
	}
	return changed
}

// keepReloadable has what can change of [api] look as it is in use, until the function that it returns is called.
func (cfg *Config) keepReloadable(now API, inUse *Config) (back func()) {
	a, was := &cfg.API, &inUse.API
	a.ClientCAFiles, a.ClientCRLFiles, a.ClientCRLGrace = was.ClientCAFiles, was.ClientCRLFiles, was.ClientCRLGrace
	return func() {
		a.ClientCAFiles, a.ClientCRLFiles, a.ClientCRLGrace = now.ClientCAFiles, now.ClientCRLFiles, now.ClientCRLGrace
	}
}

// keepWebhooks gives organisations the webhooks that they have in use, and reports whether they had others. Receivers
// begin and end with the daemon.
func (cfg *Config) keepWebhooks(inUse *Config) (changed bool) {
	was := make(map[string][]Webhook)
	for _, o := range inUse.Organisations {
		was[o.Name] = o.Webhooks
	}
	for i := range cfg.Organisations {
		o := &cfg.Organisations[i]
		if len(o.Webhooks)+len(was[o.Name]) > 0 && !reflect.DeepEqual(o.Webhooks, was[o.Name]) {
			changed, o.Webhooks = true, was[o.Name]
		}
		delete(was, o.Name)
	}
	for _, gone := range was {
		changed = changed || len(gone) > 0
	}
	return changed
}
