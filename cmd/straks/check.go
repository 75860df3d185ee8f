package main

import (
	"context"
	"fmt"

	"straks/internal/config"
)

// defaultConfig is where the unit file and the packages of distributions put it.
const defaultConfig = "/etc/straks/straks.toml"

// configFlag is the flag of every command that reads the configuration.
func (f *flags) configFlag() *string {
	return f.String("config", defaultConfig, "configuration `file`")
}

// checkCommand says everything that is wrong with a configuration, and opens
// neither the journal nor a connection.
func checkCommand(_ context.Context, args []string, e env) error {
	fs := newFlags("check [-config FILE]")
	path := fs.configFlag()
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	cfg, err := loadConfig(*path, e)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.stdout, "%s is right: organisations %d, SMSCs %d, relays %d\n",
		*path, len(cfg.Organisations), len(cfg.SMSCs), len(cfg.Relays))
	return err
}

// loadConfig reads the configuration and tells its warnings on stderr.
func loadConfig(path string, e env) (*config.Config, error) {
	cfg, warnings, err := config.Load(path)
	for _, w := range warnings {
		fmt.Fprintf(e.stderr, "%s: warning: %v\n", path, w)
	}
	return cfg, err
}
