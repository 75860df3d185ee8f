package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"straks/api/client"
)

// demoTimeout bounds the demo.
const demoTimeout = 10 * time.Second

// demoCommand shows the main job: an SMS and an e-mail through a sandbox's own
// HTTP API, as a client would send them, and the feed until both are final.
func demoCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("demo [-cluster]")
	cluster := fs.Bool("cluster", false, "show several nodes over one PostgreSQL, whose primary is killed, and one of them: where PostgreSQL is installed")
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	if *cluster {
		return demoCluster(ctx, e)
	}
	sb, err := newSandbox(ctx, sandboxOptions{listen: "127.0.0.1:0"}, e)
	if err != nil {
		return err
	}
	defer sb.close()
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()

	ready := make(chan struct{})
	daemonCtx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- sb.daemon.Run(daemonCtx, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		stop()
		return err
	}
	err = demo(ctx, sb, e.stdout)
	stop()
	if ended := <-ended; err == nil {
		err = ended
	}
	return err
}

// demo sends and prints.
func demo(ctx context.Context, sb *sandbox, out io.Writer) error {
	c, err := client.New(sb.BaseURL, sb.Token, nil)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "straks is up at %s\n  SMSC simulator at %s, mail relay at %s, a fresh journal in between\n\n", sb.BaseURL, sb.SMSC, sb.Relay)
	sms := client.SMS{IdempotencyID: "login-4711", SendersReference: "demo-sms", Recipient: client.SMSRecipient{
		PhoneNumber: "+4799999999", TTLSeconds: 300,
		Settings: client.SMSSettings{Body: "Your code is 482913. It is good for five minutes."}}}
	email := client.Email{IdempotencyID: "login-4712", SendersReference: "demo-email", Recipient: client.EmailRecipient{
		EmailAddress: "kari@example.org",
		Settings:     client.EmailSettings{Subject: "Your code", Body: "Your code is 482913."}}}

	first, err := report(out, "SMS to +4799999999", func() (client.Placed, error) { return c.SendSMS(ctx, sms) })
	if err != nil {
		return err
	}
	if _, err := report(out, "the same again    ", func() (client.Placed, error) { return c.SendSMS(ctx, sms) }); err != nil {
		return err
	}
	second, err := report(out, "mail to kari@…    ", func() (client.Placed, error) { return c.SendEmail(ctx, email) })
	if err != nil {
		return err
	}
	fmt.Fprint(out, "\nThe feed:\n")
	return follow(ctx, c, out, map[string]string{first.ShipmentID: "SMS_Delivered", second.ShipmentID: "Email_Delivered"})
}

// report makes a call and prints its result.
func report(out io.Writer, what string, call func() (client.Placed, error)) (client.Placed, error) {
	began := time.Now()
	p, err := call()
	if err != nil {
		return p, fmt.Errorf("%s: %w", what, err)
	}
	result := "201 Created: the carrier has it"
	if !p.Created {
		result = "200 OK: known already, nothing was sent"
	}
	fmt.Fprintf(out, "  %s  %-40s %6.1f ms  shipment %s\n", what, result, float64(time.Since(began).Microseconds())/1000, p.ShipmentID)
	return p, nil
}

// follow prints feed entries until every shipment has the status in waiting.
func follow(ctx context.Context, c *client.Client, out io.Writer, waiting map[string]string) error {
	var seq uint64
	for len(waiting) > 0 {
		page, err := c.Feed(ctx, client.FeedQuery{Seq: seq, All: true})
		if err != nil {
			return fmt.Errorf("waiting for %d shipments: %w", len(waiting), err)
		}
		for _, entry := range page {
			seq = entry.SequenceNumber
			r := entry.Recipients[0]
			fmt.Fprintf(out, "  %3d  %-16s %-17s %-18s %s\n", seq, entry.Status, r.Status, entry.SendersReference, entry.LastUpdate.Format("15:04:05.000"))
			if waiting[entry.ShipmentID] == r.Status {
				delete(waiting, entry.ShipmentID)
			}
		}
		if len(page) == 0 {
			time.Sleep(50 * time.Millisecond)
		}
	}
	fmt.Fprint(out, "\nBoth arrived. \"straks sandbox\" keeps such a world running for your own client.\n")
	return nil
}
