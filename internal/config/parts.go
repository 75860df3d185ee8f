package config

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"straks/api"
	"straks/orders"
	"straks/orders/mail"
	"straks/orders/sms"
)

// Tokens returns the bearer tokens of all organisations.
func (cfg *Config) Tokens() []api.Token {
	var tokens []api.Token
	for _, o := range cfg.Organisations {
		for _, t := range o.Tokens {
			tokens = append(tokens, api.Token{Organisation: o.Name, Name: t.Name, SHA256: t.SHA256.Hex(), Expires: t.Expires, Scopes: apiScopes(t.Scopes)})
		}
	}
	return tokens
}

// Rates returns the limits of the organisations that have one, for one of the nodes that share them.
func (cfg *Config) Rates(nodes int) map[string]api.Rate {
	rates := make(map[string]api.Rate)
	for _, o := range cfg.Organisations {
		if o.Rate > 0 {
			rates[o.Name] = api.Rate{PerSecond: o.Rate / float64(nodes), Burst: (o.Burst + nodes - 1) / nodes}
		}
	}
	return rates
}

// Limits returns the limits of the API's listener.
func (a *API) Limits() api.Limits {
	return api.Limits{
		ReadHeader:           a.ReadHeaderTimeout,
		Read:                 a.ReadTimeout,
		Write:                a.WriteTimeout,
		Idle:                 a.IdleTimeout,
		HeaderBytes:          int(a.MaxHeader),
		Connections:          a.MaxConnections,
		PerAddress:           a.MaxConnectionsPerAddress,
		PerAuthorizedAddress: a.MaxConnectionsPerAuthorizedAddress,
	}
}

// Failures returns the bound on failed authentications.
func (a *API) Failures() api.FailureLimit {
	return api.FailureLimit{PerSecond: a.AuthFailureRate, Burst: a.AuthFailureBurst}
}

// FeedsWithAll returns the organisations whose feed shows every change by default.
func (cfg *Config) FeedsWithAll() map[string]bool {
	all := make(map[string]bool)
	for _, o := range cfg.Organisations {
		all[o.Name] = o.Feed == FeedAll
	}
	return all
}

// Names returns the organisations' names, for the labels of metrics.
func (cfg *Config) Names() []string {
	names := make([]string, len(cfg.Organisations))
	for i, o := range cfg.Organisations {
		names[i] = o.Name
	}
	return names
}

// SMSChannel returns the configuration of the SMS channel.
func (cfg *Config) SMSChannel() sms.Config {
	c := sms.Config{Organisations: make(map[string]sms.Organisation), SMSCs: make(map[string]sms.SMSC),
		StopWords: cfg.SMS.StopWords, StartWords: cfg.SMS.StartWords, Prices: cfg.PriceTable()}
	for _, o := range cfg.Organisations {
		c.Organisations[o.Name] = sms.Organisation{Sender: o.SMSSender, Transliterate: o.Transliterate, InboundNumbers: o.InboundNumbers,
			Senders: o.SMSSenders, Off: !o.uses(ChannelSMS)}
	}
	for _, s := range cfg.SMSCs {
		c.SMSCs[s.Name] = sms.SMSC{Dialect: s.dialect, Alphabet: s.Alphabet.Encoding(), SettleByRecipient: s.SettleByRecipient}
	}
	return c
}

// ReceiptWait returns how long a receipt of the carrier may wait until it is stored.
func (cfg *Config) ReceiptWait(carrier string) time.Duration {
	for _, s := range cfg.SMSCs {
		if s.Name == carrier {
			return cmp.Or(s.ReceiptWait, orders.DefaultReceiptWait)
		}
	}
	return orders.DefaultReceiptWait
}

// EmailSenders returns what the e-mail channel knows of each organisation.
func (cfg *Config) EmailSenders() map[string]mail.Organisation {
	senders := make(map[string]mail.Organisation)
	for _, o := range cfg.Organisations {
		senders[o.Name] = mail.Organisation{
			Sender: cmp.Or(o.EmailSender, cfg.Email.DefaultSender), Name: o.EmailName, ReplyTo: o.EmailReplyTo,
			SenderDomains: o.EmailSenderDomains, Off: !o.uses(ChannelEmail),
		}
	}
	return senders
}

// SlogLevel returns the level for slog.
func (l *Log) SlogLevel() slog.Level {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.Level)); err != nil {
		return slog.LevelInfo // check has refused it
	}
	return level
}

// Has reports whether there is such an organisation.
func (cfg *Config) Has(organisation string) bool {
	return slices.Contains(cfg.Names(), organisation)
}
