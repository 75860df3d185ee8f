package journaltest

import (
	"strings"
	"testing"
	"time"

	"straks/orders"
	"straks/orders/sealed"
)

// Sealable is how the suite gets at an engine that seals recipients (package sealed).
type Sealable struct {
	// Open opens the store that dir stands for with these keys; the first time it makes one. The suite closes what
	// it opened.
	Open func(t *testing.T, dir string, keys sealed.Keys) (orders.Journal, error)
	// Resealing reports whether recipients may be stored that are plain, or sealed with the former key.
	Resealing func(orders.Journal) bool
	// Check walks the invariants of an open journal.
	Check func(orders.Journal) error
}

// RunSealed runs the tests of engines that seal recipients.
func RunSealed(t *testing.T, e Sealable) {
	for name, test := range map[string]func(*sealing){
		"what is there": sealedLater,
		"met meanwhile": metMeanwhile,
		"rotation":      rotation,
		"missing key":   missingKey,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(&sealing{t, e, t.TempDir()})
		})
	}
}

type sealing struct {
	*testing.T
	Sealable
	dir string
}

func keysOf(current sealed.Key, former ...sealed.Key) sealed.Keys {
	k := sealed.Keys{Current: &current}
	if len(former) > 0 {
		k.Former = &former[0]
	}
	return k
}

// with opens the journal, runs a step, and closes it.
func (s *sealing) with(keys sealed.Keys, step func(orders.Journal)) {
	s.Helper()
	j, err := s.Open(s.T, s.dir, keys)
	if err != nil {
		s.Fatal(err)
	}
	step(j)
	if err := s.Check(j); err != nil {
		s.Error(err)
	}
	if err := j.Close(); err != nil {
		s.Error(err)
	}
}

// SealAll sweeps until every recipient is sealed with the current key, in steps of that many records.
func (e Sealable) SealAll(t *testing.T, j orders.Journal, step int) {
	t.Helper()
	for range 10_000 {
		if !e.Resealing(j) {
			return
		}
		if _, err := j.Sweep(t.Context(), time.Now(), orders.Retention{All: 90 * 24 * time.Hour}, step); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("not everything was sealed")
}

// sealedLater: what a journal had before it got its key is found all the while, and is sealed by retention in small steps,
// across restarts.
func sealedLater(s *sealing) {
	var h Recipients
	s.with(sealed.Keys{}, func(j orders.Journal) { h = PutRecipients(s.T, j) })
	keys := keysOf(sealed.NewKey())
	for range 3 { // each process gets less far than all
		s.with(keys, func(j orders.Journal) {
			if !s.Resealing(j) {
				s.Error("it does not say that recipients are plain")
			}
			if _, err := j.Sweep(s.Context(), time.Now(), orders.Retention{All: 90 * 24 * time.Hour}, 4); err != nil {
				s.Fatal(err)
			}
			WantRecipients(s.T, j, h)
		})
	}
	s.with(keys, func(j orders.Journal) {
		s.SealAll(s.T, j, 2)
		WantRecipients(s.T, j, h)
	})
	s.with(keys, func(j orders.Journal) {
		if s.Resealing(j) {
			s.Error("after a restart, all is sealed once more")
		}
		WantRecipients(s.T, j, h)
		MeetRecipients(s.T, j, h)
	})
}

// metMeanwhile: what comes meets what is plain still.
func metMeanwhile(s *sealing) {
	var h Recipients
	s.with(sealed.Keys{}, func(j orders.Journal) { h = PutRecipients(s.T, j) })
	s.with(keysOf(sealed.NewKey()), func(j orders.Journal) {
		MeetRecipients(s.T, j, h)
		s.SealAll(s.T, j, 3)
		for _, want := range []orders.Shipment{h.Accepted, h.Unanswered, h.Sending, h.Mail} {
			if got, err := j.Shipment(ctx(), want.Organisation, want.ID); err != nil || got.Recipient != want.Recipient {
				s.Errorf("shipment %v: recipient %q, %v", want.ID, string(got.Recipient), err)
			}
		}
	})
}

// rotation: a journal opens with the new key and the former one, seals all with the new one, and needs the former one until
// it has.
func rotation(s *sealing) {
	a, b := sealed.NewKey(), sealed.NewKey()
	var h Recipients
	s.with(keysOf(a), func(j orders.Journal) {
		h = PutRecipients(s.T, j)
		s.SealAll(s.T, j, 100)
	})
	s.with(keysOf(b, a), func(j orders.Journal) { WantRecipients(s.T, j, h) })
	s.refuses(keysOf(b), a)
	s.with(keysOf(b, a), func(j orders.Journal) {
		s.SealAll(s.T, j, 3)
		WantRecipients(s.T, j, h)
	})
	s.with(keysOf(b), func(j orders.Journal) {
		WantRecipients(s.T, j, h)
		MeetRecipients(s.T, j, h)
	})
}

// refuses: the journal does not open with these keys, and says that it needs another one.
func (s *sealing) refuses(keys sealed.Keys, needs sealed.Key) {
	s.Helper()
	j, err := s.Open(s.T, s.dir, keys)
	if err == nil {
		j.Close()
		s.Fatalf("with %v: it opens", keys)
	}
	if !strings.Contains(err.Error(), needs.ID.String()) || !strings.Contains(err.Error(), "journal.key_file") {
		s.Errorf("with %v: %v", keys, err)
	}
}

// missingKey: without its key, or with another one, a sealed journal does not open, and says which key it needs.
func missingKey(s *sealing) {
	key := sealed.NewKey()
	var h Recipients
	s.with(keysOf(key), func(j orders.Journal) { h = PutRecipients(s.T, j) })
	for _, keys := range []sealed.Keys{{}, keysOf(sealed.NewKey()), keysOf(sealed.NewKey(), sealed.NewKey())} {
		s.refuses(keys, key)
	}
	s.with(keysOf(key), func(j orders.Journal) { WantRecipients(s.T, j, h) })
}
