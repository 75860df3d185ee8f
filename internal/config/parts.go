package config

import (
	"log/slog"
	"runtime"
	"strings"

	"straks/api"
	"straks/orders"
)

// Tokens are the bearer tokens of all organisations.
func (cfg *Config) Tokens() []api.Token {
	var tokens []api.Token
	for _, o := range cfg.Organisations {
		for _, t := range o.Tokens {
			tokens = append(tokens, api.Token{Organisation: o.Name, Name: t.Name, SHA256: t.SHA256.Hex(), Expires: t.Expires})
		}
	}
	return tokens
}

// Rates are the limits of the organisations that have one.
func (cfg *Config) Rates() map[string]api.Rate {
	rates := make(map[string]api.Rate)
	for _, o := range cfg.Organisations {
		if o.Rate > 0 {
			rates[o.Name] = api.Rate{PerSecond: o.Rate, Burst: o.Burst}
		}
	}
	return rates
}

// Limits are those of the API's listener.
func (a *API) Limits() api.Limits {
	return api.Limits{
		ReadHeader:  a.ReadHeaderTimeout,
		Read:        a.ReadTimeout,
		Write:       a.WriteTimeout,
		Idle:        a.IdleTimeout,
		HeaderBytes: int(a.MaxHeader),
		Connections: a.MaxConnections,
	}
}

const (
	// atHand is how many orders of a channel for each of GOMAXPROCS are read, stored
	// and answered at a time while there are always more. More of them at a time
	// make nothing faster, but everything dearer (docs/performance.md).
	atHand = 32
	// waitingOrders is how many orders of a channel may come in one burst, beyond
	// those that are or wait with a carrier. Where 2,000 leave in a second the last
	// of them waits for 130 ms.
	waitingOrders = 256
)

// Rooms bound the orders of each channel at a time. Where api.max_in_flight is
// 0 they follow from the carriers.
func (cfg *Config) Rooms() map[orders.Channel]api.Room {
	var sms, smsWaiting, mails int
	for _, s := range cfg.SMSCs {
		windows, waiting := s.Places()
		sms += windows
		smsWaiting += waiting
	}
	for _, r := range cfg.Relays {
		mails += r.WithDefaults().MaxConns
	}
	return map[orders.Channel]api.Room{
		orders.SMS:   cfg.room(sms, smsWaiting),
		orders.Email: cfg.room(mails, 0),
	}
}

// room is that of a channel whose carriers take so many orders at a time, and let so many wait.
func (cfg *Config) room(taken, waiting int) api.Room {
	if most := cfg.API.MaxInFlight; most > 0 {
		return api.Room{Most: most}
	}
	return api.Room{Most: waitingOrders + taken + waiting, Standing: atHand * runtime.GOMAXPROCS(0)}
}

// Names are the organisations', for the labels of metrics.
func (cfg *Config) Names() []string {
	names := make([]string, len(cfg.Organisations))
	for i, o := range cfg.Organisations {
		names[i] = o.Name
	}
	return names
}

// SMSSender is the sender of the organisation's SMS that name none; empty where
// route, SMSC or sms.default_sender decide.
func (cfg *Config) SMSSender(organisation string) string {
	return cfg.organisation(organisation).SMSSender
}

// EmailSender is the sender of the organisation's mails that name none.
func (cfg *Config) EmailSender(organisation string) string {
	if s := cfg.organisation(organisation).EmailSender; s != "" {
		return s
	}
	return cfg.Email.DefaultSender
}

func (cfg *Config) organisation(name string) *Organisation {
	for i := range cfg.Organisations {
		if cfg.Organisations[i].Name == name {
			return &cfg.Organisations[i]
		}
	}
	return &Organisation{}
}

// BareNumber returns a number as it is in all of its spellings: without the '+', or the
// "00", that may stand before a country code.
func BareNumber(s string) string { return strings.TrimPrefix(strings.TrimPrefix(s, "+"), "00") }

// Inbound maps each number (see BareNumber) that inbound messages are sent to to its
// organisation.
func (cfg *Config) Inbound() map[string]string {
	owners := make(map[string]string)
	for _, o := range cfg.Organisations {
		for _, number := range o.InboundNumbers {
			owners[BareNumber(number)] = o.Name
		}
	}
	return owners
}

// SlogLevel is the level for slog.
func (l *Log) SlogLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo // check has refused it already
	}
	return level
}

// Has tells whether there is such an organisation.
func (cfg *Config) Has(organisation string) bool {
	return cfg.organisation(organisation).Name == organisation
}

// Transliterates tells whether look-alikes in the organisation's SMS become GSM characters.
func (cfg *Config) Transliterates(organisation string) bool {
	return cfg.organisation(organisation).Transliterate
}
