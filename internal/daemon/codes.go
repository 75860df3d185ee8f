package daemon

import (
	"errors"

	"straks/codes"
	"straks/orders"
)

// wireCodes builds verifications over the service, if the configuration has them.
func (d *Daemon) wireCodes() error {
	if !d.config().Verification.On() {
		return nil
	}
	store, ok := d.journal.(codes.Store)
	if !ok {
		return errors.New("verification: this kind of journal keeps no verifications: remove verification.key_file")
	}
	cfg := d.config().Codes()
	cfg.Store, cfg.Orders, cfg.Log, cfg.Registerer = store, d.service, d.log, d.registry
	cfg.Used = func(organisation string, to codes.Address, used bool) {
		if to.Channel == orders.SMS {
			d.pumping.Outcome(organisation, to.To, used)
		}
	}
	d.codes = codes.New(cfg)
	return nil
}
