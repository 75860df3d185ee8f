package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"straks/internal/printable"
)

// stack runs the parts of the daemon so that each outlives those started after it:
// what receives starts before what sends, and ends after it.
type stack struct {
	log    *slog.Logger
	parts  []*part
	failed chan error // the first part that ended before its context
}

type part struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error // set before done is closed
}

func newStack(log *slog.Logger) *stack {
	return &stack{log: log, failed: make(chan error, 1)}
}

// start runs a part in its own goroutine. run must block until its context ends;
// if it ends earlier, the whole stack ends.
func (s *stack) start(name string, run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &part{name: name, cancel: cancel, done: make(chan struct{})}
	s.parts = append(s.parts, p)
	go func() {
		defer close(p.done)
		p.err = run(ctx)
		if ctx.Err() == nil {
			p.err = fmt.Errorf("%s ended: %w", name, orUnexpected(p.err))
			select {
			case s.failed <- p.err:
			default:
			}
		}
	}()
}

func orUnexpected(err error) error {
	if err == nil {
		return errors.New("unexpectedly")
	}
	return err
}

// wait blocks until ctx ends or a part fails. Then it calls stopping, and ends the
// parts one after the other, the last started first. The first error is the cause.
func (s *stack) wait(ctx context.Context, stopping func()) error {
	var cause error
	select {
	case <-ctx.Done():
		s.log.Info("stopping", "reason", context.Cause(ctx).Error())
	case cause = <-s.failed:
		s.log.Error("stopping", "err", printable.Line(cause.Error()))
	}
	stopping()
	for i := len(s.parts) - 1; i >= 0; i-- {
		p := s.parts[i]
		p.cancel()
		<-p.done
		if p.err != nil && !errors.Is(p.err, context.Canceled) && cause == nil {
			cause = fmt.Errorf("%s: %w", p.name, p.err)
		}
		s.log.Debug("ended", "part", p.name)
	}
	return cause
}
