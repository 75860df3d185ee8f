package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"straks/internal/daemon"
	"straks/internal/printable"
	"straks/orders/simulated"
)

// maxTraceAnswer bounds the answer of /trace, in octets.
const maxTraceAnswer = 4 << 20

// traceCommand tells what became of messages. Their texts are stored nowhere.
func traceCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("trace [-since TIME] [-reason TEXT] [-json] [-config FILE | -admin ADDRESS] WHAT")
	admin := fs.adminFlags()
	since := fs.Duration("since", 24*time.Hour, "how far `back` to look, like 72h")
	reason := fs.String("reason", "", "why you look: `TEXT` for the log, which has every look-up")
	asJSON := fs.Bool("json", false, "print a line of JSON for each message")
	operands, err := fs.parse(args, e, "WHAT (a phone number, an e-mail address, or a message's shipment id, idempotencyId, reference or message id)")
	if err != nil {
		return err
	}
	c, err := admin.client()
	if err != nil {
		return err
	}
	query := url.Values{"q": {operands[0]}, "since": {since.String()}, "reason": {*reason}, "by": {operator()}}
	var answer daemon.TraceAnswer
	if err := c.getJSON(ctx, "/trace?"+query.Encode(), maxTraceAnswer, &answer); err != nil {
		return err
	}
	if len(answer.Shipments) == 0 {
		return fmt.Errorf("no message of the last %v matches; give -since to look further back", *since)
	}
	for i := range answer.Shipments {
		if *asJSON {
			if err := printJSON(e.stdout, answer.Shipments[i]); err != nil {
				return err
			}
			continue
		}
		printTrace(e.stdout, &answer.Shipments[i])
	}
	if answer.More {
		fmt.Fprintln(e.stderr, "there are more; give a shorter -since, or an id")
	}
	return nil
}

// printTrace prints a sentence, and the way of one message.
func printTrace(w io.Writer, s *daemon.TracedShipment) {
	text := func(v any) string { return printable.Text(fmt.Sprint(v)) }
	fmt.Fprintf(w, "%s\n  shipment %s of %s, to %s", sentence(s), s.ID, text(s.Organisation), text(s.Recipient))
	if s.SendersReference != "" {
		fmt.Fprintf(w, ", reference %s", text(s.SendersReference))
	}
	fmt.Fprintf(w, "\n  %s  accepted\n", s.Accepted.Local().Format("2006-01-02 15:04:05.000"))
	step := func(micros int64, what string) {
		if micros > 0 {
			fmt.Fprintf(w, "  %23s  %s\n", "+"+(time.Duration(micros)*time.Microsecond).Round(100*time.Microsecond).String(), what)
		}
	}
	step(s.StoredMicros, "stored")
	step(s.SlotMicros, "free to be sent")
	step(s.WrittenMicros, strings.TrimRight("written to "+text(s.Bind)+" "+parts(s), " "))
	step(s.AnsweredMicros, "answered by "+text(s.Carrier))
	step(s.ReportedMicros, choose(isMail(s), "last report", "last receipt"))
	fmt.Fprintf(w, "  %23s  %s", s.Updated.Local().Format("2006-01-02 15:04:05.000"), text(s.Status))
	if s.Detail != "" {
		fmt.Fprintf(w, " (%s)", text(s.Detail))
	}
	fmt.Fprintln(w)
	if ids := messageIDs(s); ids != "" {
		fmt.Fprintf(w, "  tell %s: message id %s, %s\n", text(s.Carrier), printable.Text(ids), s.Accepted.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	fmt.Fprintln(w)
}

func isMail(s *daemon.TracedShipment) bool { return strings.HasPrefix(s.Status, "Email_") }

// sentence says what became of the message.
func sentence(s *daemon.TracedShipment) string {
	carrier := printable.Text(s.Carrier)
	source := orNobody(carrier) // of the last status
	if isMail(s) && s.ReportedMicros > 0 {
		source = "a report"
	}
	after := s.Updated.Sub(s.Accepted).Round(time.Millisecond)
	if after > 10*time.Second {
		after = after.Round(time.Second)
	}
	switch {
	case s.Carrier == simulated.Name:
		return "Not sent: the organisation only tests (its mode in the configuration). To its client it looks delivered."
	case s.Relayed:
		return fmt.Sprintf("Delivered to the recipient's mail server, %v after the order. That server may yet return it.", after)
	case s.Delivered:
		return fmt.Sprintf("Delivered, as %s says, %v after the order.", source, after)
	case strings.HasSuffix(s.Status, "_RecipientReserved"):
		return "Not sent: the recipient is blocked (straks block show)."
	case strings.HasSuffix(s.Status, "_SuppressedRecipient"):
		return "Not sent: earlier mails to the address came back, or were called spam (straks block show)."
	case s.Final && strings.HasSuffix(s.Status, "_Succeeded"):
		return fmt.Sprintf("Taken by %s, and no report of a failure came until %s.", orNobody(carrier), s.Deadline.Local().Format(time.DateTime))
	case strings.HasSuffix(s.Status, "_TTL"):
		return fmt.Sprintf("Not known: no final receipt came from %s until %s.", orNobody(carrier), s.Deadline.Local().Format(time.DateTime))
	case carrier == "" && strings.HasSuffix(s.Status, "_Failed"):
		return "Not sent: that was found too late for its caller to repeat it."
	case s.Final:
		return fmt.Sprintf("Not delivered, as %s says, %v after the order: %s.", source, after, printable.Text(s.Status))
	case strings.HasSuffix(s.Status, "_New"):
		return "Not sent: no carrier could take it. The caller was told, and may repeat it."
	case strings.HasSuffix(s.Status, "_Sending") && s.AnsweredMicros == 0:
		return fmt.Sprintf("Perhaps sent: %s has not answered. A receipt or %s settles it.", orNobody(carrier), s.Deadline.Local().Format(time.DateTime))
	}
	return fmt.Sprintf("Taken by %s. A receipt or %s settles it.", orNobody(carrier), s.Deadline.Local().Format(time.DateTime))
}

func orNobody(carrier string) string {
	if carrier == "" {
		return "the carrier"
	}
	return carrier
}

// parts says how the message was cut.
func parts(s *daemon.TracedShipment) string {
	if s.Encoding == "" {
		return ""
	}
	return fmt.Sprintf("(%s, %s)", count(len(s.Parts), "part"), printable.Text(s.Encoding))
}

// messageIDs lists the carrier's ids.
func messageIDs(s *daemon.TracedShipment) string {
	var ids []string
	for _, p := range s.Parts {
		if len(p.MessageIDs) > 0 {
			ids = append(ids, p.MessageIDs[0])
		}
	}
	return strings.Join(ids, ", ")
}
