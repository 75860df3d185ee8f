package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"straks/internal/daemon"
	"straks/internal/printable"
	"straks/internal/pumping"
)

// limitsCommand shows whose orders are suspected of pumping, and ends a suspicion.
func limitsCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "limits list|lift [flags]", []command{
		{"list", "print the prefixes and countries that are suspected of pumping", limitsList},
		{"lift", "end a suspicion, and let its orders through", limitsLift},
	})
}

// maxLimits bounds an answer about limits, in octets.
const maxLimits = 1 << 20

func limitsList(ctx context.Context, args []string, e env) error {
	fs := newFlags("limits list [-json] [-config FILE | -admin ADDRESS]")
	admin := fs.adminFlags()
	asJSON := fs.Bool("json", false, "print a line of JSON for each")
	if _, err := fs.parse(args, e, "list"); err != nil {
		return err
	}
	c, err := admin.client()
	if err != nil {
		return err
	}
	var s daemon.Suspected
	if err := c.getJSON(ctx, "/limits", maxLimits, &s); err != nil {
		return err
	}
	if *asJSON {
		for _, p := range s.Pumping {
			err = errors.Join(err, printJSON(e.stdout, p))
		}
		return err
	}
	if len(s.Pumping) == 0 {
		_, err = fmt.Fprintln(e.stdout, "nothing is suspected of pumping")
	} else {
		out := newTable(e.stdout)
		suspicionRows(out, s.Pumping, time.Now())
		err = out.Flush()
	}
	if o := s.Others; o != nil && err == nil {
		_, err = fmt.Fprintf(e.stdout, "counted of other nodes: %d orders since the start, the last look %.1f s ago\n", o.Orders, o.Behind)
	}
	return err
}

// suspicionRows adds suspicions to a table.
func suspicionRows(out table, all []pumping.Suspicion, now time.Time) {
	out.row("PUMPING SUSPECTED", "ORGANISATION", "REASON", "SINCE", "STOPPED", "ENDS", "ORDERS IN AN HOUR", "REFUSED", "MOST BEFORE")
	for _, s := range all {
		out.row(s.Prefix, s.Organisation, s.Reason, ago(now, s.Since), choose(s.Stopped, "yes", "no"), "in "+max(s.Until.Sub(now), 0).Round(time.Second).String(), s.Orders, s.Refused, s.Most)
	}
}

func limitsLift(ctx context.Context, args []string, e env) error {
	fs := newFlags("limits lift -org NAME -reason TEXT [-config FILE | -admin ADDRESS] PREFIX")
	admin := fs.adminFlags()
	organisation := fs.String("org", "", "the `NAME` of the organisation. Required")
	reason := fs.String("reason", "", "`TEXT` for the audit. Required")
	operands, err := fs.parse(args, e, "lift", "PREFIX (or country, as \"straks limits list\" has it)")
	switch {
	case err != nil:
		return err
	case *organisation == "":
		return misused("limits lift: -org is missing; usage: straks %s", fs.synopsis)
	case *reason == "":
		return misused("limits lift: -reason is missing; usage: straks %s", fs.synopsis)
	}
	c, err := admin.client()
	if err != nil {
		return err
	}
	body, err := json.Marshal(daemon.Lift{Organisation: *organisation, Prefix: operands[1], Reason: *reason, By: operator()})
	if err != nil {
		return err
	}
	var left daemon.Suspected
	if err := c.doJSON(ctx, http.MethodPost, "/limits/lift", body, maxLimits, &left); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s of %s is suspected no longer, nor for a day\n", printable.Text(operands[1]), printable.Text(*organisation))
	return err
}
