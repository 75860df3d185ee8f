package main

import (
	"context"
	"fmt"

	"straks/internal/config"
	"straks/internal/daemon"
)

// upgradeCommand brings the schema of a journal in PostgreSQL to the present version. Nodes of the version before may run.
func upgradeCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("upgrade [-config FILE]")
	fs.notes = "Run it once, with the newer program, before the nodes are replaced one by one. A journal in a file needs it not: straks serve does\n" +
		"it, or straks journal migrate.\n"
	path := fs.configFlag()
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	cfg, _, err := config.LoadSealed(*path)
	if err != nil {
		return err
	}
	if !cfg.Journal.Shared() {
		return fmt.Errorf(`upgrade is for a journal in PostgreSQL, and %s has journal.engine = "bolt": straks serve brings a file up to date when it starts`, *path)
	}
	upgraded, err := daemon.UpgradeJournal(ctx, cfg)
	if err != nil {
		return err
	}
	says := "the journal is of the present schema already"
	if upgraded {
		says = "the journal is of the present schema now"
	}
	_, err = fmt.Fprintln(e.stdout, says)
	return err
}
