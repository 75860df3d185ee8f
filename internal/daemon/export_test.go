package daemon

import (
	"context"
	"log/slog"
)

// Notify runs the notifier with a status line, after it has said that it is ready.
func Notify(ctx context.Context, log *slog.Logger, status func() string) error {
	n := newNotifier(log)
	defer n.close()
	n.ready()
	return n.run(ctx, status)
}
