package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"straks/cmd/straks/bench"
)

// benchCommand measures this program, as a daemon of its own, between a load
// generator and an SMSC simulator that sends a receipt for each message.
func benchCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("bench [flags], or bench -overload [-for DURATION] [-freezable FOLDER] [-json], or bench -soak DURATION [-json]")
	length := fs.Duration("for", 10*time.Second, "how long each scenario lasts")
	choose := runFlags(fs)
	overload := fs.Bool("overload", false, "offer twice as much as the daemon can do, and see what becomes of it")
	freezable := fs.String("freezable", "", "with -overload: `folder` of a file system's own, which is frozen under a daemon (as root, by fsfreeze)")
	soak := fs.Duration("soak", 0, "for so long, make orders amid every trouble that carriers can make, and see that nothing grows")
	generator := fs.Bool("generator", false, "be the load generator of another bench, which tells on standard input what to do")
	other, external := externalFlags(fs)
	asJSON := fs.Bool("json", false, "print JSON")
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	runs, err := choose(*length)
	if err != nil {
		return err
	}
	if *freezable != "" && !*overload {
		return misused("bench: -freezable is of an overload: give -overload too")
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	switch {
	case *generator:
		return bench.Generate(ctx, e.stdin, e.stdout)
	case *overload:
		phases, err := bench.Overload(ctx, program, *length, *freezable)
		for i := range phases {
			err = errors.Join(err, phases[i].Broken())
		}
		return errors.Join(err, report(e, *asJSON, phases, bench.PrintPhases))
	case *soak > 0:
		levels, err := bench.Soak(ctx, program, *soak)
		return errors.Join(err, report(e, *asJSON, levels, bench.PrintLevels))
	}
	results, err := runAll(runs, e, func(r bench.Run) ([]bench.Result, error) { return r.Do(ctx, program) })
	var broken error
	for i := range results {
		broken = errors.Join(broken, results[i].Broken())
	}
	if err == nil && external.Addr != "" {
		var more []bench.Result
		more, err = runAll(forOther(runs, *other), e, func(r bench.Run) ([]bench.Result, error) { return external.Do(ctx, r) })
		results = append(results, more...)
	}
	if err != nil {
		return err
	}
	return errors.Join(broken, report(e, *asJSON, results, bench.Print))
}

// runFlags choose the scenarios, which are then runs of the given length.
func runFlags(fs *flags) func(time.Duration) ([]bench.Run, error) {
	var one bench.Run
	fs.IntVar(&one.Clients, "clients", 0, "run one scenario with so many connections, not the usual ones")
	fs.Float64Var(&one.Rate, "rate", 0, "with -clients: orders a second; 0 is as many as they can")
	fs.DurationVar(&one.Delay, "delay", 0, "with -clients: how long the SMSC takes to answer")
	fs.StringVar(&one.Profile, "profile", "", "with -clients: write a CPU profile of the daemon to this file")
	stored := fs.Int("stored", 0, "how many delivered shipments of the last 80 days the journal holds beforehand")
	dir := fs.String("dir", "", "`folder` in which the journal is kept, filled once by -stored, for this run and later ones")
	return func(length time.Duration) ([]bench.Run, error) {
		switch {
		case length <= 0:
			return nil, misused("bench: -for is %v, and must be longer than nothing", length)
		case min(one.Clients, int(one.Delay), *stored) < 0 || !(one.Rate >= 0):
			return nil, misused("bench: -clients, -rate, -delay and -stored can't be negative")
		case one.Clients == 0 && (one.Rate > 0 || one.Delay > 0 || one.Profile != ""):
			return nil, misused("bench: -rate, -delay and -profile are of a single scenario: give -clients too")
		}
		runs := bench.Scenarios()
		if one.Clients > 0 {
			one.Name = "custom"
			runs = []bench.Run{one}
		}
		for i := range runs {
			runs[i].For, runs[i].Stored, runs[i].Dir = length, *stored, *dir
		}
		return runs, nil
	}
}

// forOther returns those of the runs that another gateway can be put to.
func forOther(runs []bench.Run, name string) (some []bench.Run) {
	for _, r := range runs {
		if !r.Frozen && r.Delay == 0 {
			r.Name = name + " " + r.Name
			some = append(some, r)
		}
	}
	return some
}

// report prints results as JSON or as a table.
func report[T any](e env, asJSON bool, results []T, table func(io.Writer, []T)) error {
	if asJSON {
		return json.NewEncoder(e.stdout).Encode(results)
	}
	table(e.stdout, results)
	return nil
}

// externalFlags make the same runs on another gateway, see bench/kannel.
func externalFlags(fs *flags) (name *string, x *bench.External) {
	x = &bench.External{}
	name = fs.String("other", "other", "with -other-addr: `name` of the other gateway")
	fs.StringVar(&x.Addr, "other-addr", "", "run the scenarios on another gateway too, which takes requests at this `address`")
	fs.StringVar(&x.Path, "other-path", "", "with -other-addr: `path` of a GET with {to}, {text} and {dlr}")
	fs.StringVar(&x.SMSC, "other-smsc", "", "with -other-addr: `address` to which it binds")
	fs.Func("other-pid", "with -other-addr: `id` of a process of its; may be repeated", func(s string) error {
		pid, err := strconv.Atoi(s)
		x.PIDs = append(x.PIDs, pid)
		return err
	})
	return name, x
}

func runAll(runs []bench.Run, e env, do func(bench.Run) ([]bench.Result, error)) (results []bench.Result, err error) {
	for _, r := range runs {
		fmt.Fprintf(e.stderr, "%s for %v …\n", r.Name, r.For)
		some, err := do(r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		results = append(results, some...)
	}
	return results, nil
}
