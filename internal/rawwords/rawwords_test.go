package rawwords

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func say(h *Hub, carrier, text string) {
	h.Say(carrier, "reply", func() string { return text })
}

func TestListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(Hub)
		h.Say("telco", "reply", func() string { t.Error("text is made though nobody listens"); return "" })
		ctx, cancel := context.WithCancel(t.Context())
		var heard []Words
		done := make(chan error, 1)
		go func() {
			done <- h.Listen(ctx, "telco", time.Minute, func(w Words) error {
				if w.Kind != "" {
					heard = append(heard, w)
				}
				return nil
			})
		}()
		synctest.Wait()
		say(h, "telco", "one")
		say(h, "other", "two")
		say(h, "telco", strings.Repeat("x", 2*MaxOctets))
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(heard) != 2 || heard[0].Text != "one" || heard[0].Kind != "reply" || heard[0].At.IsZero() || len(heard[1].Text) != MaxOctets {
			t.Errorf("heard %+.80v", heard)
		}
		h.Say("telco", "reply", func() string { t.Error("text is made after the listener has gone"); return "" })
	})
}

// A listener that is slow holds up nobody and its memory is bounded; it is told what it lost.
func TestSlowListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(Hub)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		gate, heard := make(chan struct{}), 0
		lost := 0
		done := make(chan error, 1)
		go func() {
			done <- h.Listen(ctx, "telco", time.Minute, func(w Words) error {
				if w.Kind == "" {
					return nil
				}
				<-gate
				heard, lost = heard+1, lost+w.Lost
				return nil
			})
		}()
		synctest.Wait()
		said := maxWaiting + 100
		for range said {
			say(h, "telco", "x")
		}
		close(gate)
		synctest.Wait()
		say(h, "telco", "last")
		synctest.Wait()
		if heard+lost != said+1 || lost == 0 {
			t.Errorf("heard %d, lost %d of %d", heard, lost, said+1)
		}
		cancel()
		<-done
	})
}

func TestListenersAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(Hub)
		broken := errors.New("gone")
		ended := make(chan error, maxListeners)
		for range maxListeners {
			go func() {
				ended <- h.Listen(t.Context(), "telco", time.Minute, func(w Words) error {
					if w.Kind == "" {
						return nil
					}
					return broken
				})
			}()
		}
		synctest.Wait()
		if err := h.Listen(t.Context(), "telco", time.Minute, nil); !errors.Is(err, ErrBusy) {
			t.Errorf("one more: %v", err)
		}
		say(h, "telco", "x")
		for range maxListeners {
			if err := <-ended; !errors.Is(err, broken) {
				t.Error(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.Listen(ctx, "telco", time.Minute, func(Words) error { return nil }); err != nil {
			t.Errorf("after they have gone: %v", err)
		}
	})
}

func TestNoHub(t *testing.T) {
	var h *Hub
	h.Say("telco", "reply", nil)
}
