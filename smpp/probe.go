package smpp

import (
	"context"
	"crypto/tls"
	"time"

	"straks/internal/faults"
	"straks/smpp/session"
	"straks/smpp/wire"
)

// Probe binds at each address of an SMSC, one after the other, and unbinds at once. It is for a time when no
// Gateway runs with the account: an SMSC that allows a certain number of binds counts these too. Receipts that
// come meanwhile are refused with a temporary error (ESME_RX_T_APPN), so that the SMSC sends them again. The
// result has an entry for each address of SMSC.Addr and SMSC.MoreAddrs, in that order: nil where the bind was
// accepted.
func Probe(ctx context.Context, config SMSC) []error {
	config = Config{SMSCs: []SMSC{config}}.WithDefaults().SMSCs[0]
	found := faults.New()
	settings := config.TLS.config(config.TLS.files(found.In("tls")))
	var results []error
	for _, addr := range config.addrs() {
		err := found.All().Err()
		if err == nil {
			err = config.probe(ctx, addr, settings)
		}
		results = append(results, err)
	}
	return results
}

func (c *SMSC) probe(ctx context.Context, addr string, settings *tls.Config) error {
	mode := session.Transceiver
	if c.Mode == ModeSeparate {
		mode = session.Transmitter
	}
	s, err := session.Dial(ctx, session.Config{
		Addr: addr, TLS: settings, Mode: mode,
		Bind: wire.Bind{
			SystemID: c.SystemID, Password: c.Password, SystemType: c.SystemType, AddressRange: c.AddressRange,
			InterfaceVersion: c.InterfaceVersion.octet(),
		},
		DialTimeout: c.ConnectTimeout, BindTimeout: c.ConnectTimeout, DeadAfter: c.DeadLink, EnquireInterval: c.EnquireLink,
		UnbindTimeout: time.Second,
	})
	if err != nil {
		return err
	}
	return s.Unbind(ctx)
}
