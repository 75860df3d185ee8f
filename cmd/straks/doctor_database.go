package main

import (
	"context"
	"fmt"

	"straks/internal/config"
	"straks/internal/daemon"
	"straks/internal/doctor"
	"straks/orders/postgres"
	"straks/orders/postgres/examine"
)

// databaseFindings looks at the database that the journal is in.
func databaseFindings(ctx context.Context, cfg *config.Config) []doctor.Finding {
	all, err := daemon.Examine(ctx, cfg)
	if err != nil {
		return []doctor.Finding{{Check: "reachable", Level: doctor.Unknown, Says: fmt.Sprintf("The database was not looked at: %v", err)}}
	}
	findings := make([]doctor.Finding, len(all))
	for i, f := range all {
		findings[i] = doctor.Finding{Check: f.Name, Level: databaseLevels[f.Level], Says: f.Says, Run: f.Run}
	}
	return findings
}

var databaseLevels = map[examine.Level]doctor.Level{examine.OK: doctor.OK, examine.Note: doctor.Note, examine.Fix: doctor.Fix, examine.Unknown: doctor.Unknown}

// nodeRuns returns why there may be a daemon that runs as this node, empty where there is none. unasked is why it could not be
// asked.
func nodeRuns(ctx context.Context, cfg *config.Config, unasked error) string {
	options, err := daemon.PostgresOptions(cfg)
	if err != nil {
		return ""
	}
	if running, _ := postgres.Probe(ctx, options); running { // its keys are not for the doctor
		return fmt.Sprintf("node %d runs, and could not be asked: %v", cfg.Node.ID, unasked)
	}
	return ""
}
