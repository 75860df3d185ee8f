package main

import (
	"context"
	"fmt"

	"straks/internal/config"
	"straks/internal/daemon"
)

// initCommand creates the journal. It is explicit, and refuses where one is,
// because an empty journal is forgotten idempotency keys.
func initCommand(_ context.Context, args []string, e env) error {
	fs := newFlags("init [-config FILE]")
	path := fs.configFlag()
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	cfg, _, err := config.LoadSealed(*path)
	if err != nil {
		return err
	}
	if err := daemon.CreateJournal(cfg); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "created the journal %s\n", cfg.Journal.Path)
	return err
}
