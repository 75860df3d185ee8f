package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
)

// program is a straks binary, and how it is run.
type program struct {
	name, path string
	nodes      int // over one PostgreSQL; 0: one daemon over a journal in a file
}

// programs returns those at the paths. A name is the last element of the path where that
// is unique. Without paths, cmd/straks of this module is built in dir.
func programs(ctx context.Context, paths []string, dir string) ([]program, error) {
	if len(paths) == 0 {
		path := filepath.Join(dir, "straks")
		return []program{{name: "straks", path: path}}, build(ctx, path)
	}
	var all []program
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		path, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(path)
		if slices.ContainsFunc(all, func(p program) bool { return p.name == name }) {
			name = path
		}
		all = append(all, program{name: name, path: path})
	}
	return all, nil
}

// build builds cmd/straks of this module, with the race detector where this program has it.
func build(ctx context.Context, path string) error {
	args := []string{"build", "-o", path}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	if out, err := exec.CommandContext(ctx, "go", append(args, "straks/cmd/straks")...).CombinedOutput(); err != nil {
		return fmt.Errorf("building cmd/straks: %w: %s", err, out)
	}
	return nil
}

// comparison runs each measurement in rounds. Every second round has the programs in
// reverse order, so that a machine that becomes slower or faster favours none.
type comparison struct {
	programs []program
	rounds   int
	log      io.Writer
}

func (c comparison) run(ctx context.Context, name string, measure func(ctx context.Context, p program) ([]result, error)) (all []result, err error) {
	for round := range c.rounds {
		order := slices.Clone(c.programs)
		if round%2 == 1 {
			slices.Reverse(order)
		}
		for _, p := range order {
			fmt.Fprintf(c.log, "%s, round %d of %d: %s …\n", name, round+1, c.rounds, p.name)
			results, err := measure(ctx, p)
			for i := range results {
				results[i].Program, results[i].Round = p.name, round+1
			}
			all = append(all, results...)
			if err != nil {
				return all, fmt.Errorf("%s, %s: %w", p.name, name, err)
			}
		}
	}
	return all, nil
}
