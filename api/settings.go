package api

import "straks/internal/numbers"

// Settings are what of the API may change while it works: see Handler.Reconfigure.
type Settings struct {
	Rates        map[string]Rate           // of orders, by organisation; an absent one has no limit
	FeedsWithAll map[string]bool           // organisations whose feed shows every change where a request does not say
	Numbers      map[string]*numbers.Rules // that SMS may go to, by organisation; an absent one may send to all ordinary numbers
}

// settings are Settings in use. They do not change.
type settings struct {
	rates      rates
	numbers    map[string]*numbers.Rules // by organisation
	allChanges map[string]bool           // by organisation
}

func newSettings(s Settings, old rates) *settings {
	return &settings{newRates(s.Rates, old), s.Numbers, s.FeedsWithAll}
}

// Reconfigure puts settings in the place of those in use. A request goes by those at its beginning. An
// organisation whose rate changes keeps what is left of it. Only one goroutine at a time may call it.
func (h *Handler) Reconfigure(s Settings) {
	h.api.settings.Store(newSettings(s, h.api.settings.Load().rates))
	h.api.metrics.begin(h.api.settings.Load())
}
