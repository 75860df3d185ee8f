package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/internal/handover"
	"straks/internal/logtest"
	"straks/orders"
	"straks/orders/sealed"
)

// Recipients that must not be found in a file.
const (
	secretNumber  = orders.Recipient("+4798765432")
	secretAddress = orders.Recipient("Kari.Kanari@example.org")
)

// held is what put has stored about the two recipients.
type held struct{ accepted, unanswered, mail orders.Shipment }

// put stores both recipients wherever a journal can have one.
func put(t *testing.T, j *Journal) (h held) {
	t.Helper()
	ctx := t.Context()
	now := time.Now().UTC()
	accept := func(c orders.Channel, to orders.Recipient) orders.Shipment {
		in := acceptRequest(uuid.NewString())
		in.Channel, in.Recipient, in.At = c, to, now
		s, _, err := j.Accept(ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	apply := func(events ...orders.Event) {
		if _, err := j.Apply(ctx, events); err != nil {
			t.Fatal(err)
		}
	}
	h.accepted, h.unanswered, h.mail = accept(orders.SMS, secretNumber), accept(orders.SMS, secretNumber), accept(orders.Email, secretAddress)
	apply(
		orders.Answer{Shipment: h.accepted.ID, Claim: h.accepted.Claim, At: now, Outcome: handover.Accepted, Carrier: "telco", Total: 1,
			Parts: []orders.PartAnswer{{Refs: []string{"id:" + h.accepted.ID.String(), "um:4798765432:17"}, Taken: true}}},
		orders.Answer{Shipment: h.unanswered.ID, Claim: h.unanswered.Claim, At: now, Outcome: handover.Unknown, Carrier: "telco", Total: 1},
		orders.Answer{Shipment: h.mail.ID, Claim: h.mail.Claim, At: now, Outcome: handover.Accepted, Carrier: "mx", Total: 1, Parts: []orders.PartAnswer{{Taken: true}}},
		orders.Report{Carrier: "telco", Refs: []string{"id:unknown-" + h.accepted.ID.String(), "um:4798765432:18"}, IDs: 1, At: now, Status: orders.SMSDelivered, Recipient: secretNumber},
		orders.Block{Organisation: "nav", Channel: orders.SMS, Recipient: secretNumber, At: now, Source: orders.BlockedByPhone, Word: "STOP"},
		orders.Block{Organisation: "nav", Channel: orders.Email, Recipient: secretAddress, At: now, Source: orders.BlockedByBounce, Until: now.Add(24 * time.Hour), Times: 1},
		orders.Block{Organisation: "skd", Channel: orders.SMS, Recipient: secretNumber, At: now, Off: true, Source: orders.BlockedByOperator},
	)
	return h
}

// wantHeld: all that put has stored is found.
func wantHeld(t *testing.T, j *Journal, h held) {
	t.Helper()
	ctx := t.Context()
	for _, s := range []orders.Shipment{h.accepted, h.unanswered, h.mail} {
		if got, err := j.Shipment(ctx, s.Organisation, s.ID); err != nil || got.Recipient != s.Recipient {
			t.Errorf("shipment %v: recipient %q, %v", s.ID, string(got.Recipient), err)
		}
	}
	for to, n := range map[orders.Recipient]int{secretNumber: 2, orders.Recipient(strings.ToUpper(string(secretAddress))): 1, "+4790000000": 0} {
		if found, err := j.Find(ctx, orders.FindQuery{Recipient: to, Limit: 10}); err != nil || len(found) < n {
			t.Errorf("%q: found %d, %v", string(to), len(found), err)
		}
	}
	for _, q := range []orders.BlockQuery{
		{Organisation: "nav", Channel: orders.SMS, Recipient: secretNumber},
		{Organisation: "nav", Channel: orders.Email, Recipient: secretAddress},
		{Organisation: "skd", Channel: orders.SMS, Recipient: secretNumber},
	} {
		page, err := j.Blocks(ctx, q)
		if err != nil || len(page.Blocks) != 1 || page.Blocks[0].Blocks(time.Now()) != (q.Organisation == "nav") {
			t.Errorf("%v: %+v, %v", q, page.Blocks, err)
		}
	}
	for ref, to := range map[string]uuid.UUID{"um:4798765432:17": h.accepted.ID, "um:4798765432:18": uuid.Nil} {
		err := j.snapshots.view(func(t2 tables) error {
			k, v, err := t2.refs().refRecord(t2.refKeys("telco", ref))
			if err != nil {
				return err
			}
			r, err := decodeRef(k, v)
			if r.Bound.Shipment != to || (to == uuid.Nil) != (r.Parked != "") {
				t.Errorf("%s leads to %+v", ref, r)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	all, err := j.Blocks(ctx, orders.BlockQuery{Limit: 100})
	if err != nil || len(all.Blocks) != 3 {
		t.Errorf("%d entries in block lists, %v", len(all.Blocks), err)
	}
	check(t, j)
}

// wantNoRecipient: the file has neither recipient, nor a hash of one that anybody can make.
func wantNoRecipient(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b = bytes.ToLower(b)
	needles := map[string][]byte{"the number": []byte("8765432"), "the address": []byte("kari.kanari")}
	for _, organisation := range []string{"ttd", "nav", "skd"} {
		for c, to := range map[orders.Channel]orders.Recipient{orders.SMS: secretNumber, orders.Email: orders.BlockForm(orders.Email, secretAddress)} {
			needles[fmt.Sprintf("a plain hash (%s, %v)", organisation, c)] = bytes.ToLower(hash(organisation, c.String(), string(to)))
		}
	}
	for what, needle := range needles {
		if bytes.Contains(b, needle) {
			t.Errorf("%s is in %s", what, filepath.Base(path))
		}
	}
}

func keysOf(current sealed.Key, former ...sealed.Key) Options {
	k := sealed.Keys{Current: &current}
	if len(former) > 0 {
		k.Former = &former[0]
	}
	return Options{Keys: k}
}

// sealAll sweeps until every recipient is sealed with the current key, in steps of that many records.
func sealAll(t *testing.T, j *Journal, step int) {
	t.Helper()
	for range 10_000 {
		if _, err := j.Sweep(t.Context(), time.Now(), orders.Retention{All: 90 * 24 * time.Hour}, step); err != nil {
			t.Fatal(err)
		}
		if testutil.ToFloat64(j.metrics.resealing) == 0 {
			return
		}
	}
	t.Fatal("not everything was sealed")
}

// TestNoRecipientInTheFile: of a journal that is sealed from the start, no octet of the file ever has a recipient.
func TestNoRecipientInTheFile(t *testing.T) {
	t.Parallel()
	opt := keysOf(sealed.NewKey())
	j, path := newJournal(t, opt)
	h := put(t, j)
	wantHeld(t, j, h)
	wantNoRecipient(t, path)
	j = closeAndOpen(t, j, path, opt)
	wantHeld(t, j, h)
	var backup bytes.Buffer
	if err := j.Backup(t.Context(), &backup); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(copied, backup.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	wantNoRecipient(t, copied)
	j.Close()
	compacted := filepath.Join(t.TempDir(), "compacted.db")
	if err := Compact(path, compacted, Options{}); err != nil {
		t.Fatal(err)
	}
	wantNoRecipient(t, compacted)
	wantHeld(t, mustOpen(t, compacted, opt), h)
}

func closeAndOpen(t *testing.T, j *Journal, path string, opt Options) *Journal {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, path, opt)
}

// TestSealingWhatIsThere: what a journal had before it got its key is found all the while, is sealed by retention in small
// steps, across restarts, and leaves the file when that is compacted.
func TestSealingWhatIsThere(t *testing.T) {
	t.Parallel()
	j, path := newJournal(t, Options{})
	h := put(t, j)
	opt := keysOf(sealed.NewKey())
	for range 3 { // each process gets less far than all
		j = closeAndOpen(t, j, path, opt)
		if testutil.ToFloat64(j.metrics.resealing) != 1 {
			t.Error("the metric does not say that recipients are plain")
		}
		if _, err := j.Sweep(t.Context(), time.Now(), orders.Retention{All: 90 * 24 * time.Hour}, 4); err != nil {
			t.Fatal(err)
		}
		wantHeld(t, j, h)
	}
	if st, err := j.Stats(t.Context()); err != nil || st.Plain == 0 {
		t.Errorf("stats: %d plain, %v", st.Plain, err)
	}
	sealAll(t, j, 2)
	wantHeld(t, j, h)
	st, err := j.Stats(t.Context())
	if err != nil || st.Plain != 0 || st.Sealed[opt.Keys.Current.ID.String()] != 7 {
		t.Errorf("stats: %d plain, %v sealed, %v", st.Plain, st.Sealed, err)
	}
	wantMatch(t, j, h)
	j = closeAndOpen(t, j, path, opt)
	if testutil.ToFloat64(j.metrics.resealing) != 0 {
		t.Error("after a restart, all is sealed once more")
	}
	j.Close()
	compacted := filepath.Join(t.TempDir(), "compacted.db")
	if err := Compact(path, compacted, Options{}); err != nil {
		t.Fatal(err)
	}
	wantNoRecipient(t, compacted)
}

// wantMatch: a receipt that names only the recipient finds the unanswered shipment.
func wantMatch(t *testing.T, j *Journal, h held) {
	t.Helper()
	r := orders.Report{Carrier: "telco", Refs: []string{"id:elsewhere"}, IDs: 1, At: time.Now(), Status: orders.SMSDelivered, Recipient: secretNumber, ByRecipient: true, Whole: true,
		Submitted: h.unanswered.Accepted, Done: h.unanswered.Accepted.Add(time.Second)}
	if _, err := j.Apply(t.Context(), []orders.Event{r}); err != nil {
		t.Fatal(err)
	}
	err := j.snapshots.view(func(t2 tables) error {
		forms := 0
		c := t2.unanswered().Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if l, ok := decodeListing(k, v); ok && l.id == h.unanswered.ID && l.number == t2.numberForm(secretNumber.Number()) {
				forms++
			}
		}
		if forms != 1 {
			return fmt.Errorf("%d entries of the unanswered shipment", forms)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if found, err := j.Matches(t.Context(), time.Now().Add(time.Minute), time.Now().Add(time.Minute), 10); err != nil || len(found) != 1 || found[0].Shipment != h.unanswered.ID {
		t.Errorf("matches %v, %v", found, err)
	}
}

// TestKeyRotation: a journal opens with the new key and the former one, seals all with the new one, and needs the former one
// until it has.
func TestKeyRotation(t *testing.T) {
	t.Parallel()
	a, b := sealed.NewKey(), sealed.NewKey()
	j, path := newJournal(t, keysOf(a))
	h := put(t, j)
	j = closeAndOpen(t, j, path, keysOf(b, a))
	wantHeld(t, j, h)
	j.Close()
	if _, err := Open(path, keysOf(b)); err == nil || !strings.Contains(err.Error(), a.ID.String()) {
		t.Errorf("without the former key: %v", err)
	}
	log := new(logtest.Log)
	opt := keysOf(b, a)
	opt.Log = slog.New(slog.NewTextHandler(log, nil))
	j = mustOpen(t, path, opt)
	sealAll(t, j, 3)
	wantHeld(t, j, h)
	if !strings.Contains(log.String(), "former key is not needed") {
		t.Error("the log does not say that the former key may go")
	}
	j = closeAndOpen(t, j, path, keysOf(b))
	wantHeld(t, j, h)
	if st, err := j.Stats(t.Context()); err != nil || len(st.Sealed) != 1 || st.Sealed[b.ID.String()] != 7 {
		t.Errorf("stats: %v, %v", st.Sealed, err)
	}
}

// TestMissingKey: without its key, or with another one, a sealed journal does not open, says which key it needs, and is left
// as it is. Its structure can be checked all the same.
func TestMissingKey(t *testing.T) {
	t.Parallel()
	key := sealed.NewKey()
	j, path := newJournal(t, keysOf(key))
	put(t, j)
	j.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, opt := range map[string]Options{"no key": {}, "another key": keysOf(sealed.NewKey()), "other keys": keysOf(sealed.NewKey(), sealed.NewKey())} {
		if j, err := Open(path, opt); err == nil {
			j.Close()
			t.Errorf("%s: it opens", name)
		} else if !strings.Contains(err.Error(), key.ID.String()) || !strings.Contains(err.Error(), "journal.key_file") || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := OpenReadOnly(path, keysOf(sealed.NewKey())); err == nil {
		t.Error("a reader with another key is let in")
	}
	for _, opt := range []Options{{}, keysOf(key)} {
		r, err := OpenReadOnly(path, opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Check(context.Background()); err != nil {
			t.Errorf("check with %v: %v", opt.Keys, err)
		}
		if st, err := r.Stats(context.Background()); err != nil || st.Sealed[key.ID.String()] != 7 {
			t.Errorf("stats with %v: %v, %v", opt.Keys, st.Sealed, err)
		}
		r.Close()
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file has changed, %v", err)
	}
}

// TestSwappedRecipient: the sealed recipient of another record does not open, though the sum is right.
func TestSwappedRecipient(t *testing.T) {
	t.Parallel()
	j, _ := newJournal(t, keysOf(sealed.NewKey()))
	a, b := order(t, j, "a"), order(t, j, "b")
	spoil(t, j, func(w *writeTx) error {
		other := w.box.Seal(string(b.Recipient), shipmentTable, b.ID[:])
		own, _, err := sealedShipment(a.ID[:], w.shipments().Get(a.ID[:]))
		if err != nil {
			return err
		}
		record := bytes.Replace(w.shipments().Get(a.ID[:]), []byte(own), other, 1)
		record = record[:len(record)-sumSize]
		return w.shipments().Put(a.ID[:], shipmentScope.seal(record, 0, a.ID[:]))
	})
	if _, err := j.Shipment(t.Context(), a.Organisation, a.ID); !errors.Is(err, ErrCorrupt) {
		t.Errorf("it opens: %v", err)
	}
	if _, err := j.Shipment(t.Context(), b.Organisation, b.ID); err != nil {
		t.Error(err)
	}
}
