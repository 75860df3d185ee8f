package bolt

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"straks/orders"
	"straks/orders/journaltest"
	"straks/orders/ledger"
	"straks/orders/sealed"
)

// TestContents: each record of a filled journal is there once, and what is referred to is there too; also with a key.
func TestContents(t *testing.T) {
	t.Run("plain", func(t *testing.T) { testContents(t, Options{}) })
	t.Run("sealed", func(t *testing.T) { testContents(t, keysOf(sealed.NewKey())) })
}

func testContents(t *testing.T, opt Options) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := Create(path, Options{FeedStart: 100}); err != nil {
		t.Fatal(err)
	}
	opt.StallAfter = time.Hour // no disk is too slow
	j, err := Open(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	journaltest.Fill(t, j)
	feed, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: "ttd", Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := j.Blocks(t.Context(), orders.BlockQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if opt.Keys.Current != nil {
		r, err := OpenReadOnly(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Contents(t.Context(), ledger.TableShipments, func(ledger.Record) error { return nil }); err == nil {
			t.Error("without its key, a sealed journal gives its records away")
		}
		r.Close()
	}
	r, err := OpenReadOnly(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()

	all := make(map[ledger.Table][]ledger.Record)
	for _, table := range ledger.AllTables() {
		if err := r.Contents(t.Context(), table, func(record ledger.Record) error {
			all[table] = append(all[table], record)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	shipments, parked := make(map[uuid.UUID]orders.Shipment), make(map[ledger.ParkedID]bool)
	for _, record := range all[ledger.TableShipments] {
		s := record.(ledger.ShipmentRecord).Shipment
		shipments[s.ID] = s
	}
	for _, record := range all[ledger.TableParked] {
		parked[record.(ledger.ParkedRecord).ID] = true
	}
	for _, record := range all[ledger.TableKeys] {
		if key := record.(ledger.KeyRecord); shipments[key.Shipment].ID != key.Shipment || len(key.Hash) != hashSize {
			t.Errorf("key %+v", key)
		}
	}
	long := 0
	for _, record := range all[ledger.TableRefs] {
		ref := record.(ledger.RefRecord)
		if ref.Ref.Parked != "" && !parked[ref.Ref.Parked] || ref.Ref.Parked == "" && shipments[ref.Ref.Bound.Shipment].Status == 0 {
			t.Errorf("reference %+v leads nowhere", ref)
		}
		if len(ref.Name.Ref) > maxRef && strings.Trim(ref.Name.Ref, "xyother 0123456789-") == "" {
			long++
		}
	}
	if long != 12 {
		t.Errorf("%d long references, want 12", long)
	}
	entries := make(map[uint64]ledger.FeedRecord)
	for _, record := range all[ledger.TableFeed] {
		if e := record.(ledger.FeedRecord); e.Organisation == "ttd" {
			entries[e.Seq] = e
		}
	}
	for _, e := range feed {
		if got := entries[e.Seq]; got.Shipment != e.Shipment.ID || got.Status != e.Shipment.Status || !got.At.Equal(e.Shipment.Updated) {
			t.Errorf("feed entry %d: %+v, want %+v", e.Seq, got, e.Shipment)
		}
	}
	if len(all[ledger.TableKeys]) != len(shipments) || len(entries) != len(feed) || len(all[ledger.TableBlocks]) != len(blocks.Blocks) ||
		len(all[ledger.TableCursors]) != 2 || len(all[ledger.TableHeads]) != 2 || len(parked) != 12 {
		t.Errorf("%d keys of %d shipments, %d of %d feed entries, %d of %d blocks, %d cursors, %d heads, %d parked reports", len(all[ledger.TableKeys]),
			len(shipments), len(entries), len(feed), len(all[ledger.TableBlocks]), len(blocks.Blocks), len(all[ledger.TableCursors]), len(all[ledger.TableHeads]), len(parked))
	}
	if start, err := r.FeedStart(); start != 100 || err != nil {
		t.Errorf("feed start %d, %v", start, err)
	}
}
