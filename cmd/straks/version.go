package main

import (
	"context"
	"fmt"
	"runtime/debug"
)

func versionCommand(_ context.Context, args []string, e env) error {
	if _, err := newFlags("version").parse(args, e); err != nil {
		return err
	}
	version, revision, goVersion := buildVersion()
	_, err := fmt.Fprintf(e.stdout, "straks %s %s %s\n", version, revision, goVersion)
	return err
}

// buildVersion tells what the toolchain stamped into this binary: the module's
// version, the revision ("-dirty" where the checkout was changed), and Go's.
func buildVersion() (version, revision, goVersion string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)", "(unknown)", "(unknown)"
	}
	revision = "(no revision)"
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(len(s.Value), 12)]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "-dirty"
		}
	}
	return info.Main.Version, revision + dirty, info.GoVersion
}
