package main

import (
	"syscall"

	"straks/internal/config"
)

// descriptorWarnings warns if the limit on this process's file descriptors is too low. Go
// has raised the soft limit to the hard one.
func descriptorWarnings(cfg *config.Config) []config.Warning {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil
	}
	return cfg.DescriptorWarnings(limit.Cur, "the limit of this process (RLIMIT_NOFILE)")
}
