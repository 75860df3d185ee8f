package config

import (
	"crypto/x509"
	"net/netip"
	"net/url"
	"time"

	"straks/hooks"
	"straks/internal/faults"
	"straks/internal/pemfile"
)

// Webhook is a receiver to which the organisation's feed is sent, one HTTP request for each entry.
type Webhook struct {
	Name string // in logs, metrics and the journal, which has how far it is: with a new name it begins as a new one. Required
	// URL of the receiver: https, or http on this machine. A redirect is not followed. Required.
	URL string `toml:"url"`
	// SecretFile holds the secret that signs each request ("straks webhook secret" makes one): a path, or the name of
	// a credential. Required.
	SecretFile string
	// FormerSecretFile holds the secret that was used before: each request is signed with both, until
	// the receiver has the new one. Default none.
	FormerSecretFile string
	Feed             string // "shipments", or "verifications": what became of verification codes: "shipments"
	Changes          string // "final", an entry for each shipment when its status is final; or "all", every change from acceptance on: "final"
	// Begin is where a new webhook begins: "newest", with the next entry, or "oldest", with the oldest that is kept:
	// "newest".
	Begin string
	// MaxInFlight is how many requests may be out at a time, 1 to 64. With 1 the receiver handles entries in
	// order, at most one for each round trip. With more, only those of one shipment stay in order: 1.
	MaxInFlight int
	Timeout     time.Duration // of a request, from the connection to the answer's headers; 1s to 1m: 15s
	CAFile      string        // PEM certificates of the authorities that sign the receiver's. Default: the system's
	// Networks are the address ranges to which the URL's name may lead, like "10.0.0.0/8". Default: all but this
	// machine, link-local and multicast addresses, and the metadata services of clouds.
	Networks  []string
	PlainHTTP bool `toml:"plain_http"` // true: an http URL may lead to another machine, and everybody between can read the numbers: false

	secret, former hooks.Secret
	authorities    *x509.CertPool
	networks       []netip.Prefix
}

func (w *Webhook) setDefaults() {
	*w = Webhook{Feed: feedShipments, Changes: FeedFinal, Begin: string(hooks.Newest), MaxInFlight: 1, Timeout: hooks.DefaultTimeout}
}

// reserved keeps the secret out of the file.
func (w *Webhook) reserved() map[string]string {
	return map[string]string{"secret": "does not belong here: put it in a file of its own and name that file as secret_file"}
}

// Which feed a webhook sends.
const (
	feedShipments     = "shipments"
	feedVerifications = "verifications"
)

// maxWebhooks bounds the webhooks of an organisation.
const maxWebhooks = 16

func (w *Webhook) check(c *checker) {
	c.Name("name", w.Name)
	if c.Required("url", w.URL) {
		w.checkURL(c)
	}
	if c.Required("secret_file", w.SecretFile) {
		w.secret = c.webhookSecret("secret_file", w.SecretFile)
	}
	w.former = c.webhookSecret("former_secret_file", w.FormerSecretFile)
	c.Unless(w.former.None() || !w.former.Equal(w.secret), "former_secret_file", "holds the same secret as secret_file")
	c.OneOf("feed", w.Feed, feedShipments, feedVerifications)
	c.OneOf("changes", w.Changes, FeedFinal, FeedAll)
	c.OneOf("begin", w.Begin, string(hooks.Newest), string(hooks.Oldest))
	faults.Range(c.List, "max_in_flight", w.MaxInFlight, 1, hooks.MaxInFlight)
	c.Duration("timeout", w.Timeout, time.Second, time.Minute)
	if w.CAFile != "" {
		var err error
		c.reads("ca_file", w.CAFile)
		w.authorities, err = pemfile.Pool(w.CAFile)
		c.Unless(err == nil, "ca_file", "can't be used: %v", err)
	}
	for i, s := range w.Networks {
		p, err := netip.ParsePrefix(s)
		c.Unless(err == nil && p == p.Masked(), faults.Index("networks", i), `is %q, not a range of addresses like "10.0.0.0/8"`, s)
		w.networks = append(w.networks, p)
	}
}

// checkURL checks the URL. Its faults quote nothing of it: it may hold a secret.
func (w *Webhook) checkURL(c *checker) {
	u, err := url.Parse(w.URL)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "":
		c.Add("url", "must be like https://receiver.example.org/path")
	case u.User != nil:
		c.Add("url", "has a user name: leave it out, receivers know us by the signature")
	case u.Fragment != "":
		c.Add("url", "has a fragment (#), which is never sent")
	case u.Scheme == "http" && !hooks.Loopback(u.Hostname()) && !w.PlainHTTP:
		c.Add("url", "begins with http, and leads to another machine: use https, or set plain_http = true if nobody can listen in between")
	}
}

// webhookSecret reads the secret of signatures from the file that the key names.
func (c *checker) webhookSecret(key, path string) hooks.Secret {
	text := c.secret(key, path)
	if text == "" || c.file.sealed {
		return hooks.Secret{}
	}
	s, err := hooks.ParseSecret(text)
	c.Unless(err == nil, key, "holds a secret that %v", err)
	return s
}

// Webhooks returns the webhooks of all organisations.
func (cfg *Config) Webhooks() (all []hooks.Webhook) {
	for _, o := range cfg.Organisations {
		for _, w := range o.Webhooks {
			all = append(all, hooks.Webhook{Organisation: o.Name, Name: w.Name, URL: w.URL, Secret: w.secret, FormerSecret: w.former,
				Verifications: w.Feed == feedVerifications, FinalOnly: w.Changes == FeedFinal, FromOldest: w.Begin == string(hooks.Oldest), MaxInFlight: w.MaxInFlight, Timeout: w.Timeout,
				Authorities: w.authorities, Networks: w.networks})
		}
	}
	return all
}
