package journaltest

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"straks/internal/handover"
	"straks/orders"
)

// applyUndecided has callers leave at any moment, and repeat their call: what it has changed is told once.
func applyUndecided(f *fixture) {
	dice := f.dice()
	var want []orders.Status
	for i := range 60 {
		ref := fmt.Sprint("m", i)
		events := []orders.Event{f.answer(f.sent(ref), handover.Accepted, ref), f.report(orders.SMSDelivered, ref)}
		leaving, leave := context.WithCancel(ctx())
		go func() {
			for range dice.IntN(3000) {
				runtime.Gosched()
			}
			leave()
		}()
		told := 0
		tell := func(effects []orders.Effect) {
			for _, e := range effects {
				told += len(e.Changes)
			}
		}
		first, err := f.j.Apply(leaving, events)
		<-leaving.Done()
		again, failed := f.j.Apply(ctx(), events)
		if failed != nil {
			f.Fatal(failed)
		}
		tell(first)
		tell(again)
		if u := (*orders.UndecidedError)(nil); errors.As(err, &u) {
			select {
			case later := <-u.Effects:
				tell(later)
			default:
				f.Fatal("undecided after a repeat")
			}
		} else if err != nil {
			f.Fatalf("a caller that leaves: %v", err)
		}
		if told != 2 {
			f.Fatalf("order %d: %d changes were told, %v", i, told, err)
		}
		want = append(want, orders.SMSAccepted, orders.SMSDelivered)
	}
	f.wantFeed(want...)
}
