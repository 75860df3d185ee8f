package orders_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"straks/internal/handover"
	"straks/orders"
	"straks/orders/orderstest"
)

// oneLane is carriers whose messages all wait for the same window.
type oneLane struct{ *carriers }

func (c oneLane) Lane(orders.Message) orders.Lane { return orders.Lane{Window: c.Window} }

// placeOf places an order of an organisation, and returns its error.
func (w *loaded) placeOf(organisation, key string, to orders.Recipient, body string) error {
	o := orderstest.SMS(key)
	o.Organisation, o.Message.To, o.Message.Body = organisation, to, body
	_, _, err := w.Place(w.t.Context(), o)
	return err
}

// Organisations share a lane by the places that they hold, and not by orders: one whose messages take
// twenty times as long gets a twentieth of the orders through. Alone, each has the whole lane.
func TestOrganisationsShareALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slowly, fastly = 200 * time.Millisecond, 10 * time.Millisecond
		c := newCarriers(8, fastly) // and two that are stored
		c.takes[hung] = slowly
		w := newLoad(t, oneLane{c}, orders.Config{AtWork: 8})
		stop := time.Now().Add(10 * time.Second)
		flood := func(organisation string, to orders.Recipient, sent *int) {
			for i := range 30 {
				w.wg.Go(func() {
					for n := 0; time.Now().Before(stop); n++ {
						err := w.placeOf(organisation, fmt.Sprint(organisation, i, " ", n), to, "x")
						if errors.Is(err, orders.ErrBusy) {
							time.Sleep(fastly)
						} else {
							w.mu.Lock()
							*sent++
							w.mu.Unlock()
						}
					}
				})
			}
		}
		var slow, quick int
		flood("slow", hung, &slow)
		synctest.Wait()
		flood("quick", fast, &quick)
		w.wg.Wait()
		if want := 5 * int(10*time.Second/fastly); quick < want*8/10 || quick > want*12/10 {
			t.Errorf("the quick organisation sent %d orders; half of the lane is %d", quick, want)
		}
		if want := 5 * int(10*time.Second/slowly); slow < want*8/10 || slow > want*12/10 {
			t.Errorf("the slow organisation sent %d orders; half of the lane is %d", slow, want)
		}
	})
}

// What is at work is shared too: an organisation that floods every lane delays an order of another
// one by one turn.
func TestOrganisationsShareTheProcessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &carriers{takes: map[orders.Recipient]time.Duration{}}
		c.Window = 100
		j := &slowJournal{memory: newMemory(), takes: 50 * time.Millisecond}
		c.Sends(func(context.Context, orders.Message) orders.Handover {
			return orders.Handover{Outcome: handover.Unknown}
		})
		w := newLoad(t, c, orders.Config{AtWork: 4, Journal: j})
		for i := range 4 { // as many lanes
			for n := range 20 {
				w.wg.Go(func() { w.placeOf("greedy", fmt.Sprint(i, " ", n), orders.Recipient(fmt.Sprint("+479000000", i)), "x") })
			}
		}
		synctest.Wait()
		began := time.Now()
		if err := w.placeOf("modest", "m", fast, "x"); err != nil || time.Since(began) > 3*j.takes {
			t.Errorf("the other organisation: %v after %v", err, time.Since(began))
		}
		w.wg.Wait()
	})
}

// slowJournal takes a time for each call.
type slowJournal struct {
	*memory
	takes time.Duration
}

func (j *slowJournal) Accept(ctx context.Context, in orders.AcceptRequest) (orders.Shipment, bool, error) {
	time.Sleep(j.takes)
	return j.memory.Accept(ctx, in)
}

// In a full queue, the organisation with the most loses its newest orders to one that has less.
func TestFullQueueIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLoad(t, newCarriers(1, 50*time.Millisecond), orders.Config{AtWork: 1})
		w.place(t.Context(), "before", fast)
		synctest.Wait()
		large := strings.Repeat("x", 1<<20)
		refused := make(chan int, 40)
		greedy := func(i int) {
			w.wg.Go(func() {
				if err := w.placeOf("greedy", fmt.Sprint(i), fast, large); errors.Is(err, orders.ErrBusy) {
					refused <- i
				}
			})
			synctest.Wait()
		}
		for i := range 31 { // 32 MiB, each with some octets more
			greedy(i)
		}
		if len(refused) != 0 {
			t.Fatalf("%d refused before the queue is full", len(refused))
		}
		began := time.Now()
		sent := make(chan error, 2)
		for i := range cap(sent) {
			w.wg.Go(func() { sent <- w.placeOf("modest", fmt.Sprint("modest", i), fast, large) })
			synctest.Wait()
		}
		if len(refused) != 2 || <-refused != 30 || <-refused != 29 {
			t.Errorf("refused others than the two newest")
		}
		greedy(31)
		if len(refused) != 1 || <-refused != 31 {
			t.Error("the organisation with the most still got room")
		}
		for range cap(sent) {
			if err := <-sent; err != nil {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		}
		if took := time.Since(began); took > 250*time.Millisecond {
			t.Errorf("the other organisation's two took %v: more than every other turn", took)
		}
		w.wg.Wait()
	})
}
