package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/config"
	"straks/orders"
	"straks/orders/mail"
	"straks/smtp"
)

// routeMail prints which way a mail would go.
func routeMail(cfg *config.Config, m orders.Message, w io.Writer) error {
	log := slog.New(slog.DiscardHandler)
	pool, err := smtp.New(cfg.SMTP(), log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	m.Shipment = uuid.New()
	channel := mail.New(mail.Config{Organisations: cfg.EmailSenders(), Paths: cfg.Mail.Paths()}, pool, log, nil)
	plan, refused := channel.Explain(m), channel.Check(m)
	out := newTable(w)
	out.row("to", string(m.To))
	out.row("organisation", m.Organisation)
	out.row("from", plan.From)
	out.row("signed by", orNone(signedBy(cfg, plan.From)))
	out.row("route", orNone(plan.Route))
	for _, f := range refused {
		out.row("refused", fmt.Sprintf("%s: %s", f.Field, f.Message))
	}
	if plan.UTF8 {
		out.row("needs", "SMTPUTF8: a relay without it can't take the mail")
	}
	if price := cfg.Cost.Email; price > 0 {
		out.row("price", fmt.Sprint(price, " ", cfg.Cost.Currency))
	}
	for i, r := range plan.Relays {
		out.section(fmt.Sprintf("%d. relay", i+1), r.Name)
		printRelay(out, r, plan.Lots)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if len(refused) > 0 {
		return errors.New("it would be refused with 400")
	}
	return nil
}

func printRelay(out table, r smtp.PlannedRelay, lots int) {
	if r.Weight > 0 {
		out.row("   by lot", fmt.Sprintf("in %d of %d mails the first of its equals", r.Weight, lots))
	}
	login := "none"
	if r.Username != "" {
		login = "as " + r.Username
	}
	rate := "no limit"
	if r.Rate > 0 {
		rate = fmt.Sprintf("%v mails a second", r.Rate)
	}
	out.row("   address", r.Addr)
	out.row("   tls", string(r.TLS))
	out.row("   login", login)
	out.row("   connections", fmt.Sprintf("%d to %d", r.MinIdle, r.MaxConns))
	out.row("   rate", rate)
}

// signedBy returns the names of the DNS records of the keys that would sign a mail. The keys are secrets, which
// this command does not read.
func signedBy(cfg *config.Config, from string) string {
	_, domain, _ := strings.Cut(from, "@")
	domain, _ = smtp.ParseDomain(domain)
	for ; domain != ""; _, domain, _ = strings.Cut(domain, ".") {
		for _, d := range cfg.DKIM {
			if d.Domain == domain {
				return strings.Join(d.Records(), ", ")
			}
		}
	}
	return ""
}
