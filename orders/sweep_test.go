package orders_test

import (
	"context"
	"errors"
	"log/slog"
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
}

func (*idle) Due(context.Context, time.Time, int) ([]uuid.UUID, time.Time, error) {
	return nil, time.Time{}, nil
}

func (*idle) Abandoned(context.Context) ([]orders.Shipment, error) { return nil, nil }

func (*idle) Matches(context.Context, time.Time, time.Time, int) ([]orders.Match, error) {
	return nil, nil
}

func (j *idle) Sweep(context.Context, time.Time, time.Duration, int) (orders.Swept, error) {
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
