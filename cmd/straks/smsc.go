package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"straks/internal/config"
	"straks/smpp/smsctest"
)

// smscCommand runs the simulated SMSC until ctx ends, to try any gateway against the
// habits of real SMSCs. When it listens it prints one line of JSON with its addresses.
func smscCommand(ctx context.Context, args []string, e env) error {
	var o smscOptions
	fs := o.flags()
	if _, err := fs.parse(args, e); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			printEndings(e.stdout)
		}
		return err
	}
	p, err := o.build()
	if err != nil {
		return misused("smsc: %v", err)
	}
	s, err := smsctest.Listen(o.listen, p)
	if err != nil {
		return err
	}
	defer s.Close()
	page, err := o.page(s)
	if err != nil {
		return err
	}
	defer page.close()
	addresses := struct {
		SMSC string `json:"smsc"`
		HTTP string `json:"http,omitempty"`
	}{s.Addr(), page.addr}
	if err := json.NewEncoder(e.stdout).Encode(addresses); err != nil {
		return err
	}
	if o.storm {
		s.Storm(ctx)
	} else {
		o.outages(ctx, s)
	}
	return nil
}

// smscOptions is the command line of straks smsc.
type smscOptions struct {
	listen, http           string
	systemID, passwordFile string
	rules                  []string
	endings, storm         bool
	outageEvery, outageFor time.Duration
	profile                smsctest.Profile
}

// flags makes a flag of every quirk, so that help and rules have the same list.
func (o *smscOptions) flags() *flags {
	fs := newFlags("smsc [-listen ADDR] [-http ADDR] [-rule SUFFIX:quirk=value,…]… [-QUIRK VALUE]…")
	p := &o.profile
	fs.StringVar(&o.listen, "listen", "127.0.0.1:2775", "`address` to take binds on; port 0 picks one")
	fs.BoolVar(&p.AllowRemote, "allow-remote", false, "let -listen be an address that is not loopback")
	fs.StringVar(&o.http, "http", "", "`address` of a page of counters, and /stats.json")
	fs.StringVar(&o.systemID, "system-id", "", "the only system_id that may bind (default: any)")
	fs.StringVar(&o.passwordFile, "password-file", "", "`file` with its password")
	fs.BoolVar(&o.endings, "endings", true, "numbers with the endings below fail in their own way")
	fs.Func("rule", "quirks towards numbers with an ending, like `01:state=UNDELIV,err=011`; may be repeated",
		func(v string) error { o.rules = append(o.rules, v); return nil })
	fs.BoolVar(&o.storm, "storm", false, "play every quirk and incident at random; the flags of quirks do not count")
	fs.DurationVar(&o.outageEvery, "outage-every", 0, "close the listener and all connections at this `interval`")
	fs.DurationVar(&o.outageFor, "outage-for", time.Second, "for this `time`")
	fs.BoolVar(&p.Version33, "smpp33", false, "speak SMPP 3.3 only: no bind_transceiver, no TLVs")
	fs.DurationVar(&p.Enquire, "enquire", 0, "`interval` of enquire_link towards the gateway; 0 for none")
	fs.IntVar(&p.MaxBinds, "max-binds", 0, "binds of a system_id; one more is refused with ESME_RALYBND (default any number)")
	fs.IntVar(&p.Window, "window", 0, "receipts awaiting their answer, for each bind (default 1000)")
	fs.DurationVar(&p.Retry, "retry", 0, "`pause` after a receipt's temporary error (default 1s)")
	fs.DurationVar(&p.AckTimeout, "ack-timeout", 0, "`time` after which an unanswered receipt is sent again (default 10s)")
	fs.Uint64Var(&p.Seed, "seed", 0, "of every random choice")
	fs.Uint64Var(&p.FirstID, "first-id", 0, "number of the first message id (default: from the clock, so that two runs differ)")
	for _, q := range smsctest.Settings() {
		set := func(v string) error { return p.Behaviour.Set(q.Name, v) }
		if q.Switch {
			fs.BoolFunc(q.Name, q.Help, set)
		} else {
			fs.Func(q.Name, q.Help, set)
		}
	}
	return fs
}

// build completes the profile. A rule adds to the quirks for all numbers, wherever on
// the command line these are, and wins over an agreed ending.
func (o *smscOptions) build() (smsctest.Profile, error) {
	p := o.profile
	p.Record = -1 // there is no test to read them
	if p.FirstID == 0 {
		p.FirstID = uint64(time.Now().Unix()) * 1000
	}
	for _, text := range o.rules {
		r, err := smsctest.ParseRule(text, p.Behaviour)
		if err != nil {
			return p, err
		}
		p.Rules = append(p.Rules, r)
	}
	if o.endings {
		if err := p.AddEndings(); err != nil {
			return p, err
		}
	}
	return p, o.account(&p)
}

// account reads the password from a file: other users can see arguments.
func (o *smscOptions) account(p *smsctest.Profile) error {
	if o.systemID == "" {
		if o.passwordFile != "" {
			return errors.New("-password-file needs -system-id")
		}
		return nil
	}
	p.Accounts = map[string]string{o.systemID: ""}
	if o.passwordFile == "" {
		return nil
	}
	text, err := os.ReadFile(o.passwordFile)
	if err != nil {
		return err
	}
	if p.Accounts[o.systemID], err = config.ParsePassword(text); err != nil {
		return fmt.Errorf("-password-file names %s, which %w", o.passwordFile, err)
	}
	return nil
}

// outages takes the SMSC down at intervals until ctx ends.
func (o *smscOptions) outages(ctx context.Context, s *smsctest.SMSC) {
	if o.outageEvery <= 0 {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(o.outageEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.Outage(o.outageFor)
		case <-ctx.Done():
			return
		}
	}
}

// smscPage is the server of the page of counters. Its zero value is none.
type smscPage struct {
	addr string
	srv  *http.Server
	done chan struct{}
}

func (o *smscOptions) page(s *smsctest.SMSC) (*smscPage, error) {
	if o.http == "" {
		return &smscPage{}, nil
	}
	l, err := net.Listen("tcp", o.http)
	if err != nil {
		return nil, err
	}
	p := &smscPage{
		addr: l.Addr().String(), done: make(chan struct{}),
		srv: &http.Server{Handler: s.Handler(), ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 8 << 10},
	}
	go func() {
		defer close(p.done)
		_ = p.srv.Serve(l) // until close
	}()
	return p, nil
}

func (p *smscPage) close() {
	if p.srv != nil {
		p.srv.Close()
		<-p.done
	}
}

// printEndings prints the table of endings, which the README has too.
func printEndings(w io.Writer) {
	fmt.Fprint(w, "\nNumbers with these endings fail in their own way (-endings=false turns that off):\n\n")
	for _, e := range smsctest.Endings() {
		fmt.Fprintf(w, "  …%s  %s\n         %s\n", e.Suffix, e.What, e.Quirks)
	}
}
