package config

import "fmt"

const (
	// UnitDescriptors is LimitNOFILE in systemd/straks.service.
	UnitDescriptors = 65536
	// ownDescriptors are for all that is not the API or a carrier: the journal and a backup of
	// it, listeners and their private connections, the log, look-ups of names.
	ownDescriptors = 256
)

// Descriptors returns how many file descriptors the daemon may have open at a time. A
// carrier's connection counts twice: the new one may be open before the old one is closed.
func (cfg *Config) Descriptors() int {
	n := cfg.API.MaxConnections + ownDescriptors
	if cfg.Mail.Listen != "" {
		n += cfg.Mail.MaxConnections
	}
	if cfg.Mail.LMTP != "" {
		n += cfg.Mail.MaxConnections
	}
	for _, s := range cfg.Gateway().WithDefaults().SMSCs {
		n += 2 * s.Binds
	}
	for _, r := range cfg.SMTP().Relays {
		n += 2 * r.WithDefaults().MaxConns
	}
	for _, w := range cfg.Webhooks() {
		n += 2 * (w.MaxInFlight + 1)
	}
	return n
}

// DescriptorWarnings warns if the daemon may need more file descriptors than the limit,
// which whose describes.
func (cfg *Config) DescriptorWarnings(limit uint64, whose string) []Warning {
	need := cfg.Descriptors()
	if uint64(need) <= limit {
		return nil
	}
	return []Warning{{Key: "api.max_connections", Message: fmt.Sprintf(
		"is %d: with the carriers' connections up to %d file descriptors are needed, and %s is %d; beyond it carriers can't be connected to: raise LimitNOFILE (systemctl edit straks), or lower max_connections",
		cfg.API.MaxConnections, need, whose, limit)}}
}
