package daemon

import (
	"fmt"

	"straks/api"
	"straks/internal/issuer"
)

// callers returns the authenticator of the API: static tokens, and the JSON web tokens of the issuers.
func (d *Daemon) callers() (*api.Callers, error) {
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
	return api.NewCallers(d.config().Tokens(), issuers)
}
