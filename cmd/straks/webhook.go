package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"straks/hooks"
	"straks/internal/config"
	"straks/internal/daemon"
	"straks/internal/printable"
)

// webhookCommand looks after the webhooks of a running daemon.
func webhookCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "webhook list|test|resume|secret|verify [flags]", []command{
		{"list", "print how each webhook is", webhookList},
		{"test", "send a test event, and say what came back", webhookTest},
		{"resume", "go on with a stopped webhook, or try a failing one now", webhookResume},
		{"secret", "make a secret", webhookSecret},
		{"verify", "verify a request as a receiver does", webhookVerify},
	})
}

// maxWebhookAnswer bounds one answer about webhooks, in octets.
const maxWebhookAnswer = 4 << 20

// webhookList prints the state of each webhook.
func webhookList(ctx context.Context, args []string, e env) error {
	fs := newFlags("webhook list [-json] [-config FILE | -admin ADDRESS]")
	admin := fs.adminFlags()
	asJSON := fs.Bool("json", false, "print a line of JSON for each webhook")
	if _, err := fs.parse(args, e, "list"); err != nil {
		return err
	}
	c, err := admin.client()
	if err != nil {
		return err
	}
	var states []hooks.State
	if err := c.getJSON(ctx, "/webhooks", maxWebhookAnswer, &states); err != nil {
		return err
	}
	if len(states) == 0 && !*asJSON {
		_, err := fmt.Fprintln(e.stdout, "there is no webhook: [[organisation.webhook]] in the configuration makes one")
		return err
	}
	out := newTable(e.stdout)
	if !*asJSON {
		webhookRows(out, states, time.Now())
		return out.Flush()
	}
	for _, st := range states {
		if err := printJSON(e.stdout, st); err != nil {
			return err
		}
	}
	return nil
}

// webhookRows adds the states of webhooks to a table.
func webhookRows(out table, states []hooks.State, now time.Time) {
	out.row("WEBHOOK", "ORGANISATION", "HOST", "CHANGES", "STATE", "SINCE", "AT", "BEHIND", "NEXT TRY", "DELIVERED", "PASSED OVER", "REASON")
	for _, st := range states {
		next := "-"
		if !st.Next.IsZero() {
			next = "in " + max(st.Next.Sub(now), 0).Round(time.Second).String()
		}
		out.row(st.Name, st.Organisation, st.Host, st.Changes, st.State, ago(now, st.Since), st.Seq, ago(now, st.Waiting), next, st.Delivered, st.PassedOver, st.Reason)
	}
}

// webhookFlags are the flags of a command about one webhook.
func webhookFlags(what string) (*flags, adminFlags, *string) {
	fs := newFlags("webhook " + what)
	return fs, fs.adminFlags(), fs.String("org", "", "its organisation's `NAME`; needed where several organisations have a webhook of the name")
}

// webhookTest has the daemon send a test event, and prints what came back.
func webhookTest(ctx context.Context, args []string, e env) error {
	fs, admin, org := webhookFlags("test [-org ORG] [-config FILE | -admin ADDRESS] NAME")
	operands, err := fs.parse(args, e, "test", "NAME (of the webhook)")
	if err != nil {
		return err
	}
	var t hooks.Trial
	if err := operateWebhook(ctx, admin, daemon.WebhookCommand{Organisation: *org, Name: operands[1], Do: daemon.WebhookTest}, &t); err != nil {
		return err
	}
	if t.ID == "" {
		return errors.New("the answer is not that of a straks: it has no id")
	}
	took := time.Duration(t.Seconds * float64(time.Second)).Round(time.Millisecond / 10)
	if !t.Delivered {
		return fmt.Errorf("the event %s was not taken, after %v: %s", t.ID, took, t.Reason)
	}
	_, err = fmt.Fprintf(e.stdout, "the receiver took the event %s: it answered %d after %v\n", printable.Text(t.ID), t.Status, took)
	return err
}

// webhookResume goes on with a webhook that is stopped, or tries a failing one at once.
func webhookResume(ctx context.Context, args []string, e env) error {
	fs, admin, org := webhookFlags("resume [-org ORG] [-from newest|oldest] [-config FILE | -admin ADDRESS] NAME")
	from := fs.String("from", "", "`WHERE` it goes on: newest leaves out what has not been sent yet, oldest sends again all that is kept (default: where it was)")
	operands, err := fs.parse(args, e, "resume", "NAME (of the webhook)")
	if err != nil {
		return err
	}
	if *from != "" && *from != string(hooks.Newest) && *from != string(hooks.Oldest) {
		return misused("webhook resume: -from is %q, must be newest or oldest", *from)
	}
	var st hooks.State
	c := daemon.WebhookCommand{Organisation: *org, Name: operands[1], Do: daemon.WebhookResume, From: hooks.From(*from)}
	if err := operateWebhook(ctx, admin, c, &st); err != nil {
		return err
	}
	if st.Name != operands[1] {
		return errors.New("the answer is not that of a straks: it is about another webhook")
	}
	_, err = fmt.Fprintf(e.stdout, "%s of %s goes on; \"straks webhook list\" shows how\n", printable.Text(st.Name), printable.Text(st.Organisation))
	return err
}

func operateWebhook(ctx context.Context, admin adminFlags, do daemon.WebhookCommand, answer any) error {
	c, err := admin.client()
	if err != nil {
		return err
	}
	do.By = operator()
	body, err := json.Marshal(do)
	if err != nil {
		return err
	}
	return c.doJSON(ctx, http.MethodPost, "/webhooks", body, maxWebhookAnswer, answer)
}

// webhookSecret prints a new secret.
func webhookSecret(_ context.Context, args []string, e env) error {
	fs := newFlags("webhook secret")
	fs.notes = "Prints a new secret, for the file that secret_file names, and for the receiver:\n\n" +
		"  (umask 077; straks webhook secret > ttd.crm.secret)\n"
	if _, err := fs.parse(args, e, "secret"); err != nil {
		return err
	}
	_, err := fmt.Fprintln(e.stdout, hooks.NewSecret())
	return err
}

const (
	// verifyTolerance is how old a request may be, as the specification's own libraries have it.
	verifyTolerance = 5 * time.Minute
	// maxVerified bounds a body, in octets.
	maxVerified = 1 << 20
)

// webhookVerify verifies a request as a receiver does, for those who write one.
func webhookVerify(_ context.Context, args []string, e env) error {
	fs := newFlags("webhook verify -secret-file FILE -id ID -timestamp N -signature TEXT < BODY")
	file := fs.String("secret-file", "", "`FILE` with the secret. Required")
	id := fs.String("id", "", "the header webhook-`ID`. Required")
	timestamp := fs.String("timestamp", "", "the header webhook-timestamp, `SECONDS` since 1970. Required")
	signature := fs.String("signature", "", "the header webhook-signature, `TEXT` that begins with v1,. Required")
	if _, err := fs.parse(args, e, "verify"); err != nil {
		return err
	}
	for flag, value := range map[string]string{"secret-file": *file, "id": *id, "timestamp": *timestamp, "signature": *signature} {
		if value == "" {
			return misused("webhook verify: -%s is missing; usage: straks %s", flag, fs.synopsis)
		}
	}
	text, err := config.ReadSecret(*file)
	if err != nil {
		return fmt.Errorf("-secret-file %w", err)
	}
	secret, err := hooks.ParseSecret(text)
	if err != nil {
		return fmt.Errorf("-secret-file: the secret %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(e.stdin, maxVerified))
	if err != nil {
		return err
	}
	if want := secret.Sign(*id, *timestamp, body); !strings.Contains(" "+*signature+" ", " "+want+" ") {
		return fmt.Errorf("the signature is not that of these %d octets with this id, timestamp and secret: is the body exactly as it came, with no line end added?", len(body))
	}
	seconds, err := strconv.ParseInt(*timestamp, 10, 64)
	if err != nil {
		return misused("webhook verify: -timestamp is %q, not a number", *timestamp)
	}
	verdict := "the signature is good"
	if age := time.Since(time.Unix(seconds, 0)); age.Abs() > verifyTolerance {
		verdict += fmt.Sprintf("; but its time is %v from now, and receivers allow %v", age.Abs().Round(time.Second), verifyTolerance)
	}
	_, err = fmt.Fprintln(e.stdout, verdict)
	return err
}
