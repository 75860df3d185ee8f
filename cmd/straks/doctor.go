package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"straks/internal/config"
	"straks/internal/doctor"
	"straks/internal/printable"
	"straks/orders/bolt"
)

// doctorCommand looks at what lies outside of straks: DNS records, relays, SMSCs, the clock.
func doctorCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("doctor [-config FILE | -admin ADDRESS] [-resolver HOST:PORT] [-json] [-no-loop]")
	fs.notes = "It sends no message. Where no straks runs, it binds to each SMSC once, and unbinds. Exit code 1: there is something to\n" +
		"change (fix), or something could not be looked at (unknown).\n"
	admin := fs.adminFlags()
	server := fs.String("resolver", "", "the DNS server to ask, `HOST:PORT` (default: those of /etc/resolv.conf)")
	asJSON := fs.Bool("json", false, "print the findings as JSON")
	noLoop := fs.Bool("no-loop", false, "don't ask the mail servers of the bounce domain whether straks is behind them")
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	resolver, err := doctor.NewResolver(*server)
	if err != nil {
		return misused("doctor: %v", err)
	}
	plan, err := doctorPlan(ctx, admin)
	if err != nil {
		return err
	}
	plan.Loop = !*noLoop
	waiting := newWaiting(e)
	findings := doctor.Examine(ctx, plan, resolver, waiting.watch)
	waiting.end()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if *asJSON {
		err = printFindingsJSON(e.stdout, resolver, findings)
	} else {
		err = printFindings(e.stdout, widthOf(e.stdout), resolver, findings)
	}
	if err != nil {
		return err
	}
	return verdictOf(findings)
}

// doctorPlan reads the configuration, and asks for the daemon that runs with it.
func doctorPlan(ctx context.Context, admin adminFlags) (*doctor.Plan, error) {
	plan := &doctor.Plan{}
	var err error
	if plan.Config, _, err = config.Load(*admin.config); err != nil {
		// Operators may not read the secrets. What needs none is looked at nevertheless.
		sealed, _, sealedErr := config.LoadSealed(*admin.config)
		if sealedErr != nil {
			return nil, err
		}
		plan.Config, plan.Secrets = sealed, err
	}
	plan.Keys, plan.UnreadKeys = plan.Config.PublishedKeys(*admin.config)
	if plan.Config.Journal.Shared() {
		plan.Database = func(ctx context.Context) []doctor.Finding { return databaseFindings(ctx, plan.Config) }
	}
	plan.Running, plan.Occupied = runningDaemon(ctx, plan.Config, admin)
	return plan, nil
}

// runningDaemon returns the state of the daemon that runs. Where none answers, occupied is why there may be one.
func runningDaemon(ctx context.Context, cfg *config.Config, admin adminFlags) (running *doctor.Running, occupied string) {
	client, err := adminOf(cfg)
	if *admin.admin != "" {
		client, err = adminAt(*admin.admin)
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		var raw json.RawMessage
		if err = client.getJSON(ctx, "/status", maxStatus, &raw); err == nil {
			var s status
			if s, err = parseStatus(raw); err == nil {
				return &doctor.Running{SMSC: s.SMSC, Relay: s.Relay}, ""
			}
		}
	}
	if *admin.admin != "" || errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Sprintf("a straks may run, which could not be asked: %v", err)
	}
	if cfg.Journal.Shared() {
		return nil, nodeRuns(ctx, cfg, err)
	}
	j, opened := bolt.OpenReadOnly(cfg.Journal.Path, bolt.Options{Log: slog.New(slog.DiscardHandler)})
	switch {
	case opened == nil:
		j.Close()
	case errors.Is(opened, bolt.ErrLocked):
		return nil, fmt.Sprintf("another process has the journal open, most likely straks, and it could not be asked: %v", err)
	case errors.Is(opened, fs.ErrPermission):
		return nil, fmt.Sprintf("a straks may run, which could not be asked, and the journal can't be opened to see it; run this as root: %v", err)
	}
	return nil, ""
}

// verdictOf returns an error where something is not right.
func verdictOf(findings []doctor.Finding) error {
	var parts []string
	if n := doctor.Count(findings, doctor.Fix); n > 0 {
		parts = append(parts, count(n, "thing")+" to change")
	}
	if n := doctor.Count(findings, doctor.Unknown); n > 0 {
		parts = append(parts, fmt.Sprintf("%d not looked at", n))
	}
	if len(parts) == 0 {
		return nil
	}
	return fmt.Errorf("doctor: %s", strings.Join(parts, ", "))
}

func printFindingsJSON(w io.Writer, r *doctor.Resolver, findings []doctor.Finding) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // commands have "&&"
	enc.SetIndent("", "  ")
	if err := enc.Encode(struct {
		Resolver string           `json:"resolver"`
		Findings []doctor.Finding `json:"findings"`
	}{r.String(), findings}); err != nil {
		return err
	}
	_, err := w.Write(printable.JSON(text.Bytes()))
	return err
}

// waiting says on stderr what is being waited for, when that takes more than two seconds.
type waiting struct {
	to       io.Writer
	terminal bool
	stop     chan struct{}
	stopped  chan struct{}

	mu      sync.Mutex
	running map[string]bool
}

const (
	waitingFirst = 2 * time.Second
	waitingLine  = 10 * time.Second // between two lines, where stderr is no terminal
)

func newWaiting(e env) *waiting {
	w := &waiting{to: e.stderr, terminal: isTerminal(e.stderr), stop: make(chan struct{}), stopped: make(chan struct{}), running: make(map[string]bool)}
	go w.tell()
	return w
}

// watch is a doctor.Watcher.
func (w *waiting) watch(subject, name string, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ended {
		delete(w.running, subject+" ("+name+")")
	} else {
		w.running[subject+" ("+name+")"] = true
	}
}

func (w *waiting) tell() {
	defer close(w.stopped)
	next := time.NewTimer(waitingFirst)
	defer next.Stop()
	for {
		select {
		case <-w.stop:
			if w.terminal {
				fmt.Fprint(w.to, "\r\x1b[K")
			}
			return
		case <-next.C:
		}
		line := w.line()
		if w.terminal {
			fmt.Fprintf(w.to, "\r\x1b[K%s", line)
			next.Reset(progressDrawn)
		} else {
			fmt.Fprintln(w.to, line)
			next.Reset(waitingLine)
		}
	}
}

// line is short enough for a terminal.
func (w *waiting) line() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := slices.Sorted(maps.Keys(w.running))
	if len(names) > 2 {
		names = append(names[:2], fmt.Sprintf("%d more", len(w.running)-2))
	}
	return printable.Line("waiting for " + strings.Join(names, ", "))
}

// end takes the line away.
func (w *waiting) end() {
	close(w.stop)
	<-w.stopped
}
