package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"straks/codes"
	"straks/internal/handover"
	"straks/orders"
)

// TestFeedBarrier: the pages of a feed wait for one write together, not for one each; a new entry needs another.
func TestFeedBarrier(t *testing.T) {
	t.Parallel()
	opt := made(t)
	opt.Log = quiet()
	j := open(t, opt)
	defer j.Close()
	entries := func(from, to int) {
		var answers []orders.Event
		for i := from; i < to; i++ {
			s, _, err := j.Accept(t.Context(), order(fmt.Sprint(i)))
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, orders.Answer{Shipment: s.ID, Claim: s.Claim, At: s.Accepted, Outcome: handover.Accepted, Carrier: "telco", Total: 1,
				Parts: []orders.PartAnswer{{Refs: []string{s.ID.String()}, Taken: true}}})
		}
		if _, err := j.Apply(t.Context(), answers); err != nil {
			t.Fatal(err)
		}
	}
	read := func(descending bool) (n int) {
		for q := (orders.FeedQuery{Organisation: "ttd", Limit: 5, Descending: descending}); ; {
			page, err := j.Feed(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				return n
			}
			n += len(page)
			q.Seq = page[len(page)-1].Seq
		}
	}
	barriers := func(want int) {
		t.Helper()
		if n := ask(t, opt, "select coalesce(sum(n), 0) from straks.fence"); n != want {
			t.Errorf("%d barriers, want %d", n, want)
		}
	}
	entries(0, 40)
	if n := read(false); n != 40 {
		t.Errorf("%d entries", n)
	}
	barriers(1)
	if n := read(true); n != 40 {
		t.Errorf("%d entries, from the last", n)
	}
	barriers(1)
	entries(40, 41)
	if n := read(false); n != 41 {
		t.Errorf("%d entries", n)
	}
	barriers(2)
}

// TestFeedWithoutAHead: a failover that takes back what was committed may take back the head of a feed that a node knows of.
// No entry is left out then.
func TestFeedWithoutAHead(t *testing.T) {
	t.Parallel()
	j := open(t, made(t))
	defer j.Close()
	for i := range 2 {
		s, _, err := j.Accept(t.Context(), order(fmt.Sprint(i)))
		if err == nil {
			_, err = j.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: s.Accepted, Outcome: handover.Accepted, Carrier: "telco",
				Total: 1, Parts: []orders.PartAnswer{{Refs: []string{s.ID.String()}, Taken: true}}}})
		}
		if err != nil {
			t.Fatal(err)
		}
		page, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: "ttd", Limit: 5})
		if err != nil || len(page) != 1 || page[0].Shipment.ID != s.ID {
			t.Fatalf("%+v, %v", page, err)
		}
		for _, table := range []string{"feed", "feed_head"} {
			if _, err := j.pool.Exec(t.Context(), "delete from "+table); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestBeyondNewest: that a number is beyond the newest one of a feed is said by a server that can write only. A former primary
// that wakes up lacks what has been written since.
func TestBeyondNewest(t *testing.T) {
	t.Parallel()
	c, opt := ownServer(t, nil)
	j := open(t, opt)
	defer j.Close()
	server := c.Servers[0]
	reads := map[string]func(context.Context) error{
		"orders": func(ctx context.Context) error {
			_, err := j.Feed(ctx, orders.FeedQuery{Organisation: "ttd", Seq: 9, Limit: 1})
			return err
		},
		"verifications": func(ctx context.Context) error {
			return j.ViewCodes(ctx, func(r codes.Reader) error {
				_, err := r.Feed("ttd", 9, 1, false)
				return err
			})
		},
	}
	var beyond *orders.BeyondNewestError
	for _, standby := range []string{"", "nobody", ""} {
		waitFor(t, server, standby)
		for name, read := range reads {
			ctx, cancel := context.WithCancel(t.Context())
			got := make(chan error, 1)
			go func() { got <- read(ctx) }()
			if standby != "" {
				eventually(t, name+": no write", func() bool {
					n, err := server.SQL(t.Context(), "select count(*) from pg_stat_activity where wait_event = 'SyncRep' and application_name = 'straks'")
					return err == nil && n != "0" || len(got) > 0
				})
				cancel()
			}
			if err := <-got; standby == "" && !errors.As(err, &beyond) || standby != "" && !errors.Is(err, orders.ErrUnavailable) {
				t.Errorf("%s, with %q: %v", name, standby, err)
			}
			cancel()
		}
	}
}
