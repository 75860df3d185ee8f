package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"straks/internal/config"
	"straks/internal/daemon"
	"straks/internal/printable"
)

// maxReload bounds the answer to a reload, in octets.
const maxReload = 1 << 20

// reloadTime bounds a reload: it reads files, and waits for no carrier.
const reloadTime = 30 * time.Second

// reloadCommand has a running daemon read its configuration again. A configuration with a fault changes nothing.
func reloadCommand(ctx context.Context, args []string, e env) error {
	fs := newFlags("reload [-config FILE | -admin ADDRESS]")
	admin := fs.adminFlags()
	if _, err := fs.parse(args, e); err != nil {
		return err
	}
	c, err := admin.client()
	if invalid := (*config.Invalid)(nil); errors.As(err, &invalid) {
		return fmt.Errorf("refused, and the configuration in use stays: %w", invalid)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, reloadTime, fmt.Errorf("no answer within %v", reloadTime))
	defer cancel()
	var raw json.RawMessage
	if err := c.doJSON(ctx, http.MethodPost, "/reload", []byte("{}"), maxReload, &raw); err != nil {
		return err
	}
	var done daemon.Reloaded
	if err := json.Unmarshal(raw, &done); err != nil {
		return fmt.Errorf("%s: the answer is not that of a straks: %w", c.where, err)
	}
	for _, w := range done.Warnings {
		fmt.Fprintf(e.stderr, "%s %s\n", printable.Line(w.Where()), printable.Line(w.Message))
	}
	for _, key := range done.Restart {
		fmt.Fprintf(e.stderr, "%s has changed, and takes effect after a restart\n", printable.Line(key))
	}
	fmt.Fprintln(e.stdout, "the configuration was read again, and is in use")
	return nil
}
