package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/api"
	"straks/internal/config"
	"straks/internal/cost"
	"straks/orders"
	"straks/orders/sms"
	"straks/smpp"
)

// routeCommand prints which way an SMS or a mail would go, and how it would be encoded. It makes
// no connection, so it cannot know which binds and relays are up.
func routeCommand(_ context.Context, args []string, e env) error {
	fs := newFlags("route NUMBER|ADDRESS [flags]")
	path := fs.configFlag()
	org := fs.String("org", "", "`organisation` that sends (default: the configuration's first)")
	sender := fs.String("sender", "", "sender, if not the default one")
	text := fs.String("text", "Your code is 123456", "`text` of the message")
	ttl := fs.Duration("ttl", time.Hour, "how long an SMS is worth delivering, 1m to 48h")
	operands, err := fs.parse(args, e, "NUMBER|ADDRESS")
	if err != nil {
		return err
	}
	cfg, _, err := config.LoadSealed(*path)
	if err != nil {
		return err
	}
	if *org == "" {
		*org = cfg.Organisations[0].Name
	}
	if !cfg.Has(*org) {
		return fmt.Errorf("no organisation %q in the configuration", *org)
	}
	if strings.Contains(operands[0], "@") {
		if len(cfg.Relays) == 0 {
			return fmt.Errorf("%s has no [[relay]]: e-mail is not set up", *path)
		}
		return routeMail(cfg, orders.Message{Channel: orders.Email, Organisation: *org, To: orders.Recipient(strings.TrimSpace(operands[0])),
			From: strings.TrimSpace(*sender), Subject: "Code", Body: *text}, e.stdout)
	}
	if len(cfg.SMSCs) == 0 {
		return fmt.Errorf("%s has no [[smsc]]: SMS is not set up", *path)
	}
	m, err := dryMessage(cfg, *org, operands[0], *sender, *text, *ttl)
	if err != nil {
		return err
	}
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	gateway, err := smpp.New(cfg.Gateway(), log, reg)
	if err != nil {
		return err
	}
	channel := sms.New(cfg.SMSChannel(), gateway, log, reg)
	return printPlan(e.stdout, m, channel.Explain(m), cfg)
}

// dryMessage returns the message as the daemon would make it of a request.
func dryMessage(cfg *config.Config, org, number, sender, text string, ttl time.Duration) (orders.Message, error) {
	number, err := cfg.NumberRules()[org].Parse(number)
	switch {
	case err != nil:
		return orders.Message{}, fmt.Errorf("it would be refused with 400: the number %w", err)
	case strings.TrimSpace(text) == "":
		return orders.Message{}, errors.New("it would be refused with 400: the text must not be blank")
	case ttl < api.MinTTL || ttl > api.MaxTTL || ttl%time.Second != 0:
		return orders.Message{}, fmt.Errorf("it would be refused with 400: the time to live must be whole seconds from %.0f to %.0f", api.MinTTL.Seconds(), api.MaxTTL.Seconds())
	}
	return orders.Message{Organisation: org, To: orders.Recipient(number), From: sender, Body: text, Expires: time.Now().Add(ttl)}, nil
}

func printPlan(w io.Writer, m orders.Message, p smpp.Plan, cfg *config.Config) error {
	prices := cfg.PriceTable()
	out := newTable(w)
	out.row("to", string(m.To))
	out.row("organisation", m.Organisation)
	out.row("route", orNone(p.Route))
	for _, f := range p.Faults {
		out.row("refused", fmt.Sprintf("%s: %s", f.Field, f.Message))
	}
	for i, c := range p.SMSCs {
		out.section(fmt.Sprintf("%d. SMSC", i+1), c.Name)
		if c.Weight > 0 {
			out.row("   by lot", fmt.Sprintf("in %d of %d messages the first of its equals", c.Weight, p.Lots))
		}
		if len(c.Faults) > 0 {
			for _, f := range c.Faults {
				out.row("   can't", fmt.Sprintf("%s: %s", f.Field, f.Message))
			}
			continue
		}
		printPlanned(out, c)
		if !prices.Empty() {
			out.row("   price", priceOf(prices, c, m.To, cfg.Cost.Currency))
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if len(p.Faults) > 0 {
		return errors.New("it would be refused with 400")
	}
	return nil
}

func printPlanned(out table, c smpp.PlannedSMSC) {
	var binds []string
	for _, b := range c.Binds {
		binds = append(binds, b.Bind)
	}
	parts := fmt.Sprintf("%d, for %d characters", c.Parts, c.Characters)
	if c.Long != "" {
		parts += fmt.Sprintf(", as %s", c.Long)
	}
	out.row("   binds", strings.Join(binds, ", "))
	out.row("   source", fmt.Sprintf("%s (%s, TON %d, NPI %d)", orNone(c.Source), c.SenderKind, c.SourceNumbering.TON, c.SourceNumbering.NPI))
	out.row("   destination", fmt.Sprintf("%s (TON %d, NPI %d)", c.Destination, c.DestNumbering.TON, c.DestNumbering.NPI))
	out.row("   encoding", fmt.Sprintf("%s (data_coding 0x%02X)", c.Encoding, c.DataCoding))
	out.row("   parts", parts)
	out.row("   validity", orNone(c.Validity))
}

// priceOf returns what the message costs at an SMSC.
func priceOf(prices *cost.Table, c smpp.PlannedSMSC, to orders.Recipient, currency string) string {
	p, ok := prices.Of(c.Name, string(to))
	if !ok {
		return "not known: no [[price]] is for this number"
	}
	text := fmt.Sprintf("%v %s (class %s)", p.Amount.Times(c.Parts), currency, p.Class)
	if c.Parts > 1 {
		text += fmt.Sprintf(", %v for each part", p.Amount)
	}
	return text
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
