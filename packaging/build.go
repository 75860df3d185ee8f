package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tree is a clone of the commit that is released.
type tree struct {
	folder string
	time   time.Time // of the commit
}

// newTree clones the commit that a checkout has. The toolchain reads the version from the clone's tags, and
// would not from a working tree whose .git is a file.
func newTree(ctx context.Context, checkout, folder string) (*tree, error) {
	commit, err := output(ctx, checkout, nil, "git", "rev-parse", "HEAD")
	if err != nil {
		return nil, err
	}
	if _, err := output(ctx, checkout, nil, "git", "clone", "--quiet", "--shared", "--no-checkout", ".", folder); err != nil {
		return nil, err
	}
	if _, err := output(ctx, folder, nil, "git", "checkout", "--quiet", "--detach", commit); err != nil {
		return nil, err
	}
	seconds, err := output(ctx, folder, nil, "git", "log", "-1", "--format=%ct")
	if err != nil {
		return nil, err
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	return &tree{folder, time.Unix(n, 0).UTC()}, err
}

// build builds the product for an architecture of Linux.
func (t *tree) build(ctx context.Context, arch, binary string) (string, error) {
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + arch, "GOFLAGS=", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0"}
	_, err := output(ctx, t.folder, env, "go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", binary, "./cmd/straks")
	return binary, err
}

// generate has the product write its manual pages, and its completion for each shell.
func (t *tree) generate(ctx context.Context, binary, folder string) (string, error) {
	man := filepath.Join(folder, "man")
	if err := os.MkdirAll(man, 0o755); err != nil {
		return "", err
	}
	epoch := []string{fmt.Sprintf("SOURCE_DATE_EPOCH=%d", t.time.Unix())}
	if _, err := output(ctx, folder, epoch, binary, "man", man); err != nil {
		return "", err
	}
	pages, err := filepath.Glob(filepath.Join(man, "*.1"))
	if err != nil || len(pages) == 0 {
		return "", fmt.Errorf("no manual pages: %w", err)
	}
	for _, page := range pages {
		if err := compress(page); err != nil {
			return "", err
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script, err := output(ctx, folder, nil, binary, "completion", shell)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(folder, shell), []byte(script+"\n"), 0o644); err != nil {
			return "", err
		}
	}
	return folder, nil
}

// compress replaces a file by a compressed one, without name and time, as "gzip -n9" does.
func compress(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	return errors.Join(w.Close(), os.WriteFile(path+".gz", out.Bytes(), 0o644), os.Remove(path))
}

// packageVersion returns the version in a binary as Debian and RPM sort it: a tilde is before the end, so that
// v1.3.0-rc.1 comes before v1.3.0.
func packageVersion(binary string) (string, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "", err
	}
	return sortable(info.Main.Version)
}

func sortable(version string) (string, error) {
	bare, ok := strings.CutPrefix(version, "v")
	if !ok {
		return "", fmt.Errorf("the binary has the version %q: is the checkout a git repository?", version)
	}
	release, before, pre := strings.Cut(bare, "-")
	if !pre {
		return release, nil
	}
	return release + "~" + strings.ReplaceAll(before, "-", "."), nil
}

// output runs a program, and returns what it prints.
func output(ctx context.Context, folder string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), env...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, complaint.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}
