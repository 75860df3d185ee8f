//go:build !linux

package main

import "straks/internal/config"

// descriptorWarnings does not know the limit here.
func descriptorWarnings(*config.Config) []config.Warning { return nil }
