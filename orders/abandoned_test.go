package orders_test

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"straks/internal/handover"
	"straks/internal/logtest"
	"straks/orders"
	"straks/orders/bolt"
	"straks/orders/bolt/bolttest"
	"straks/orders/orderstest"
)

// TestMatchesAfterOutage: a look for reports that took long, since the journal could not be reached, does not put off the
// next one for long, nor the looks for claims of processes that have ended.
func TestMatchesAfterOutage(t *testing.T) {
	for name, lasts := range map[string]time.Duration{"that ends": 25 * time.Second, "without a word": 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stored := bolttest.New(t)
				first, _, err := stored.Accept(t.Context(), orderstest.AcceptRequest("killed"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := stored.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: first.ID, Claim: first.Claim, At: time.Now(), Outcome: handover.Unknown}}); err != nil {
					t.Fatal(err)
				}
				j := &away{Journal: stored}
				j.lasts.Store(int64(lasts))
				s := orders.NewService(orders.Config{Journal: j, SMS: &orderstest.Carrier{}, Organisations: []string{"ttd"}, Log: slog.New(slog.DiscardHandler)})
				ctx, stop := running(t, s)
				defer stop()
				received := make(chan error, 1)
				r := orders.Report{Carrier: "telco", Refs: []string{"id:1"}, At: time.Now().UTC(), Status: orders.SMSDelivered, Recipient: "4799999999", ByRecipient: true}
				if err := s.Receive(r, func(err error) { received <- err }); err != nil || <-received != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				looks := j.looks.Load()
				time.Sleep(30 * time.Second)
				if now, err := s.Shipment(ctx, "ttd", first.ID); err != nil || now.Status != orders.SMSDelivered {
					t.Errorf("%v, %v", now.Status, err)
				}
				if n := j.looks.Load() - looks; n < 4 {
					t.Errorf("%d looks for claims in 30 s", n)
				}
			})
		})
	}
}

// away is a journal that can't be reached at the first look for reports: that waits.
type away struct {
	orders.Journal
	lasts atomic.Int64
	looks atomic.Int64 // for claims
}

func (j *away) Abandoned(ctx context.Context) ([]orders.Shipment, error) {
	j.looks.Add(1)
	return j.Journal.Abandoned(ctx)
}

func (j *away) Matches(ctx context.Context, before, now time.Time, limit int) ([]orders.Match, error) {
	select {
	case <-time.After(time.Duration(j.lasts.Swap(0))):
		return j.Journal.Matches(ctx, before, now, limit)
	case <-ctx.Done():
		return nil, orders.ErrUnavailable
	}
}

// TestAbandoned has a process end with an order in flight. The next one settles it by a receipt with an
// unknown id, but not while another order to the same recipient is in flight; and logs who it was.
func TestAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := t.TempDir() + "/journal.db"
		if err := bolt.Create(path, bolt.Options{}); err != nil {
			t.Fatal(err)
		}
		j, err := bolt.Open(path, bolt.Options{StallAfter: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		first, _, err := j.Accept(t.Context(), orderstest.AcceptRequest("killed"))
		if err != nil {
			t.Fatal(err)
		}
		j.Close()
		if j, err = bolt.Open(path, bolt.Options{StallAfter: time.Hour}); err != nil {
			t.Fatal(err)
		}
		defer j.Close()

		var log logtest.Log
		reg := prometheus.NewRegistry()
		answer := make(chan struct{})
		carrier := &orderstest.Carrier{}
		carrier.Sends(func(context.Context, orders.Message) orders.Handover {
			<-answer
			return orders.Handover{Outcome: handover.Accepted, Carrier: "telco", Bind: "telco/1", Encoding: "gsm", Total: 1,
				Parts: []orders.PartAnswer{{Refs: []string{"id:2"}, Taken: true}}, Slot: time.Now(), Written: time.Now(), Answered: time.Now()}
		})
		s := orders.NewService(orders.Config{Journal: j, SMS: carrier, Registerer: reg, Organisations: []string{"ttd"},
			HintForms: map[string][]string{"telco": nil}, Log: slog.New(slog.NewJSONHandler(&log, nil)), SendDeadline: 20 * time.Second})
		ctx, stop := running(t, s)
		defer stop()
		time.Sleep(time.Second)
		if again, created, err := s.Place(ctx, orderstest.SMS("killed")); err != nil || created || again.ID != first.ID || again.Status != orders.SMSSending {
			t.Fatalf("a repeat: %+v, %v, %v", again, created, err)
		}

		placed := make(chan orders.Shipment)
		go func() {
			shipment, _, _ := s.Place(ctx, orderstest.SMS("next"))
			placed <- shipment
		}()
		for _, id := range []string{"id:1", "id:4799999999@"} {
			r := orders.Report{Carrier: "telco", Refs: []string{id}, At: time.Now().UTC(), Status: orders.SMSDelivered, Detail: "DELIVRD err:000",
				Recipient: "4799999999", ByRecipient: true}
			stored := make(chan error, 1)
			if err := s.Receive(r, func(err error) { stored <- err }); err != nil || <-stored != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(15 * time.Second) // less than a claim
		if now, _ := s.Shipment(ctx, "ttd", first.ID); now.Status != orders.SMSSending {
			t.Errorf("an order to the recipient is in flight: %v", now.Status)
		}
		close(answer)
		next := <-placed
		if at := next.Trace; at.Bind != "telco/1" || at.Encoding != "gsm" || at.Slot < 15*time.Second || at.Answered < at.Written {
			t.Errorf("trace %+v", at)
		}
		if sent := carrier.Sent(); len(sent) != 1 || sent[0].Reference != uint16(next.Claim[14])<<8|uint16(next.Claim[15]) {
			t.Errorf("sent %+v", sent)
		}
		time.Sleep(30 * time.Second)
		now, err := s.Shipment(ctx, "ttd", first.ID)
		if err != nil || now.Status != orders.SMSDelivered || now.Trace.Reported == 0 {
			t.Errorf("%+v, %v", now, err)
		}
		want := `"msg":"final status","shipment":"` + first.ID.String() + `","organisation":"ttd","status":"SMS_Delivered","smsc":"telco","message_id":"1","state":"DELIVRD","err":"000","since_accepted_ms":`
		if lines := log.String(); !strings.Contains(lines, want) || strings.Contains(lines, "99999") {
			t.Errorf("%s is not in the log, or a recipient is:\n%s", want, lines)
		}
		if got := counted(t, reg, "straks_receipts_matched_total", "smsc", "by"); got["telco recipient"] != 1 || len(got) != 1 {
			t.Errorf("matched: %v", got)
		}
		if got := counted(t, reg, "straks_status_changes_total", "smsc", "organisation"); got["telco ttd"] != 1 {
			t.Errorf("changes: %v", got)
		}
	})
}

// running runs a service until stop, which waits for its end.
func running(t *testing.T, s *orders.Service) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	return ctx, func() {
		cancel()
		<-ended
	}
}
