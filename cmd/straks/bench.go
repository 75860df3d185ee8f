package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"straks/cmd/straks/bench"
)

// benchCommand measures this program, as a daemon of its own, between a load
// generator and an SMSC simulator that sends a receipt for each message.
func benchCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("bench [-for DURATION] [-clients N] [-rate N] [-delay DURATION] [-stored N] [-profile FILE] [-json]")
	length := fs.Duration("for", 10*time.Second, "how long each scenario lasts")
	clients := fs.Int("clients", 0, "run one scenario with so many connections, not the usual ones")
	rate := fs.Float64("rate", 0, "with -clients: orders a second; 0 is as many as they can")
	delay := fs.Duration("delay", 0, "with -clients: how long the SMSC takes to answer")
	stored := fs.Int("stored", 0, "how many delivered shipments of the last 80 days the journal holds beforehand")
	profile := fs.String("profile", "", "with -clients: write a CPU profile of the daemon to this file")
	asJSON := fs.Bool("json", false, "print JSON")
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	runs := bench.Scenarios(*length, *stored)
	if *clients > 0 {
		runs = []bench.Run{{Name: "custom", Clients: *clients, Rate: *rate, For: *length, Delay: *delay, Stored: *stored, Profile: *profile}}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	var results []bench.Result
	for _, r := range runs {
		fmt.Fprintf(e.stderr, "%s for %v …\n", r.Name, r.For)
		some, err := r.Do(ctx, program)
		if err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		results = append(results, some...)
	}
	if *asJSON {
		return json.NewEncoder(e.stdout).Encode(results)
	}
	bench.Print(e.stdout, results)
	return nil
}
