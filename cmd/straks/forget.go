package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"straks/internal/daemon"
)

// maxForgetAnswer bounds the answer of /forget, in octets.
const maxForgetAnswer = 64 << 10

// forgetCommand erases a person's data in the journal of a running daemon.
func forgetCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("forget [-blocks] -reason TEXT [-json] [-config FILE | -admin ADDRESS] RECIPIENT")
	fs.notes = "Erases who the messages to RECIPIENT were to. Their ids, times and statuses stay, and the numbers of the feed. It may be run\n" +
		"again, and must be while a message is under way. Backups and logs are not touched; docs/operations.md says what is left where.\n"
	admin := fs.adminFlags()
	blocks := fs.Bool("blocks", false, "lift what an operator or the recipient has put on block lists, too: messages are sent again")
	reason := fs.String("reason", "", "why: `TEXT` for the audit, without the recipient. Required")
	asJSON := fs.Bool("json", false, "print a line of JSON")
	operands, err := fs.parse(args, e, "RECIPIENT (a phone number or an e-mail address)")
	if err != nil {
		return err
	}
	if *reason == "" {
		return misused("forget: -reason is missing; usage: straks %s", fs.synopsis)
	}
	c, err := admin.client()
	if err != nil {
		return err
	}
	body, err := json.Marshal(daemon.ForgetRequest{Recipient: operands[0], Blocks: *blocks, Reason: *reason, By: operator()})
	if err != nil {
		return err
	}
	var done daemon.ForgetAnswer
	if err := c.doJSON(ctx, http.MethodPost, "/forget", body, maxForgetAnswer, &done); err != nil {
		return err
	}
	if *asJSON {
		err = printJSON(e.stdout, done)
	} else {
		_, err = fmt.Fprintf(e.stdout, "%s forgotten, %s dropped, %s lifted and gone after a day, %d kept\n", count(done.Shipments, "message"),
			count(done.Reports, "waiting receipt"), plural(done.Lifted, "entry of block lists", "entries of block lists"), done.Kept)
	}
	if err == nil && done.UnderWay > 0 {
		err = fmt.Errorf("forget: %s not forgotten, since the outcome is not known yet: run this again after %s",
			count(done.UnderWay, "message"), done.Until.Local().Format(time.DateTime))
	}
	return err
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
