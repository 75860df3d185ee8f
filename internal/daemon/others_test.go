package daemon

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/limits"
	"straks/internal/logtest"
	"straks/orders"
)

// unreadable are orders of other nodes that can't be read.
type unreadable struct{ limits.History }

func (unreadable) Read(context.Context, func(orders.Shipment)) error {
	return errors.New("no such index")
}

// TestOthersUnread: a node that can't count what the others accept says why.
func TestOthersUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Log
		d := &Daemon{log: slog.New(slog.NewTextHandler(&log, nil)), others: limits.NewFollower(unreadable{}, nil)}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := d.followOthers(ctx); err != nil {
			t.Error(err)
		}
		if got := log.String(); !strings.Contains(got, "not counted now") || !strings.Contains(got, "no such index") || strings.Count(got, "\n") != 3 {
			t.Error(got)
		}
	})
}
