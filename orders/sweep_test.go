package orders_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"straks/orders"
)

// idle is a journal in which nothing is due, and that notes when it was swept.
type idle struct {
	orders.Journal
	began  time.Time
	sweeps []time.Duration
	kept   []time.Duration // the retention of each
}

func (*idle) Due(context.Context, time.Time, int) ([]uuid.UUID, time.Time, error) {
	return nil, time.Time{}, nil
}

func (*idle) Abandoned(context.Context) ([]orders.Shipment, error) { return nil, nil }

func (*idle) Matches(context.Context, time.Time, time.Time, int) ([]orders.Match, error) {
	return nil, nil
}

func (j *idle) Sweep(_ context.Context, _ time.Time, r orders.Retention, _ int) (orders.Swept, error) {
	j.kept = append(j.kept, r.Of("ttd"))
	j.sweeps = append(j.sweeps, time.Since(j.began))
	switch len(j.sweeps) {
	case 1:
		return orders.Swept{More: true}, nil
	case 2:
		return orders.Swept{More: true}, errors.New("a page can't be read")
	}
	return orders.Swept{}, nil
}

// Retention waits a minute for the clock to be set, goes on at once where there
// is more, a little later where something stays, and comes back every ten minutes.
func TestSweepTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &idle{began: time.Now()}
		s := orders.NewService(orders.Config{Journal: j, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
		defer cancel()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if len(j.sweeps) != 4 || j.sweeps[0] < 30*time.Second || j.sweeps[1]-j.sweeps[0] >= time.Second ||
			j.sweeps[2]-j.sweeps[1] != time.Second || j.sweeps[3]-j.sweeps[2] < 5*time.Minute {
			t.Errorf("swept at %v", j.sweeps)
		}
	})
}

// TestSweepAsksForTheRetention: another configuration counts from the next step on.
func TestSweepAsksForTheRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &idle{began: time.Now()}
		own := 5 * time.Hour
		retention := func() orders.Retention {
			own -= time.Hour
			return orders.Retention{All: 3 * time.Hour, Own: map[string]time.Duration{"ttd": own}}
		}
		s := orders.NewService(orders.Config{Journal: j, Retention: retention, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if want := []time.Duration{3 * time.Hour, 3 * time.Hour, 2 * time.Hour}; !slices.Equal(j.kept, want) {
			t.Errorf("swept by %v, want %v", j.kept, want)
		}
	})
}
