package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"straks/api/client"
	"straks/codes"
	"straks/internal/printable"
)

// verifyCommand makes and checks verification codes as a client, and their keys as an operator.
func verifyCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "verify start|check|key [flags]", []command{
		{"start", "make a code and send it", verifyStart},
		{"check", "check a code", verifyCheck},
		{"key", "make a key that codes are derived from", verifyKey},
	})
}

func verifyStart(ctx context.Context, args []string, e env) error {
	var r client.VerificationRequest
	fs := newFlags("verify start -to NUMBER|ADDRESS [flags]")
	to := fs.String("to", "", "phone `number`, international, or e-mail address")
	ttl := fs.Duration("ttl", 5*time.Minute, "how long the code is valid, 1m to 1h")
	fs.StringVar(&r.IdempotencyID, "key", "", "idempotency `key`: the same one sends nothing again (default: a new one)")
	fs.StringVar(&r.SendersReference, "reference", "", "`text` that comes back with the verification")
	fs.StringVar(&r.Template, "template", "", "`name` of the text")
	fs.StringVar(&r.Language, "language", "", "of the text, like nb")
	fs.StringVar(&r.Origin, "origin", "", "`domain` of the page that the code is typed on")
	fs.IntVar(&r.CodeLength, "length", codes.DefaultLength, "characters of the code, 4 to 10")
	fs.StringVar(&r.Alphabet, "alphabet", string(codes.Digits), "digits or letters")
	fs.IntVar(&r.Attempts, "attempts", codes.DefaultAttempts, "how many codes may be tried, 1 to 10")
	if _, err := fs.parse(args, e, "start"); err != nil {
		return err
	}
	switch {
	case *to == "":
		return misused("verify start: -to is missing")
	case strings.Contains(*to, "@"):
		r.Email = &client.VerificationAddress{EmailAddress: *to}
	default:
		r.SMS = &client.VerificationSMS{PhoneNumber: *to}
	}
	r.TTLSeconds = int(ttl.Seconds())
	if r.IdempotencyID == "" {
		r.IdempotencyID = uuid.NewString()
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	v, created, err := c.StartVerification(ctx, r)
	if err != nil {
		return advise(err)
	}
	fmt.Fprintf(e.stdout, "%s: verification %s, shipment %s, %s until %s, %d attempts left, %d messages\n", choose(created, "sent", "continued"),
		printable.Text(v.VerificationID), printable.Text(v.ShipmentID), printable.Text(v.Status), v.Expires.UTC().Format(time.RFC3339), v.AttemptsLeft, v.Messages)
	return nil
}

// notApproved is a code that was not: exit code 3.
type notApproved string

func (e notApproved) Error() string { return string(e) }

func verifyCheck(ctx context.Context, args []string, e env) error {
	fs := newFlags("verify check VERIFICATION [CODE] | verify check -to NUMBER|ADDRESS [CODE]")
	to := fs.String("to", "", "`recipient` whose newest verification is meant")
	fs.notes = "Without CODE, it is read from standard input: other users of the machine see command lines.\n\n" +
		"Exit status: 0 approved, 1 not known, 2 the command line is wrong, 3 not approved.\n"
	operands, err := fs.parse(args, e, "check", "[VERIFICATION]", "[CODE]")
	if err != nil {
		return err
	}
	operands = operands[1:]
	id := ""
	if *to == "" {
		if len(operands) == 0 {
			return misused("verify check: give a verification, or -to")
		}
		id, operands = operands[0], operands[1:]
	}
	if len(operands) > 1 {
		return misused("verify check: -to stands in place of a verification")
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	code := strings.Join(operands, "")
	if code == "" {
		if code, err = readText(ctx, e.stdin); err != nil {
			return err
		}
	}
	check := func() (client.Checked, error) { return c.CheckCode(ctx, id, code) }
	if *to != "" {
		check = func() (client.Checked, error) { return c.CheckRecipient(ctx, *to, code) }
	}
	got, err := check()
	var p *client.Problem
	switch {
	case errors.As(err, &p) && p.Status == 410:
		return notApproved(printable.Text(p.Title))
	case err != nil:
		return advise(err)
	case got.Status != string(codes.Approved):
		return notApproved(fmt.Sprintf("the code is wrong; %d attempts are left", got.AttemptsLeft))
	}
	fmt.Fprintf(e.stdout, "approved: verification %s\n", printable.Text(got.VerificationID))
	return nil
}

// verifyKey makes a key of codes. Nothing of its secret is printed.
func verifyKey(_ context.Context, args []string, e env) error {
	fs := newFlags("verify key [-out DIR]")
	fs.notes = "The file can be read by its owner only, and no file is overwritten.\n"
	out := fs.String("out", ".", "the `folder` for the file, which exists")
	if _, err := fs.parse(args, e, "key"); err != nil {
		return err
	}
	dir, err := filepath.Abs(*out)
	if err != nil {
		return err
	}
	key := codes.NewKey()
	path := filepath.Join(dir, "verification."+key.ID()+".key")
	if err := writeNew(path, []byte(key.Text()+"\n")); err != nil {
		return fmt.Errorf("verify key: %w", err)
	}
	_, err = fmt.Fprintf(e.stdout, `# For the configuration. Where there is a key already, it becomes former_key_file, and is removed after
# an hour. Under systemd, move the file to /etc/straks/credentials and give its bare name.

[verification]
key_file = %q
`, path)
	return err
}
