//go:build !linux

package main

import "log/slog"

// forbidDumps does nothing: straks runs on Linux, and elsewhere is for development.
func forbidDumps(*slog.Logger) {}
