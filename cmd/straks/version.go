package main

import (
	"context"
	"fmt"

	"straks/internal/daemon"
)

func versionCommand(_ context.Context, args []string, e env) error {
	if _, err := newFlags("version").parse(args, e); err != nil {
		return err
	}
	version, revision, goVersion := daemon.Version()
	_, err := fmt.Fprintf(e.stdout, "straks %s %s %s\n", version, revision, goVersion)
	return err
}
