package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"straks/codes"
	"straks/internal/handover"
	"straks/orders"
	"straks/orders/bolt"
	"straks/orders/journaltest"
	"straks/orders/ledger"
	"straks/orders/sealed"
)

// boltJournal fills a journal in a file, asks it with look, and returns it closed, for reading.
func boltJournal(t *testing.T, look func(*bolt.Journal)) *bolt.ReadOnly {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := bolt.Create(path, bolt.Options{FeedStart: 1000}); err != nil {
		t.Fatal(err)
	}
	j, err := bolt.Open(path, bolt.Options{StallAfter: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	journaltest.Fill(t, j)
	fillCodes(t, j)
	look(j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := bolt.OpenReadOnly(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// fillCodes stores verifications, whose records mean nothing, and a feed of them.
func fillCodes(t *testing.T, j codes.Store) {
	t.Helper()
	if err := j.UpdateCodes(t.Context(), func(tx codes.Tx) error {
		for i, table := range codes.Tables() {
			for n := range 3 {
				if err := tx.Put(table, []byte{byte(n)}, bytes.Repeat([]byte{0}, 4*i+n), time.UnixMicro(int64(1e15+n))); err != nil {
					return err
				}
			}
		}
		return errors.Join(tx.Append("ttd", time.UnixMicro(1e15), []byte("a")), tx.Append("ttd", time.UnixMicro(1e15+1), []byte("b")), tx.Append("brg", time.UnixMicro(1e15), nil))
	}); err != nil {
		t.Fatal(err)
	}
}

// codesOf returns all that fillCodes has stored.
func codesOf(t *testing.T, j codes.Store) (all []string) {
	t.Helper()
	if err := j.ViewCodes(t.Context(), func(r codes.Reader) error {
		for _, table := range codes.Tables() {
			keys, next, err := r.Due(table, time.UnixMicro(1e15+1), 10)
			if err != nil {
				return err
			}
			all = append(all, fmt.Sprint(string(table), keys, next.UnixMicro()))
			for n := range 3 {
				record, err := r.Get(table, []byte{byte(n)})
				if err != nil {
					return err
				}
				all = append(all, fmt.Sprint(record))
			}
		}
		for _, org := range []string{"ttd", "brg"} {
			page, err := r.Feed(org, 1000, 10, false)
			if err != nil {
				return err
			}
			all = append(all, fmt.Sprint(org, page))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func nothing(int64) {}

// take takes over the tables that are left, up to a number of them.
func take(t *testing.T, opt Options, source Source, most int) (all []Moved) {
	t.Helper()
	opt.FeedStart = 1000
	m, err := NewImport(t.Context(), opt, source)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, table := range ledger.AllTables()[:most] {
		moved, err := m.Take(t.Context(), table, nothing)
		if err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		all = append(all, moved)
	}
	if most == len(ledger.AllTables()) {
		if err := m.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// journalState is what both engines say of what they have.
type journalState struct {
	feeds   map[string][]orders.FeedEntry
	blocks  []orders.Block
	cursors []orders.Cursor
	all     []orders.Shipment
}

func stateOf(t *testing.T, j interface {
	orders.Journal
	orders.Cursors
}) (s journalState) {
	t.Helper()
	s.feeds = make(map[string][]orders.FeedEntry)
	for _, org := range []string{"ttd", "brg"} {
		feed, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: org, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for i, e := range feed {
			shipment, err := j.Shipment(t.Context(), org, e.Shipment.ID)
			if err != nil {
				t.Fatal(err)
			}
			s.all = append(s.all, shipment)
			brief := e.Shipment // what an entry must have
			feed[i].Shipment = orders.Shipment{ID: brief.ID, OrderID: brief.OrderID, Organisation: brief.Organisation, SendersReference: brief.SendersReference,
				Recipient: brief.Recipient, Channel: brief.Channel, Status: brief.Status, Accepted: brief.Accepted, Updated: brief.Updated}
		}
		s.feeds[org] = feed
	}
	page, err := j.Blocks(t.Context(), orders.BlockQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	s.blocks = page.Blocks
	slices.SortFunc(s.blocks, func(a, b orders.Block) int { return strings.Compare(string(a.Recipient), string(b.Recipient)) })
	if s.cursors, err = j.Cursors(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMove takes a filled journal over, with a break after some tables, and compares entry by entry what both say. Then it
// goes on with it: keys are known, receipts match, numbers of feeds go on.
func TestMove(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testMove(t, sealed.Keys{}) })
	t.Run("sealed", func(t *testing.T) { testMove(t, newKeys()) })
}

func testMove(t *testing.T, keys sealed.Keys) {
	t.Parallel()
	var want journalState
	var wantCodes []string
	var known orders.Shipment
	r := boltJournal(t, func(j *bolt.Journal) {
		want, wantCodes = stateOf(t, j), codesOf(t, j)
		known, _, _ = j.Known(t.Context(), "ttd", "0-taken", time.Now())
	})
	opt := Options{DSN: database(t), Keys: keys, Log: slog.New(slog.DiscardHandler)}
	take(t, opt, r.Contents, 3)
	if _, err := Open(t.Context(), opt); !errors.Is(err, ErrMoving) {
		t.Errorf("opened in the middle: %v", err)
	}
	if err := Check(t.Context(), opt, nothing); !errors.Is(err, ErrMoving) {
		t.Errorf("checked in the middle: %v", err)
	}
	for i, m := range take(t, opt, r.Contents, len(ledger.AllTables())) {
		if m.Before != (i < 3) || m.Records == 0 {
			t.Errorf("%+v", m)
		}
	}
	if _, err := NewImport(t.Context(), opt, r.Contents); !errors.Is(err, ErrExists) {
		t.Errorf("moved twice: %v", err)
	}
	j, err := Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if j.sealing.resealing() {
		t.Error("what was sealed on its way would be sealed again")
	}
	got := stateOf(t, j)
	for name, pair := range map[string][2]any{"feeds": {got.feeds, want.feeds}, "shipments": {got.all, want.all}, "blocks": {got.blocks, want.blocks}, "cursors": {got.cursors, want.cursors}} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s:\n%+v\nwant\n%+v", name, pair[0], pair[1])
		}
	}
	if got := codesOf(t, j); !reflect.DeepEqual(got, wantCodes) {
		t.Errorf("verifications:\n%q\nwant\n%q", got, wantCodes)
	}
	if text := dump(t, opt); bytes.Contains(text, []byte("99999999")) != (keys.Current == nil) || bytes.Contains(text, []byte("@example.org")) != (keys.Current == nil) {
		t.Error("whether recipients are in the tables does not go by the keys")
	}
	goesOn(t, j, known)
	if err := Check(t.Context(), opt, nothing); err != nil {
		t.Error(err)
	}
}

// TestMoveOldBlock: an entry of a block list that does not say whose it is, as an old version has made it, stays under its
// plain hash. So such hashes are looked for.
func TestMoveOldBlock(t *testing.T) {
	t.Parallel()
	r := boltJournal(t, func(*bolt.Journal) {})
	h := plainBlock("ttd", orders.SMS, journaltest.SecretNumber)
	source := func(ctx context.Context, table ledger.Table, visit func(ledger.Record) error) error {
		if table == ledger.TableBlocks {
			if err := visit(ledger.BlockRecord{Hash: h[:], Block: orders.Block{Source: orders.BlockedByOperator, At: time.Now().UTC()}}); err != nil {
				return err
			}
		}
		return r.Contents(ctx, table, visit)
	}
	opt := realTime(t)
	opt.DSN, opt.Keys = database(t), newKeys()
	take(t, opt, source, len(ledger.AllTables()))
	j := open(t, opt)
	defer j.Close()
	page, err := j.Blocks(t.Context(), orders.BlockQuery{Organisation: "ttd", Channel: orders.SMS, Recipient: journaltest.SecretNumber})
	if err != nil || len(page.Blocks) != 1 || !j.sealing.resealing() {
		t.Errorf("%+v, %v; looked for: %v", page.Blocks, err, j.sealing.resealing())
	}
}

// goesOn uses what was moved. known is of the key "0-taken".
func goesOn(t *testing.T, j *Journal, known orders.Shipment) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	if s, ok, err := j.Known(ctx, "ttd", "0-taken", now); err != nil || !ok || s.ID != known.ID {
		t.Errorf("a key: %v, %v, %v", s.ID, ok, err)
	}
	if s, ok, err := j.Known(ctx, "ttd", "3-free", now); err != nil || ok {
		t.Errorf("a key that is free: %v, %v, %v", s.ID, ok, err)
	}
	long := strings.Repeat("y", 150)
	effects, err := j.Apply(ctx, []orders.Event{
		orders.Report{Carrier: "telco", Refs: []string{"5-id"}, At: now, Status: orders.SMSDelivered},
		orders.Report{Carrier: "telco", Refs: []string{"other " + long + "5-"}, At: now, Status: orders.SMSFailed},
	})
	if err != nil || !effects[0].Found || !effects[1].Parked && !effects[1].Found {
		t.Fatalf("receipts: %+v, %v", effects, err)
	}
	ended, err := j.Abandoned(ctx)
	if err != nil || len(ended) != 1 || ended[0].Status != orders.SMSSending {
		t.Errorf("abandoned: %+v, %v", ended, err)
	}
	feed, err := j.Feed(ctx, orders.FeedQuery{Organisation: "ttd", Limit: 1, Descending: true})
	if err != nil || len(feed) != 1 || feed[0].Shipment.Status != orders.SMSDelivered {
		t.Errorf("the feed goes on with %+v, %v", feed, err)
	}
}

// TestCheck breaks what Check must find, each in a transaction of its own.
func TestCheck(t *testing.T) {
	t.Parallel()
	r := boltJournal(t, func(*bolt.Journal) {})
	opt := Options{DSN: database(t), Log: slog.New(slog.DiscardHandler)}
	take(t, opt, r.Contents, len(ledger.AllTables()))
	if err := Check(t.Context(), opt, nothing); err != nil {
		t.Fatalf("a journal that is whole: %v", err)
	}
	conn, err := pgx.Connect(t.Context(), opt.DSN)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for says, damage := range map[string]string{
		"its key is unknown":            "delete from straks.keys where shipment in (select id from straks.shipments where status in (select status from straks.feed) limit 1)",
		"follows":                       "delete from straks.feed where seq = 1003",
		"ends with":                     "update straks.feed_head set seq = seq + 7",
		"is not theirs":                 "update straks.feed set organisation = 'brg', seq = seq + 5000 where organisation = 'ttd' and seq = 1001",
		"another status than":           "update straks.feed f set status = 200 where seq = (select max(seq) from straks.feed g where g.shipment = f.shipment) and organisation = 'ttd'",
		"no entry":                      "delete from straks.feed where shipment = (select shipment from straks.feed order by seq desc limit 1)",
		"waits for a report that is":    "delete from straks.parked",
		"no reference leads to it":      "update straks.refs set parked = null",
		"says something else":           "update straks.shipments set deadline = deadline + interval '1 s'",
		"corrupt: shipment":             "update straks.shipments set record = substring(record for 20)",
		"corrupt: parked report":        "update straks.parked set record = ''",
		"lies among those of":           "update straks.parked set carrier = 'nobody'",
		"is kept for ever":              "update straks.blocked set gone = null",
		"and the feed's newest number":  "delete from straks.feed; delete from straks.feed_head; update straks.meta set feed_start = 0; delete from straks.shipments",
		"slot of telco, and is unknown": "insert into straks.slots (smsc, n, node, epoch) values ('telco', 1, 77, 1)",
		"corrupt: block":                "update straks.blocked set record = 'x'",
		"corrupt: cursor":               "update straks.cursors set record = ''",
		`cursor "verifications/`:        "update straks.cursors set name = 'verifications/' || name; delete from straks.code_head; update straks.meta set feed_start = 0",
	} {
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(t.Context(), damage); err != nil {
			t.Fatalf("%s: %v", damage, err)
		}
		if _, err := tx.Exec(t.Context(), "set local search_path = straks"); err != nil {
			t.Fatal(err)
		}
		if err := checkAll(t.Context(), tx, nil, nothing); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s:\nfound %v\nwant %q", damage, err, says)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCheckAfterRetention: retention may take the entries of a feed before their shipments.
func TestCheckAfterRetention(t *testing.T) {
	t.Parallel()
	opt := Options{DSN: database(t), Log: slog.New(slog.DiscardHandler)}
	if err := Create(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	j := open(t, opt)
	defer j.Close()
	for i := range 3 {
		s, _, err := j.Accept(t.Context(), order(fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := j.Apply(t.Context(), []orders.Event{orders.Answer{Shipment: s.ID, Claim: s.Claim, At: j.Now(), Outcome: handover.Accepted, Carrier: "telco", Total: 1,
			Parts: []orders.PartAnswer{{Refs: []string{fmt.Sprint("ref", i)}, Taken: true}}}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // ids have milliseconds
	}
	if _, err := j.pool.Exec(t.Context(), "delete from feed where seq < (select max(seq) from feed)"); err != nil {
		t.Fatal(err)
	}
	if err := Check(t.Context(), opt, nothing); err != nil {
		t.Error(err)
	}
}

// TestJump: with a key too, each feed goes on a million later, which Check takes for no fault, and no node may run meanwhile.
func TestJump(t *testing.T) {
	t.Parallel()
	r := boltJournal(t, func(*bolt.Journal) {})
	opt := Options{DSN: database(t), Keys: newKeys(), Log: slog.New(slog.DiscardHandler)}
	take(t, opt, r.Contents, len(ledger.AllTables()))
	before, err := ReadStats(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	j, err := Open(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	last, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: "ttd", Limit: 1, Descending: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Jump(t.Context(), opt); err == nil || !strings.Contains(err.Error(), "1 nodes run") {
		t.Errorf("while a node runs: %v", err)
	}
	j.Close()
	if n, err := Jump(t.Context(), opt); n != 2 || err != nil {
		t.Fatalf("%d feeds, %v", n, err)
	}
	if j, err = Open(t.Context(), opt); err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if _, err := j.Apply(t.Context(), []orders.Event{orders.Report{Carrier: "telco", Refs: []string{"5-id"}, At: time.Now(), Status: orders.SMSDelivered}}); err != nil {
		t.Fatal(err)
	}
	next, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: "ttd", Limit: 1, Descending: true})
	if err != nil || next[0].Seq != last[0].Seq+1_000_001 {
		t.Errorf("after %d comes %d, %v", last[0].Seq, next[0].Seq, err)
	}
	if err := Check(t.Context(), opt, nothing); err != nil {
		t.Error(err)
	}
	after, err := ReadStats(t.Context(), opt)
	if err != nil || after.ID == before.ID || !after.Primary || after.Feeds != 2 || len(after.Nodes) != 1 || !after.Nodes[0].Live {
		t.Errorf("stats: %+v, %v", after, err)
	}
	for _, table := range after.Tables {
		if table.Name == "shipments" && (table.Octets == 0 || table.Partitions == 0) {
			t.Errorf("%+v", table)
		}
	}
}
