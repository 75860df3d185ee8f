package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"straks/internal/config"
	"straks/smtp"
)

const (
	// soonExpired is the rest of a certificate's life below which it should have been renewed.
	soonExpired = 14 * 24 * time.Hour
	// leastSize is the size of mails that a relay should take: the default of api.max_body, with its encoding.
	leastSize = 2 << 20
)

// relayCheck connects to a relay as the daemon does.
func (p *Plan) relayCheck(ctx context.Context, relay config.Relay) []Finding {
	if f, refused := p.lockedOut(relay); refused {
		return []Finding{f}
	}
	logsIn := relay.Username != ""
	login := found(OK, "The login as %q works.", relay.Username)
	if p.Secrets != nil && logsIn {
		login = found(Unknown, "The password can't be read, so no login was made.")
		relay.TLS, relay.Username = relay.WithDefaults().TLS, ""
	}
	path := p.returnPath()
	seen, err := smtp.Probe(ctx, relay.Relay, path)
	if seen == nil {
		return []Finding{named(connectFault(relay, err), "connection")}
	}
	all := []Finding{named(relayTLS(relay, seen), "TLS")}
	if logsIn {
		all = append(all, named(login, "login"))
	}
	all = append(all, extensions(seen)...)
	if login.Level == Unknown {
		return all // without a login, it says nothing that the relay refuses a mail
	}
	return append(all, named(returnPathTaken(path, seen, err), "return path"))
}

func named(f Finding, check string) Finding {
	f.Check = check
	return f
}

// lockedOut reports that a running daemon waits after a refused login: another one could lock the account.
func (p *Plan) lockedOut(relay config.Relay) (Finding, bool) {
	if p.Running == nil {
		return Finding{}, false
	}
	for _, state := range p.Running.Relay {
		if state.Name == relay.Name && !state.Up && strings.Contains(state.Reason, string(smtp.ReasonAuth)) {
			f := found(Fix, "The relay refuses our login (%s). The daemon waits before the next attempt, so none was made here. Check username and the password's file.", state.Reason)
			return named(f, "login"), true
		}
	}
	return Finding{}, false
}

// connectFault is the finding of a connection that failed.
func connectFault(relay config.Relay, err error) Finding {
	f := found(Fix, "No connection to %s: %s", relay.Addr, sentence(err))
	var failure *smtp.Failure
	if !errors.As(err, &failure) {
		return f
	}
	settings := relay.WithDefaults()
	var set string
	switch failure.Reason {
	case smtp.ReasonDial:
		f.Says += " Check addr, and that no firewall is between."
	case smtp.ReasonAuth:
		f.Says += " Check username, the password's file and mechanism."
	case smtp.ReasonGreeting:
		f.Says += " Does the relay let our address in, and take our name in EHLO?"
		set = fmt.Sprintf("helo = %q", settings.Helo)
		if !strings.Contains(settings.Helo, ".") {
			set = `helo = "straks.example.org"   # a full name of this machine`
		}
	case smtp.ReasonTLS:
		switch {
		case settings.TLS == smtp.TLSImplicit && strings.Contains(err.Error(), "does not look like a TLS"):
			set = `tls = "starttls"`
		case net.ParseIP(settings.ServerName) != nil:
			set = `server_name = "relay.example.org"   # the name in the relay's certificate`
		default:
			f.Says += " If the certificate is of your own authority, name that in ca_file."
		}
	}
	if set != "" {
		f.Configure = []string{inRelay(relay), set}
	}
	return f
}

func inRelay(relay config.Relay) string { return fmt.Sprintf("# in [[relay]], name = %q", relay.Name) }

// relayTLS returns the finding about the encryption.
func relayTLS(relay config.Relay, seen *smtp.Seen) Finding {
	settings := relay.WithDefaults()
	if seen.TLS == nil {
		host, _, _ := net.SplitHostPort(relay.Addr)
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() || host == "localhost" {
			return found(OK, "Not encrypted, and the relay is on this machine.")
		}
		f := found(Note, "Codes and addresses are readable on the way to the relay, which does not offer STARTTLS.")
		if seen.Offers("STARTTLS") {
			f = found(Fix, "Codes and addresses are readable on the way to the relay, and it offers STARTTLS.")
			f.Configure = []string{inRelay(relay), `tls = "starttls"`}
		}
		return f
	}
	version := tls.VersionName(seen.TLS.Version)
	leaf := seen.TLS.PeerCertificates[0]
	switch left := time.Until(leaf.NotAfter); {
	case left < 0 && settings.TLS == smtp.TLSOpportunistic:
		return found(Note, "%s, but the relay's certificate has expired (%s).", version, leaf.NotAfter.UTC().Format(time.DateOnly))
	case left < soonExpired:
		return found(Note, "%s. The relay's certificate expires on %s.", version, leaf.NotAfter.UTC().Format(time.DateOnly))
	case settings.TLS != smtp.TLSOpportunistic:
		return found(OK, "%s, with a certificate that verifies, until %s.", version, leaf.NotAfter.UTC().Format(time.DateOnly))
	case seen.Certificate == nil:
		f := found(Note, `%s, with a certificate that verifies. tls = "opportunistic" would send without it too: require it.`, version)
		f.Configure = []string{inRelay(relay), `tls = "starttls"`}
		return f
	}
	return found(Note, "%s, but the certificate does not verify (%v), so anybody between could read the codes. Name the authority in ca_file, or the certificate's name in server_name.",
		version, seen.Certificate)
}

// extensions returns the findings about the extensions that the relay offers.
func extensions(seen *smtp.Seen) []Finding {
	all := []Finding{
		extension(seen, "DSN", "Reports of delivery can be asked for.", "The relay offers no DSN (RFC 3461): no report of success comes back. Postfix: remove dsn from smtpd_discard_ehlo_keywords."),
		extension(seen, "PIPELINING", "A mail takes two round trips.", "The relay offers no PIPELINING (RFC 2920): a mail takes four round trips in place of two. A firewall between may hide it (Cisco: no inspect esmtp)."),
		extension(seen, "SMTPUTF8", "Addresses with letters beyond ASCII are taken.", "The relay offers no SMTPUTF8 (RFC 6531): orders to addresses like pål@example.org are refused. Postfix: smtputf8_enable = yes."),
	}
	if seen.Size > 0 && seen.Size < leastSize {
		all = append(all, named(found(Note, "The relay takes mails of %d octets at most. Longer orders are refused.", seen.Size), "SIZE"))
	}
	return all
}

func extension(seen *smtp.Seen, keyword, with, without string) Finding {
	if seen.Offers(keyword) {
		return named(found(OK, "%s", with), keyword)
	}
	return named(found(Note, "%s", without), keyword)
}

// returnPathTaken says whether the relay takes our return path at MAIL. Some relays refuse only at RCPT.
func returnPathTaken(path string, seen *smtp.Seen, err error) Finding {
	switch {
	case seen.Refused != nil:
		f := found(Fix, "The relay refuses MAIL FROM:<%s> (%v): let it take this return path.", path, seen.Refused)
		if path == "" {
			f = found(Fix, "The relay refuses the null sender, MAIL FROM:<> (%v): give mails a return path.", seen.Refused)
			f.Configure = []string{"[mail]", `return_path = "postmaster@example.org"   # a mailbox of yours; better: bounce_domain`}
		}
		return f
	case err != nil:
		return found(Unknown, "Whether the relay takes MAIL FROM:<%s> could not be tried: %v.", path, err)
	}
	return found(OK, "The relay takes MAIL FROM:<%s>.", path)
}
