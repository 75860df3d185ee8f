package daemon

import (
	"errors"

	"straks/codes"
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
	d.codes = codes.New(cfg)
	return nil
}
