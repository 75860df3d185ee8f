package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"straks/internal/config"
)

func main() {
	config.AdoptCredentials(config.CredentialFolder)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// commands returns the commands of straks, in the order of its help.
func commands() []command {
	return []command{
		{"serve", "run the daemon", serveCommand},
		{"reload", "have a running daemon read its configuration again", reloadCommand},
		{"demo", "show the main job: an SMS and an e-mail through a sandbox", demoCommand},
		{"sandbox", "run a daemon with simulated carriers, and an inbox that shows what they got", sandboxCommand},
		{"init", "create the journal", initCommand},
		{"upgrade", "bring a journal in PostgreSQL to the present schema", upgradeCommand},
		{"check", "report all faults of a configuration", checkCommand},
		{"doctor", "look at DNS records, relays, SMSCs and the clock, and say what to change", doctorCommand},
		{"route", "show which way an SMS would go, and how", routeCommand},
		{"smsc", "run the simulated SMSC as a program of its own", smscCommand},
		{"token", "make a bearer token and its stanza for the configuration", tokenCommand},
		{"dkim", "make the keys that sign mails, and print their DNS records: new, show", dkimCommand},
		{"mail", "make the key of the addresses that reports about mails come back to: key", mailCommand},
		{"report", "give the daemon a report about a mail, from a mail server's pipe", reportCommand},
		{"send", "send one SMS or one e-mail", sendCommand},
		{"verify", "make, send and check verification codes, and make their key: start, check, key", verifyCommand},
		{"shipment", "print the status of one shipment", shipmentCommand},
		{"feed", "print what became of your shipments, in order", feedCommand},
		{"status", "print the state of a running daemon and its carriers", statusCommand},
		{"trace", "find a message by its number or an id, and tell its way", traceCommand},
		{"block", "list and change who gets no messages: list, show, add, lift", blockCommand},
		{"limits", "show whose orders look like pumping, and lift that: list, lift", limitsCommand},
		{"forget", "erase a person's data: who messages were to", forgetCommand},
		{"carrier", "pause an SMSC or relay, drain it, or have it try now: pause, drain, resume, try", carrierCommand},
		{"console", "make a user of the console: user", consoleCommand},
		{"webhook", "look after receivers of the feed: list, test, resume, secret, verify", webhookCommand},
		{"debug", "show what a carrier says, word for word, while it says it", debugCommand},
		{"logs", "print the daemon's log in readable lines, all of it or about one message", logsCommand},
		{"audit", "look after the record of who did what: verify", auditCommand},
		{"journal", "look after the journal: stats, check, compact, migrate, backup, key, move, jump", journalCommand},
		{"completion", "print the script that completes the command line in a shell", completionCommand},
		{"version", "print the version", versionCommand},
	}
}
