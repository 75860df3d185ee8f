package daemon

import (
	"context"
	"net"

	"straks/orders/mail"
	"straks/smtp/inbound"
)

// mailBack is the way back of e-mail.
type mailBack struct {
	inbound *inbound.Server // nil: no reports about mails
	reports net.Listener    // of SMTP; nil: none
	lmtp    net.Listener    // nil: none
}

// wireInbound builds the server for reports, where one is configured.
func (d *Daemon) wireInbound() (err error) {
	if m := d.config().Mail; m.Listen+m.LMTP != "" {
		d.inbound, err = inbound.New(m.Inbound(), d.log, d.registry)
	}
	return err
}

// listenMail opens the listeners for reports.
func (d *Daemon) listenMail(systemd *inherited) (err error) {
	if d.inbound == nil {
		return nil
	}
	if m := d.config().Mail; m.Listen != "" {
		if d.reports, err = systemd.listen("mail", m.Listen); err != nil {
			return err
		}
	}
	if m := d.config().Mail; m.LMTP != "" {
		d.lmtp, err = listenSocket("mail.lmtp", lmtpSocket(m))
	}
	return err
}

// serveInbound gives reports to the e-mail channel, and mails to the postmaster to the relays.
func (d *Daemon) serveInbound(ctx context.Context) error {
	operator := mail.Operator{Domain: d.config().Mail.BounceDomain, From: d.config().Email.DefaultSender, To: d.config().Mail.Postmaster}
	return d.inbound.Run(ctx, d.reports, d.lmtp, inbound.Handler{
		Report: func(ctx context.Context, m inbound.Mail) error {
			return d.mail.Report(ctx, mail.Report{Shipment: m.Shipment, From: m.From, Mail: m.Data})
		},
		Forward: func(ctx context.Context, m inbound.Mail) error { return d.mail.Forward(ctx, operator, m) },
	})
}

// MailAddr returns the address of the SMTP server for reports; empty where there is none.
func (d *Daemon) MailAddr() string {
	if d.reports == nil {
		return ""
	}
	return d.reports.Addr().String()
}
