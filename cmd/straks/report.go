package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"net/textproto"
	"os"
	"slices"
	"strings"

	"straks/internal/config"
	"straks/smtp/inbound"
)

// Exit codes of report: those of sysexits.h, which mail servers understand.
const (
	exitBadMail   = 65 // EX_DATAERR: it will never be taken
	exitNoMailbox = 67 // EX_NOUSER
	exitLater     = 75 // EX_TEMPFAIL: the mail server keeps it, and tries again
)

// sysexit is an error with an exit code of its own.
type sysexit struct {
	code int
	err  error
}

func (e sysexit) Error() string { return e.err.Error() }

// maxReport is more than any mail.max_mail, in octets.
const maxReport = 32 << 20

// reportCommand gives the daemon a mail that a mail server pipes into it.
func reportCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("report [-config FILE] [-lmtp SOCKET] [-to ADDRESS] [-from ADDRESS] < MAIL")
	fs.notes = `The daemon must run with mail.lmtp. Without -to, the recipient is that of the environment
(ORIGINAL_RECIPIENT, RECIPIENT) or of the mail's header (Delivered-To, X-Original-To, Envelope-To, To).
Exit codes: 0 stored, 67 no address that reports come back to, 65 refused, 75 try again.
`
	path := fs.configFlag()
	socket := fs.String("lmtp", "", "the daemon's `socket`; default: mail.lmtp of the configuration")
	to := fs.String("to", "", "the envelope recipient's `address`")
	from := fs.String("from", "", "the envelope sender's `address`; default: SENDER of the environment, or Return-Path")
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	if *socket == "" {
		cfg, _, err := config.LoadSealed(*path)
		if err != nil {
			return sysexit{exitLater, err}
		}
		if *socket = cfg.Mail.LMTP; *socket == "" {
			return sysexit{exitLater, fmt.Errorf("report: %s has no mail.lmtp, the socket on which the daemon takes reports", *path)}
		}
	}
	text, err := io.ReadAll(io.LimitReader(e.stdin, maxReport+1))
	switch {
	case err != nil:
		return sysexit{exitLater, fmt.Errorf("report: %w", err)}
	case len(text) > maxReport:
		return sysexit{exitBadMail, errors.New("report: the mail is too large")}
	}
	m := piped(text)
	recipients, sender := m.recipients(*to), m.sender(*from)
	return reported(inbound.Submit(ctx, *socket, sender, recipients, m.text))
}

// reported returns the error of the command.
func reported(err error) error {
	var reply *inbound.Reply
	switch {
	case err == nil:
		return nil
	case errors.Is(err, inbound.ErrNoMailbox):
		return sysexit{exitNoMailbox, fmt.Errorf("report: %w", err)}
	case errors.As(err, &reply) && reply.Code/100 == 5:
		return sysexit{exitBadMail, fmt.Errorf("report: the daemon refused it: %w", err)}
	}
	return sysexit{exitLater, fmt.Errorf("report: not stored, try again: %w", err)}
}

// pipedMail is a mail as a mail server pipes it.
type pipedMail struct {
	text   []byte
	header textproto.MIMEHeader // as much of it as can be read
}

// piped reads a mail. Some mail servers put the line of an mbox before it.
func piped(text []byte) pipedMail {
	if bytes.HasPrefix(text, []byte("From ")) {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	header, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader(text))).ReadMIMEHeader()
	return pipedMail{text, header}
}

// maxRecipients bounds the addresses that are tried.
const maxRecipients = 8

// recipients returns the addresses that the mail may be for, the surest first.
func (m pipedMail) recipients(given string) []string {
	if given != "" {
		return []string{given}
	}
	all := []string{os.Getenv("ORIGINAL_RECIPIENT"), os.Getenv("RECIPIENT")}
	for _, name := range []string{"Delivered-To", "X-Original-To", "Envelope-To", "To"} {
		all = append(all, addressesIn(m.header.Values(name))...)
	}
	all = slices.DeleteFunc(all, func(s string) bool { return !strings.Contains(s, "@") })
	return all[:min(len(all), maxRecipients)]
}

// sender returns the envelope sender, empty for the null sender.
func (m pipedMail) sender(given string) string {
	if given != "" {
		return strings.Trim(given, "<>")
	}
	if s, ok := os.LookupEnv("SENDER"); ok && (s == "" || strings.Contains(s, "@")) {
		return s
	}
	for _, address := range addressesIn(m.header.Values("Return-Path")) {
		return address
	}
	return ""
}

// addressesIn returns the addresses of header fields.
func addressesIn(values []string) (all []string) {
	for _, v := range values {
		list, err := mail.ParseAddressList(v)
		if err != nil {
			continue
		}
		for _, a := range list {
			all = append(all, a.Address)
		}
	}
	return all
}
