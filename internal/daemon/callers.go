package daemon

import (
	"fmt"

	"straks/api"
	"straks/internal/clientcert"
	"straks/internal/issuer"
)

// callers returns the authenticator of the API: static tokens, the JSON web tokens of the issuers, and client certificates.
func (d *Daemon) callers() (_ *api.Callers, err error) {
	if d.clients, err = clientcert.New(d.config().ClientCertificates(), d.log); err != nil {
		return nil, err
	}
	d.registry.MustRegister(d.clients, expiry{d.config})
	var issuers []api.TokenIssuer
	for _, t := range d.config().TokenIssuers() {
		i, err := issuer.New(t.Keys, d.log, d.registry)
		if err != nil {
			return nil, fmt.Errorf("issuer %q: %w", t.Keys.Name, err)
		}
		d.issuers = append(d.issuers, i)
		t.Use.Issuer = i
		issuers = append(issuers, t.Use)
	}
	return api.NewCallers(d.config().Tokens(), issuers, d.clients)
}
