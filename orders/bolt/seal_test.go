package bolt

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"straks/orders"
)

// schema4 unpacks a journal that a program of version 4 wrote: 40 settled orders with keys and
// references 0 to 39, one of twelve days before with both called "old", whose slots have filters, one in
// flight ("in flight"), a receipt that waits ("early"), a block of +4790000001, and a lifted one of
// +4790000002.
func schema4(t *testing.T) (path string) {
	t.Helper()
	packed, err := os.Open("testdata/schema4.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	z, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(z)
	path = filepath.Join(t.TempDir(), "journal.db")
	if err = errors.Join(err, os.WriteFile(path, content, 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMigrationToSums: whatever a journal of version 4 has is there after the migration, with sums, and
// wherever the migration was killed.
func TestMigrationToSums(t *testing.T) {
	t.Parallel()
	path := schema4(t)
	wantRefused(t, path, ErrOutdated)
	var cuts []string
	opt := Options{Log: quiet, migrateStep: 40, commit: func(tx *bbolt.Tx) error {
		err := tx.Commit()
		cuts = append(cuts, copyFile(t, path))
		return err
	}}
	if err := Migrate(t.Context(), path, opt); err != nil {
		t.Fatal(err)
	}
	if len(cuts) < 8 {
		t.Errorf("%d steps", len(cuts))
	}
	for i, cut := range cuts {
		if i < len(cuts)-1 {
			wantRefused(t, cut, ErrOutdated)
		}
		if err := Migrate(t.Context(), cut, Options{Log: quiet}); err != nil {
			t.Fatal(err)
		}
		wantOfSchema4(t, cut)
	}
}

func wantOfSchema4(t *testing.T, path string) {
	t.Helper()
	j := mustOpen(t, path, Options{Log: quiet})
	defer j.Close()
	check(t, j)
	want := map[string]orders.Status{"old": orders.SMSDelivered, "in flight": orders.SMSSending}
	for i := range 40 {
		want[strconv.Itoa(i)] = orders.SMSDelivered
	}
	for key, status := range want {
		if s, claimed, err := j.Accept(t.Context(), acceptRequest(key)); err != nil || claimed || s.Status != status {
			t.Errorf("key %q: %v, claimed %v, %v", key, s.Status, claimed, err)
		}
	}
	for number, status := range map[string]orders.Status{"+4790000001": orders.SMSFailedRecipientReserved, "+4790000002": orders.SMSSending} {
		in := acceptRequest(number)
		in.Recipient = orders.Recipient(number)
		if s, claimed, err := j.Accept(t.Context(), in); err != nil || s.Status != status {
			t.Errorf("%s: %v, claimed %v, %v", number, s.Status, claimed, err)
		}
	}
	order(t, j, "new")
	sending, _, err := j.Known(t.Context(), "ttd", "in flight", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	eff, err := j.Apply(t.Context(), []orders.Event{accepted(sending, "early")})
	if err != nil || eff[0].Shipment.Status != orders.SMSDelivered {
		t.Errorf("the receipt that waited: %v, %v", eff[0].Shipment.Status, err)
	}
	if page, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: "ttd", Limit: 1000}); err != nil || len(page) < 82 {
		t.Errorf("%d feed entries, %v", len(page), err)
	}
	sweepAll(t, j, time.Now())
	if ranges(t, j) == 0 {
		t.Error("no filter was built")
	}
	check(t, j)
}

// TestVersionThatHasChanged: a bit of the schema's version never makes a journal one of an older
// version: its migration would spoil it.
func TestVersionThatHasChanged(t *testing.T) {
	j, path := newJournal(t, Options{})
	order(t, j, "k")
	j.Close()
	for bit := range 32 {
		copied := copyFile(t, path)
		db := rawDB(t, copied)
		if err := db.Update(func(tx *bbolt.Tx) error {
			v := append([]byte(nil), tables{tx: tx}.meta().Get(keySchema)...)
			v[bit/8] ^= 1 << (bit % 8)
			return tables{tx: tx}.meta().Put(keySchema, v)
		}); err != nil {
			t.Fatal(err)
		}
		db.Close()
		if err := Migrate(t.Context(), copied, Options{Log: quiet}); err == nil || !strings.Contains(err.Error(), "version") {
			t.Errorf("bit %d: %v", bit, err)
		}
	}
}
