package sealed

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
)

const number = "+4799999999"

var journal = uuid.MustParse("01a20a30-0000-7000-8000-000000000001")

// attach returns the box of a journal that has stored state, and what it stores then.
func attach(t *testing.T, keys Keys, state []byte) (*Box, []byte) {
	t.Helper()
	box, next, err := Attach(keys, journal, state)
	if err != nil {
		t.Fatal(err)
	}
	if next != nil {
		state = next
	}
	return box, state
}

func keys(current Key, former ...Key) Keys {
	k := Keys{Current: &current}
	if len(former) > 0 {
		k.Former = &former[0]
	}
	return k
}

// TestSeal: a value opens for its own record only, and shows nothing of the recipient.
func TestSeal(t *testing.T) {
	t.Parallel()
	box, _ := attach(t, keys(NewKey()), nil)
	for _, to := range []string{"", number, "Øla.Nordmann@example.org", strings.Repeat("x", 1000)} {
		v := box.Seal(to, "shipments", []byte("1"))
		if got, err := box.Open(v, "shipments", []byte("1")); got != to || err != nil {
			t.Fatalf("%q opens as %q, %v", to, got, err)
		}
		if len(v) != len(to)+Overhead || to != "" && bytes.Contains(v, []byte(to)) {
			t.Errorf("%q is sealed as %q", to, v)
		}
		if again := box.Seal(to, "shipments", []byte("1")); bytes.Equal(v, again) {
			t.Error("two values are the same")
		}
		for _, other := range []struct{ table, record string }{{"shipments", "2"}, {"parked", "1"}, {"shipments", ""}, {"shipment", "s1"}} {
			if _, err := box.Open(v, other.table, []byte(other.record)); !errors.Is(err, ErrValue) {
				t.Errorf("a value of another record opens as that of %v: %v", other, err)
			}
		}
	}
}

// TestChangedValue: no octet of a value can change, nor can it be cut.
func TestChangedValue(t *testing.T) {
	t.Parallel()
	box, _ := attach(t, keys(NewKey()), nil)
	v := box.Seal(number, "shipments", []byte("1"))
	for i := range v {
		changed := bytes.Clone(v)
		changed[i] ^= 1
		if to, err := box.Open(changed, "shipments", []byte("1")); err == nil {
			t.Errorf("with another octet %d it opens as %q", i, to)
		}
		if _, err := box.Open(v[:i], "shipments", []byte("1")); err == nil {
			t.Errorf("the first %d octets open", i)
		}
	}
}

// TestHash: hashes are of all parts in order, and nobody makes them without the keys.
func TestHash(t *testing.T) {
	t.Parallel()
	key := NewKey()
	box, state := attach(t, keys(key), nil)
	other, _ := attach(t, keys(key), nil) // another journal, with the same key
	seen := make(map[string][]string)
	for _, parts := range [][]string{{"a", "b"}, {"ab"}, {"a", "b", ""}, {"b", "a"}, {""}, {}} {
		h := string(box.Hash(parts...))
		if have, ok := seen[h]; ok || len(h) != HashSize {
			t.Errorf("%q has the hash of %q", parts, have)
		}
		seen[h] = parts
		if bytes.Equal(other.Hash(parts...), []byte(h)) {
			t.Errorf("%q has the same hash in another journal", parts)
		}
	}
	again, _ := attach(t, keys(key), state)
	if !bytes.Equal(again.Hash("a"), box.Hash("a")) {
		t.Error("a hash changes with a restart")
	}
	v := box.Seal("Ola@Example.org", "shipments", nil)
	if !bytes.Equal(v[FinderAt:FinderAt+FinderSize], box.Finder("ola@example.ORG")) {
		t.Error("a value does not have the finder of its recipient")
	}
}

// TestRotation: with a new key, old values open while the former key is there, hashes stay, and the former key can go
// once nothing needs it: not before.
func TestRotation(t *testing.T) {
	t.Parallel()
	a, b, c := NewKey(), NewKey(), NewKey()
	first, state := attach(t, keys(a), nil)
	old := first.Seal(number, "shipments", []byte("1"))

	second, state := attach(t, keys(b, a), state)
	if to, err := second.Open(old, "shipments", []byte("1")); to != number || err != nil {
		t.Fatalf("a value of the former key: %q, %v", to, err)
	}
	if second.Current(old) || !second.Current(second.Seal(number, "shipments", nil)) {
		t.Error("Current does not tell the keys apart")
	}
	if !bytes.Equal(first.Hash(number), second.Hash(number)) || !bytes.Equal(first.Finder(number), second.Finder(number)) {
		t.Error("a rotation changes hashes")
	}
	if second.Settled() {
		t.Error("settled, with values of the former key")
	}
	for _, missing := range []Keys{keys(b), keys(c, b), keys(a), {}} {
		if _, _, err := Attach(missing, journal, state); err == nil || !strings.Contains(err.Error(), "key_file") {
			t.Errorf("with %v a journal that needs both keys opens: %v", missing, err)
		}
	}
	settled, state := second.Resealed(false)
	if !settled.Settled() {
		t.Error("not settled when all was sealed again")
	}
	third, state := attach(t, keys(b), state)
	if !third.Settled() || !bytes.Equal(third.Hash(number), first.Hash(number)) {
		t.Error("without the former key it is another journal")
	}
	if _, err := third.Open(old, "shipments", []byte("1")); !errors.Is(err, ErrNoKey) {
		t.Errorf("a value whose key has gone: %v", err)
	}
	if ids, plain, err := Needed(state); len(ids) != 1 || ids[0] != b.ID || plain || err != nil {
		t.Errorf("it needs %v, plain %v, %v", ids, plain, err)
	}
}

// TestAttachRefuses: a journal does not open without its keys, under another journal's id, or with a state that can't be read.
func TestAttachRefuses(t *testing.T) {
	t.Parallel()
	key := NewKey()
	_, state := attach(t, keys(key), nil)
	for name, try := range map[string]func() error{
		"no key":      func() error { _, _, err := Attach(Keys{}, journal, state); return err },
		"another key": func() error { _, _, err := Attach(keys(NewKey()), journal, state); return err },
		"another journal": func() error {
			_, _, err := Attach(keys(key), uuid.New(), state)
			return err
		},
	} {
		if err := try(); err == nil {
			t.Errorf("%s: it opens", name)
		} else if name != "another journal" && !strings.Contains(err.Error(), key.ID.String()) {
			t.Errorf("%s: the error does not name the key: %v", name, err)
		}
	}
	for n := range state {
		if _, _, err := Attach(keys(key), journal, state[:n]); err == nil {
			t.Errorf("a state of %d octets is taken", n)
		}
	}
	if box, next, err := Attach(Keys{}, journal, nil); box.Seals() || next != nil || err != nil {
		t.Errorf("without keys: %v, %v, %v", box, next, err)
	}
	if _, err := (*Box)(nil).Open(state[7:], hashKeys, journal[:]); !errors.Is(err, ErrNoKey) {
		t.Errorf("a reader without keys: %v", err)
	}
}

// TestKeyText: a key's text reads back, nothing else does, and no other form of a key shows it.
func TestKeyText(t *testing.T) {
	t.Parallel()
	k := NewKey()
	if got, err := ParseKey(k.Text()); err != nil || !got.Equal(k) || got.ID != k.ID {
		t.Errorf("%v reads as %v, %v", k, got, err)
	}
	secret := strings.TrimPrefix(k.Text(), keyPrefix)
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s", k, &k, k, k), fmt.Sprintf("%+v", keys(k))} {
		if strings.Contains(shown, secret) || strings.Contains(shown, fmt.Sprint(k.secret)) {
			t.Errorf("the key shows in %s", shown)
		}
	}
	for _, text := range []string{"", keyPrefix, secret, k.Text()[:len(k.Text())-1], k.Text() + "A", "whsec_" + secret, keyPrefix + strings.Repeat("!", 43)} {
		if _, err := ParseKey(text); err == nil {
			t.Errorf("%q is taken for a key", text)
		} else if secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("the error quotes the key: %v", err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	box, state, err := Attach(keys(NewKey()), journal, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(box.Seal(number, "shipments", nil))
	f.Add(state)
	f.Fuzz(func(t *testing.T, b []byte) {
		if to, err := box.Open(b, "other", nil); err == nil {
			t.Errorf("opens as %q", to)
		}
		_, _, _ = Needed(b)
	})
}

func BenchmarkSeal(b *testing.B) {
	box, _, _ := Attach(keys(NewKey()), journal, nil)
	for b.Loop() {
		box.Seal(number, "shipments", journal[:])
	}
}

func BenchmarkOpen(b *testing.B) {
	box, _, _ := Attach(keys(NewKey()), journal, nil)
	v := box.Seal(number, "shipments", journal[:])
	for b.Loop() {
		if _, err := box.Open(v, "shipments", journal[:]); err != nil {
			b.Fatal(err)
		}
	}
}
