package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"straks/api/client"
)

// shipmentCommand prints one shipment.
func shipmentCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("shipment ID [-events] [-json]")
	asJSON := fs.Bool("json", false, "print the JSON object of the API")
	events := fs.Bool("events", false, "print the way of the message too, with its times")
	operands, err := fs.parse(args, e, "ID")
	if err != nil {
		return err
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	look := c.Shipment
	if *events {
		look = c.ShipmentWithEvents
	}
	s, err := look(ctx, operands[0])
	if err != nil {
		return advise(err)
	}
	if *asJSON {
		return printJSON(e.stdout, s)
	}
	fmt.Fprintln(e.stdout, line(s))
	return printEvents(e.stdout, s.Events)
}

// printEvents prints the way of a message, a line for each step.
func printEvents(w io.Writer, events []client.Event) error {
	out := newTable(w)
	for _, v := range events {
		var words []string
		for _, word := range append([]string{v.Carrier, v.Bind, v.Encoding, v.Status, v.Detail}, v.MessageIDs...) {
			if word != "" {
				words = append(words, word)
			}
		}
		if v.Parts > 0 {
			words = append(words, count(v.Parts, "part"))
		}
		out.row(v.Time.UTC().Format("2006-01-02T15:04:05.000Z"), fmt.Sprintf("+%.1f ms", v.Milliseconds), v.Type, strings.Join(words, " "))
	}
	return out.Flush()
}

// feedWait is how long the server holds an answer back; less than client.Timeout.
const feedWait = 20 * time.Second

// feedCommand prints the feed after a sequence number, one line for each entry. The
// line begins with the number to continue from.
func feedCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("feed [-seq N] [-follow] [-all] [-json]")
	seq := fs.Uint64("seq", 0, "print what comes after this sequence `number`")
	follow := fs.Bool("follow", false, "continue as the feed grows, until interrupted")
	all := fs.Bool("all", false, "print every change of status, not only final ones")
	asJSON := fs.Bool("json", false, "print the JSON objects of the API, one a line")
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	c, err := newClient()
	if err != nil {
		return err
	}
	q := client.FeedQuery{Seq: *seq, All: *all}
	if *follow {
		q.Wait = feedWait
	}
	for {
		asked := time.Now()
		page, err := c.Feed(ctx, q)
		switch {
		case *follow && ctx.Err() != nil:
			return nil // interrupted, which is how -follow ends
		case *follow && temporary(err):
			complain(e.stderr, err)
		case err != nil:
			return advise(err)
		}
		for _, entry := range page {
			if err := printEntry(e.stdout, entry, *asJSON); err != nil {
				return err
			}
			q.Seq = entry.SequenceNumber
		}
		if len(page) > 0 {
			continue
		}
		// A failure, or a server that does not wait, must not be asked without a pause.
		if !*follow || time.Since(asked) < pollEvery && pause(ctx, pollEvery) != nil {
			return nil
		}
	}
}

// temporary reports whether a failed call may succeed a little later: it got no
// answer, or one that says so, perhaps of a proxy in front of a straks that restarts.
func temporary(err error) bool {
	var p *client.Problem
	switch {
	case err == nil, errors.Is(err, client.ErrUnexpected):
		return false
	case errors.As(err, &p):
		return p.Temporary() || p.Status == http.StatusBadGateway || p.Status == http.StatusGatewayTimeout
	}
	return true
}

func printEntry(w io.Writer, entry client.FeedEntry, asJSON bool) error {
	if asJSON {
		return printJSON(w, entry)
	}
	_, err := fmt.Fprintf(w, "%8d  %s\n", entry.SequenceNumber, line(entry.Shipment))
	return err
}
