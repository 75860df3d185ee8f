package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"straks/api/client"
	"straks/internal/printable"
)

// newClient returns a client of the straks that the environment names. The token is
// not a flag: all users of the machine can see command lines.
func newClient() (*client.Client, error) {
	base, token := os.Getenv("STRAKS_URL"), os.Getenv("STRAKS_TOKEN")
	var missing []string
	if base == "" {
		missing = append(missing, "STRAKS_URL (like http://127.0.0.1:8080/notifications/api/v1)")
	}
	if token == "" {
		missing = append(missing, "STRAKS_TOKEN (\"straks token new\" makes one)")
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("the environment lacks %s", strings.Join(missing, " and "))
	}
	return client.New(base, token, nil)
}

// advise adds to the error of a call what the user can do about it.
func advise(err error) error {
	var p *client.Problem
	switch {
	case err == nil:
		return nil
	case errors.Is(err, client.ErrUnexpected):
		return fmt.Errorf("STRAKS_URL: %w", err)
	case !errors.As(err, &p):
		return fmt.Errorf("no answer from STRAKS_URL: %w", err)
	case p.Status == 401:
		return fmt.Errorf("%w\nIs STRAKS_TOKEN right, and has it not expired?", err)
	case p.Status == 404 && p.Code == "":
		return fmt.Errorf("%w\nDoes STRAKS_URL end with the service's base path (/notifications/api/v1)?", err)
	case p.Temporary() && p.RetryAfter > 0:
		return fmt.Errorf("%w\nTry again in %v", err, p.RetryAfter)
	}
	return err
}

// line returns one shipment for a person to read, with columns of constant width
// first. The longest status is Email_Failed_RecipientNotIdentified.
func line(s client.Shipment) string {
	var b strings.Builder
	b.WriteString(s.LastUpdate.UTC().Format("2006-01-02T15:04:05.000Z"))
	fmt.Fprintf(&b, "  %s", printable.Text(s.ShipmentID))
	for _, r := range s.Recipients {
		fmt.Fprintf(&b, "  %-35s  %s", printable.Text(r.Status), printable.Text(r.Destination))
	}
	if s.SendersReference != "" {
		fmt.Fprintf(&b, "  %s", printable.Text(s.SendersReference))
	}
	return b.String()
}

// printJSON prints a value as one line of JSON, in which every character is printable.
func printJSON(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", printable.JSON(text))
	return err
}

// pollEvery is the interval at which commands poll for a change.
const pollEvery = 250 * time.Millisecond

// pause waits for d, or returns the error of a context that ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
