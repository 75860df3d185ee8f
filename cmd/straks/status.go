package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"straks/api/client"
	"straks/internal/daemon"
	"straks/internal/printable"
	"straks/orders/bolt"
	"straks/orders/postgres"
	"straks/smpp"
)

// maxStatus bounds the answer of /status, in octets: a few hundred binds.
const maxStatus = 4 << 20

// statusCommand prints the state of a running daemon's binds, relays and journal.
func statusCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("status [-json] [-ready] [-config FILE | -admin ADDRESS] [-timeout TIME]")
	admin := fs.adminFlags()
	asJSON := fs.Bool("json", false, "print the JSON of /status")
	ready := fs.Bool("ready", false, "fail unless orders can be sent, for health checks; prints nothing else")
	timeout := fs.Duration("timeout", client.Timeout, "`time` to wait for the answer")
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	c, err := admin.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, *timeout, fmt.Errorf("no complete answer within %v", *timeout))
	defer cancel()
	var raw json.RawMessage
	if err := c.getJSON(ctx, "/status", maxStatus, &raw); err != nil {
		return err
	}
	s, err := parseStatus(raw)
	if err != nil {
		return fmt.Errorf("%s: the answer is not the status of a straks: %w", c.where, err)
	}
	if *ready {
		if !s.Ready {
			return fmt.Errorf("not ready: %s", printable.Line(s.Reason))
		}
		return nil
	}
	if *asJSON {
		_, err := fmt.Fprintf(e.stdout, "%s\n", bytes.TrimSpace(printable.JSON(raw)))
		return err
	}
	return s.print(e.stdout, time.Now())
}

// status is a daemon's Status with what the bolt engine says of its journal.
type status struct {
	daemon.Status
	Journal bolt.Stats      `json:"journal"`
	shared  postgres.Levels // of a journal in a database
}

func parseStatus(text []byte) (status, error) {
	var s status
	if err := json.Unmarshal(text, &s); err != nil {
		return s, err
	}
	if s.Version == "" {
		return s, errors.New("it has no version")
	}
	if s.Node == nil {
		return s, nil
	}
	shared := struct{ Journal *postgres.Levels }{&s.shared}
	return s, json.Unmarshal(text, &shared)
}

// print prints it for a person. Everything in it comes from the daemon, and some of it from
// carriers.
func (s *status) print(w io.Writer, now time.Time) error {
	readiness := "ready"
	if !s.Ready {
		readiness = "not ready: " + printable.Line(s.Reason)
	} else if s.Silent != "" {
		readiness = "ready, but " + printable.Line(s.Silent)
	} else if s.Handed != "" {
		readiness = "ready, but " + printable.Line(s.Handed)
	}
	fmt.Fprintf(w, "straks %s, %s, %s\n", printable.Text(s.Version), readiness, daemon.UnderWay(s.InFlight))
	out := newTable(w)
	if len(s.SMSC) > 0 {
		out.section("BIND", "MODE", "ADDRESS", "STATE", "SINCE", "WINDOW", "RATE", "RESPONSE", "ANSWERS", "REASON")
	}
	for _, b := range s.SMSC {
		out.row(b.Bind, b.Mode, b.Addr, string(b.State)+choose(b.Paused.IsZero(), "", ", paused"), ago(now, b.Since), fmt.Sprintf("%d/%d", b.InFlight, b.Window), rate(b.Rate),
			responseTime(&b), answers(b.Answers), b.Reason)
	}
	if len(s.Relay) > 0 {
		out.section("RELAY", "ADDRESS", "STATE", "SINCE", "IN USE", "OPEN", "TLS", "REASON")
	}
	for _, r := range s.Relay {
		out.row(r.Name, r.Addr, choose(r.Up, "up", "down")+choose(r.Paused.IsZero(), "", ", paused"), ago(now, r.Since), r.InUse, fmt.Sprintf("%d/%d", r.Open, r.MaxConns),
			choose(r.Encrypted, "yes", "no"), r.Reason)
	}
	if len(s.Webhook) > 0 {
		fmt.Fprintln(out)
		webhookRows(out, s.Webhook, now)
	}
	if len(s.Pumping) > 0 {
		fmt.Fprintln(out)
		suspicionRows(out, s.Pumping, now)
	}
	if s.Cost != nil {
		out.section("COST THIS MONTH", s.Cost.Currency, "BUDGET", "USED")
		for _, o := range s.Cost.Organisations {
			out.row(o.Organisation, o.Spent, choose(o.Budget > 0, o.Budget.String(), "-"), choose(o.Budget > 0, o.Used(), "-"))
		}
	}
	if s.Node != nil {
		s.nodeRows(out)
		return out.Flush()
	}
	j := s.Journal
	out.section("JOURNAL", "IN USE", "FREE INSIDE", "FREE ON THE DISK", "FEED ENTRIES", "EARLY RECEIPTS")
	out.row("", binaryOctets(j.FileSize-j.FreeSize), binaryOctets(j.FreeSize), binaryOctets(j.DiskFree), j.FeedEntries, j.Parked)
	return out.Flush()
}

// nodeRows shows the nodes that share the journal, and what this one knows of it.
func (s *status) nodeRows(out table) {
	out.section("NODE", "URL", "VERSION", "CAN SEND OVER", "LEASE", "CLOCK", "KEEPER", "EARLY RECEIPTS")
	for _, n := range s.Node.Live {
		name, up := fmt.Sprint(n.ID), cmp.Or(strings.Join(n.Up, " "), "-")
		if n.ID != s.Node.ID {
			out.row(name, cmp.Or(n.URL, "-"), n.Version, up, "-", "-", "-", "-") // a cell for each column, for the widths
			continue
		}
		out.row(name+", this", cmp.Or(n.URL, "-"), n.Version, up, fmt.Sprintf("%.1f s", s.shared.Lease), fmt.Sprintf("%+.3f s", s.shared.Offset),
			choose(s.shared.Keeper, "yes", "no"), s.shared.Parked)
	}
	if len(s.Node.Live) == 0 { // it knows none, and the first line says why
		out.row(fmt.Sprint(s.Node.ID, ", this"), "-", s.Version, "-", "none", fmt.Sprintf("%+.3f s", s.shared.Offset), "no", s.shared.Parked)
	}
	if len(s.Node.Differs) > 0 {
		out.section("NOT THE SAME ON ALL NODES", "OTHERWISE ON", "SO")
	}
	for _, d := range s.Node.Differs {
		out.row(printable.Line(d.Part), strings.Trim(fmt.Sprint(d.Nodes), "[]"), choose(d.Unbound, "this node does not bind to the SMSC", "make them the same"))
	}
}

// responseTime returns how long the SMSC takes to respond on a bind, or for how long it has not.
func responseTime(b *smpp.BindState) string {
	switch {
	case b.Overdue > 0:
		return "none for " + b.Overdue.Round(time.Second).String()
	case b.ResponseTime == 0:
		return "-"
	}
	return b.ResponseTime.Round(10 * time.Microsecond).String()
}

// answers lists how often each command_status came since the start, ESME_ROK first, the others with their share.
func answers(counts map[string]uint64) string {
	const ok = "ESME_ROK"
	var all uint64
	for _, n := range counts {
		all += n
	}
	list := []string{fmt.Sprintf("%d ok", counts[ok])}
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[status]; status != ok && n > 0 {
			list = append(list, fmt.Sprintf("%d %s (%.2g %%)", n, status, 100*float64(n)/float64(all)))
		}
	}
	return strings.Join(list, ", ")
}

// binaryOctets writes a size: "76 KiB", "16 MiB".
func binaryOctets(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d octets", n)
	}
	size, names := float64(n)/unit, []string{"KiB", "MiB", "GiB", "TiB"}
	for size >= unit && len(names) > 1 {
		size, names = size/unit, names[1:]
	}
	return fmt.Sprintf("%.3g %s", size, names[0])
}

func choose(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

func rate(perSecond float64) string {
	if perSecond == 0 {
		return "-"
	}
	if perSecond < 10 {
		return fmt.Sprintf("%.2g/s", perSecond)
	}
	return fmt.Sprintf("%.0f/s", perSecond)
}

// ago returns the time since a state began.
func ago(now, since time.Time) string {
	if since.IsZero() {
		return "-"
	}
	return now.Sub(since).Round(time.Second).String()
}
