package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// options are the command line.
type options struct {
	straks    []string
	rounds    int
	length    time.Duration
	one       scenario // with Clients: in place of the usual ones
	stored    int
	dir       string
	overload  bool
	freezable string
	nodes     int
	soak      time.Duration
	receipt   time.Duration
	generator bool
	other     string
	external  external
	json      bool
	markdown  bool
}

// run is the program. It returns the exit code: 0 done, 1 failed, 2 a wrong command line.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	case o.generator:
		err = generate(ctx, stdin, stdout)
	default:
		err = o.measure(ctx, stdout, stderr)
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

func parse(args []string, stderr io.Writer) (*options, error) {
	o := &options{}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Func("straks", "the straks `binary` to measure; repeated: binaries to compare (default: build cmd/straks)", func(s string) error {
		o.straks = append(o.straks, s)
		return nil
	})
	fs.IntVar(&o.rounds, "rounds", 0, "rounds of each scenario (default 1, and 3 to compare); figures are medians")
	fs.DurationVar(&o.length, "for", 10*time.Second, "how long each scenario or phase lasts")
	fs.IntVar(&o.one.Clients, "clients", 0, "run one scenario with this number of connections instead of the usual scenarios")
	fs.Float64Var(&o.one.Rate, "rate", 0, "with -clients: orders a second; 0 is as many as the clients can make")
	fs.DurationVar(&o.one.Delay, "delay", 0, "with -clients: how long the SMSC takes to answer")
	fs.DurationVar(&o.receipt, "receipt", 0, "how long after its response the SMSC sends a receipt in the scenarios")
	fs.StringVar(&o.one.Profile, "profile", "", "with -clients: write a CPU profile of the daemon to this `file`")
	fs.IntVar(&o.stored, "stored", 0, "number of delivered shipments of the last 80 days in the journal before the run")
	fs.StringVar(&o.dir, "dir", "", "`folder` of the journal, which is filled once by -stored and kept for later runs")
	fs.BoolVar(&o.overload, "overload", false, "offer twice the peak")
	fs.StringVar(&o.freezable, "freezable", "", "with -overload: the root `folder` of a file system, which is frozen under a daemon (as root, by fsfreeze)")
	fs.IntVar(&o.nodes, "nodes", 0, "measure this `number` of nodes over one PostgreSQL, beside one daemon over a file if there is one binary")
	fs.DurationVar(&o.soak, "soak", 0, "make orders for this `duration` while the carriers have every fault, and check that nothing grows")
	fs.BoolVar(&o.generator, "generator", false, "be the load generator of another bench; the job comes on standard input")
	fs.StringVar(&o.other, "other", "other", "with -other-addr: `name` of the other gateway")
	fs.StringVar(&o.external.Addr, "other-addr", "", "run the scenarios on another gateway too, which takes requests at this `address`")
	fs.StringVar(&o.external.Path, "other-path", "", "with -other-addr: `path` of a GET with {to}, {text} and {dlr}")
	fs.StringVar(&o.external.SMSC, "other-smsc", "", "with -other-addr: `address` to which it binds")
	fs.Func("other-pid", "with -other-addr: `id` of one of its processes; may be repeated", func(s string) error {
		pid, err := strconv.Atoi(s)
		o.external.PIDs = append(o.external.PIDs, pid)
		return err
	})
	fs.BoolVar(&o.json, "json", false, "print JSON")
	fs.BoolVar(&o.markdown, "markdown", false, "print one table in Markdown, as in docs/performance.md")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if o.rounds == 0 {
		o.rounds = 1
		if len(o.straks) > 1 {
			o.rounds = 3
		}
	}
	return o, o.check()
}

func (o *options) check() error {
	switch one := o.one; {
	case o.length <= 0:
		return fmt.Errorf("-for is %v, and must be positive", o.length)
	case min(one.Clients, int(one.Delay), int(o.receipt), o.stored, o.rounds, o.nodes, int(o.soak)) < 0 || !(one.Rate >= 0):
		return errors.New("-clients, -rate, -delay, -receipt, -stored, -rounds, -nodes and -soak must not be negative")
	case one.Clients == 0 && (one.Rate > 0 || one.Delay > 0 || one.Profile != ""):
		return errors.New("-rate, -delay and -profile belong to a single scenario: give -clients too")
	case one.Profile != "" && (len(o.straks) > 1 || o.rounds > 1):
		return errors.New("-profile is of one run: give at most one -straks and one of -rounds")
	case o.nodes > 0 && (o.overload || o.soak > 0 || o.stored > 0 || o.dir != "" || o.external.Addr != ""):
		return errors.New("-nodes is for the scenarios over an empty journal: give none of -overload, -soak, -stored, -dir and -other-addr")
	case o.freezable != "" && !o.overload:
		return errors.New("-freezable belongs to an overload: give -overload too")
	}
	return nil
}

// measure does what the options ask for, and prints the figures even when one of them is
// an error.
func (o *options) measure(ctx context.Context, stdout, stderr io.Writer) error {
	dir, err := os.MkdirTemp("", "straks-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c := comparison{rounds: o.rounds, log: stderr}
	if c.programs, err = programs(ctx, o.straks, dir); err != nil {
		return err
	}
	if o.nodes > 0 {
		c.programs = asNodes(c.programs, o.nodes)
	}
	if o.soak > 0 {
		return o.soakAll(ctx, c, stdout)
	}
	var results []result
	if o.overload {
		results, err = o.overloads(ctx, c)
	} else {
		results, err = o.scenarios(ctx, c)
	}
	for i := range results {
		err = errors.Join(err, results[i].broken())
	}
	if err == nil && !o.overload && o.external.Addr != "" {
		results, err = o.beside(ctx, c, results)
	}
	if o.json {
		return errors.Join(err, json.NewEncoder(stdout).Encode(results))
	}
	if o.markdown {
		printMarkdown(stdout, results)
	} else {
		printResults(stdout, results)
	}
	return err
}

func (o *options) scenarios(ctx context.Context, c comparison) (all []result, err error) {
	for _, s := range o.chosen() {
		results, err := c.run(ctx, s.Name, s.do)
		all = append(all, results...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// chosen returns the scenarios to run.
func (o *options) chosen() []scenario {
	all := usual()
	if o.nodes > 0 {
		all = usualOfNodes()
	}
	if o.one.Clients > 0 {
		o.one.Name = "custom"
		all = []scenario{o.one}
	}
	for i := range all {
		all[i].For, all[i].Receipt, all[i].Stored, all[i].Dir = o.length, o.receipt, o.stored, o.dir
	}
	return all
}

func (o *options) overloads(ctx context.Context, c comparison) (all []result, err error) {
	kinds := carrierLimits()
	if o.freezable != "" {
		if err := checkMount(o.freezable); err != nil {
			return nil, err
		}
		kinds = append(kinds, diskLimit(o.freezable))
	}
	for _, kind := range kinds {
		results, err := c.run(ctx, kind.name, func(ctx context.Context, p program) ([]result, error) {
			return kind.do(ctx, p.path, o.length)
		})
		all = append(all, results...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// beside adds the other gateway's results. Scenarios of carriers that it is not connected
// to are left out.
func (o *options) beside(ctx context.Context, c comparison, results []result) ([]result, error) {
	c.programs = []program{{name: o.other}}
	for _, s := range o.chosen() {
		if s.Frozen || s.Delay > 0 {
			continue
		}
		more, err := c.run(ctx, s.Name, func(ctx context.Context, _ program) ([]result, error) { return o.external.do(ctx, s) })
		results = append(results, more...)
		if err != nil {
			return results, err
		}
	}
	return results, nil
}

func (o *options) soakAll(ctx context.Context, c comparison, stdout io.Writer) (err error) {
	all := make(map[string][]level)
	for _, p := range c.programs {
		levels, failed := soak(ctx, p.path, o.soak)
		if err = errors.Join(err, failed); !o.json {
			fmt.Fprintln(stdout, p.name)
			printLevels(stdout, levels)
		}
		all[p.name] = levels
	}
	if o.json {
		err = errors.Join(err, json.NewEncoder(stdout).Encode(all))
	}
	return err
}
