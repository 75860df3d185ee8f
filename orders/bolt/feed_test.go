package bolt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"straks/orders"
)

// TestFeedOfNobody: a call that steps over very many entries, since their shipments are
// gone, ends when nobody waits for it any more.
func TestFeedOfNobody(t *testing.T) {
	j, _ := newJournal(t, Options{})
	order(t, j, "k")
	spoil(t, j, func(w *writeTx) error {
		feed := w.feed().Bucket([]byte("ttd"))
		gone := entry{shipment: uuid.Must(uuid.NewV7()), status: orders.SMSAccepted}
		var err error
		for seq := range uint64(feedLook) {
			err = errors.Join(err, feed.Put(seqKey(seq+3), encodeEntry(nil, feedScope([]byte("ttd")), seqKey(seq+3), gone)))
		}
		return err
	})
	q := orders.FeedQuery{Organisation: "ttd", Limit: 10}
	if page, err := j.Feed(t.Context(), q); err != nil || len(page) != 2 {
		t.Errorf("%d entries, %v", len(page), err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := j.Feed(gone, q); !errors.Is(err, context.Canceled) || !errors.Is(err, orders.ErrUnavailable) {
		t.Errorf("nobody waits: %v", err)
	}
}

// TestFeedStart: the numbers of every feed begin above the start, also in a copy, after a compaction and
// after a migration, of organisations that come later.
func TestFeedStart(t *testing.T) {
	const start = 41
	j, path := newJournal(t, Options{FeedStart: start})
	first := func(j *Journal, organisation string) {
		t.Helper()
		in := acceptRequest(organisation)
		in.Organisation = organisation
		s := place(t, j, in)
		if _, err := j.Apply(t.Context(), []orders.Event{accepted(s, "ref-"+organisation)}); err != nil {
			t.Fatal(err)
		}
		page, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: organisation, Seq: start, Limit: 10})
		if err != nil || len(page) != 1 || page[0].Seq != start+1 {
			t.Errorf("%s: %v, %v; want one entry, %d", organisation, page, err, start+1)
		}
		var beyond *orders.BeyondNewestError
		if _, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: "none", Seq: start + 1, Limit: 1}); !errors.As(err, &beyond) || beyond.Newest != start {
			t.Errorf("beyond the start: %v", err)
		}
		if _, err := j.Feed(t.Context(), orders.FeedQuery{Organisation: "none", Seq: start, Limit: 1}); err != nil {
			t.Errorf("at the start: %v", err)
		}
		if st, err := j.Stats(t.Context()); err != nil || st.FeedStart != start {
			t.Errorf("stats: %+v, %v", st, err)
		}
		if err := j.Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	first(j, "ttd")
	first(j, "another")
	var b bytes.Buffer
	if err := j.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	j.Close()
	dir := t.TempDir()
	copied, compacted, old := filepath.Join(dir, "copy"), filepath.Join(dir, "compact"), filepath.Join(dir, "old")
	if err := errors.Join(os.WriteFile(copied, b.Bytes(), 0o600), Compact(path, compacted, Options{}), Create(old, Options{FeedStart: start})); err != nil {
		t.Fatal(err)
	}
	db := rawDB(t, old)
	withoutSums(t, db)
	setVersion(t, db, 4)
	db.Close()
	if err := Migrate(t.Context(), old, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{copied, compacted, old} {
		j := mustOpen(t, path, Options{})
		first(j, "later")
		spoil(t, j, func(w *writeTx) error {
			return w.feed().Bucket([]byte("later")).Put(seqKey(start), encodeEntry(nil, feedScope([]byte("later")), seqKey(start), entry{}))
		})
		if err := j.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "where numbers begin") {
			t.Errorf("an entry below the start: %v", err)
		}
		j.Close()
	}
}

func TestFeedStartIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := Create(path, Options{FeedStart: MaxFeedStart + 1}); err == nil {
		t.Error("numbers that JSON readers can't hold")
	}
	if err := Create(path, Options{FeedStart: MaxFeedStart}); err != nil {
		t.Error(err)
	}
}
