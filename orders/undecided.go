package orders

import (
	"context"
	"errors"
)

// UndecidedError is ErrUnavailable of a call of Journal.Apply that the journal had taken: its caller left before the
// commit, or the commit may have failed. A repeat of the call has no changes if the first one is stored. So these are
// in Effects, for those who count them.
type UndecidedError struct {
	Err error
	// Effects gets the effects of the call once the journal knows that it is stored, and is closed without them if it is
	// not. Both come before a repeat of the call returns without error; if the journal is closed first, neither may.
	Effects <-chan []Effect
}

func (e *UndecidedError) Error() string { return e.Err.Error() }
func (e *UndecidedError) Unwrap() error { return e.Err }

// Later is the journal's end of UndecidedError.Effects: it is told once what became of a call. Nil: nobody counts what the
// call changes.
type Later chan []Effect

// NewLater returns one that is told without a wait.
func NewLater() Later { return make(Later, 1) }

// Stored tells that the call is stored, with these effects.
func (l Later) Stored(effects []Effect) {
	if l != nil {
		l <- effects
	}
}

// NotStored tells that the call is not stored, and will not be.
func (l Later) NotStored() {
	if l != nil {
		close(l)
	}
}

// Failure returns the error of a call of Apply that has failed with err: the call may be stored, unless err says that it
// is not.
func (l Later) Failure(err error) error {
	if errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrNotStored) {
		return &UndecidedError{Err: err, Effects: l}
	}
	return err
}

// apply stores facts. If it fails, and they turn out to be stored, their effects are counted then.
func (s *Service) apply(ctx context.Context, events []Event) ([]Effect, error) {
	effects, err := s.cfg.Journal.Apply(ctx, events)
	if u := (*UndecidedError)(nil); errors.As(err, &u) {
		s.retries.Go(func() {
			select {
			case late := <-u.Effects:
				for i, e := range late {
					s.applied(events[i], e)
				}
			case <-s.stop:
			}
		})
	}
	return effects, err
}

// undecided are the attempts at an answer whose effects are not known.
type undecided []<-chan []Effect

// add adds an attempt that failed.
func (u *undecided) add(err error) {
	if one := (*UndecidedError)(nil); errors.As(err, &one) {
		*u = append(*u, one.Effects)
	}
}

// take returns the changes of those attempts that are known to be stored by now, each once.
func (u *undecided) take() (changes []Change) {
	var left undecided
	for _, attempt := range *u {
		select {
		case effects := <-attempt:
			for _, e := range effects {
				changes = append(changes, e.Changes...)
			}
		default:
			left = append(left, attempt)
		}
	}
	*u = left
	return changes
}
