package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"

	"straks/internal/audit"
	"straks/internal/config"
)

// auditCommand looks after the record of who did what.
func auditCommand(ctx context.Context, args []string, e env) error {
	return choice(ctx, args, e, "audit verify [flags]", []command{
		{"verify", "report whether anything in the audit was changed", auditVerify},
	})
}

// auditVerify follows the chain of hashes through all files.
func auditVerify(_ context.Context, args []string, e env) error {
	fs := newFlags("audit verify [-head HASH] [-config FILE | DIR]")
	fs.notes = `Each line holds the hash of the line before. The exit code is 1 where the chain is broken, or HASH is missing.
The chain alone does not show that its end was removed, or that everything was written again: for that, HASH
must be one that the daemon's log ("audit head") had, and that was kept elsewhere.
`
	head := fs.String("head", "", "the hash of a line that must be there: `HASH` has 64 hex digits")
	path := fs.configFlag()
	operands, err := fs.parse(args, e, "verify", "[DIR]")
	if err != nil {
		return err
	}
	if *head != "" && !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(*head) {
		return misused("audit verify: -head must be 64 hex digits, as in the line \"audit head\" of the daemon's log")
	}
	dir := ""
	if len(operands) > 1 {
		dir = operands[1]
	}
	if dir == "" {
		cfg, _, err := config.LoadSealed(*path)
		if err != nil {
			return err
		}
		if dir = cfg.Audit.Dir; dir == "" {
			return fmt.Errorf("%s has no audit.dir: there is no audit", *path)
		}
	}
	p := newProgress(e, "audit verify", mebibytes)
	r, err := audit.Verify(dir, *head, p.report)
	if p.end(err); err != nil {
		return err
	}
	return printAudit(e, dir, r)
}

func printAudit(e env, dir string, r audit.Report) error {
	fmt.Fprintf(e.stdout, "%s: %d lines in %d files, from %s to %s\n", dir, r.Lines, r.Files, cmp.Or(r.First, "-"), cmp.Or(r.Last, "-"))
	if r.FirstSeq > 1 {
		fmt.Fprintf(e.stdout, "begins with line %d: those before were removed with their files, as audit.retention says, or by someone\n", r.FirstSeq)
	}
	if r.LostEvents > 0 {
		fmt.Fprintf(e.stdout, "%d events were left out while the disk did not keep up\n", r.LostEvents)
	}
	for _, b := range r.Breaks {
		fmt.Fprintf(e.stdout, "%s:%d: %s\n", b.File, b.Line, b.What)
	}
	switch {
	case len(r.Breaks) > 0 && r.MoreBreaks:
		return errors.New("the chain is broken, in more places than these")
	case len(r.Breaks) > 0:
		return errors.New("the chain is broken")
	case !r.HeadFound:
		return errors.New("no line has the hash that -head names: lines were removed, or everything was written again")
	}
	_, err := fmt.Fprintf(e.stdout, "nothing was changed; head %s\n", r.Head)
	return err
}
