package codes

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// fixed returns a key that is the same in each test.
func fixed(seed byte) *Key { return newKey(bytes.Repeat([]byte{seed}, secretSize)) }

// TestCodeVectors: a code never changes, or those that are under way when the program is replaced would be wrong.
func TestCodeVectors(t *testing.T) {
	id := uuid.MustParse("01a20a30-0000-7000-8000-000000000001")
	for _, c := range []struct {
		seed     byte
		subject  string
		alphabet Alphabet
		length   int
		want     string
	}{
		{1, "a", Digits, 6, "544553"},
		{1, "a", Digits, 10, "5445533487"},
		{1, "a", Letters, 6, "TGGTRR"},
		{1, "b", Digits, 6, "838906"},
		{2, "a", Digits, 6, "470308"},
	} {
		if got := fixed(c.seed).codeOf(id, []byte(c.subject), c.alphabet, c.length); got != c.want {
			t.Errorf("%d %s %s %d: %s, want %s", c.seed, c.subject, c.alphabet, c.length, got, c.want)
		}
	}
}

// TestCodesAreUnbiased: over a million codes, each character is as likely as the others at each place (chi-square), and
// so is each pair of neighbours.
func TestCodesAreUnbiased(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		alphabet Alphabet
		codes    int
	}{{Digits, 1_000_000}, {Letters, 200_000}} {
		const length = 6
		characters := c.alphabet.characters()
		at := make([][]int, length)
		pairs := make([]int, len(characters)*len(characters))
		for i := range at {
			at[i] = make([]int, len(characters))
		}
		key, id := fixed(7), uuid.UUID{}
		for n := range c.codes {
			binary.BigEndian.PutUint64(id[8:], uint64(n))
			code := key.codeOf(id, []byte("subject"), c.alphabet, length)
			last := 0
			for i := range length {
				v := strings.IndexByte(characters, code[i])
				at[i][v]++
				if i == length-1 {
					pairs[last*len(characters)+v]++
				}
				last = v
			}
		}
		for i := range at {
			unbiased(t, fmt.Sprintf("%s at %d", c.alphabet, i), at[i])
		}
		unbiased(t, string(c.alphabet)+" in pairs", pairs)
	}
}

// unbiased compares counts with what is expected of them. The distribution of chi-square over n-1 degrees of freedom has
// the variance 2(n-1); six deviations are met by chance once in 10^8 runs or less, and the codes of a test are always the same.
func unbiased(t *testing.T, what string, counts []int) {
	t.Helper()
	all := 0
	for _, n := range counts {
		all += n
	}
	expected, chi := float64(all)/float64(len(counts)), 0.0
	for _, n := range counts {
		chi += (float64(n) - expected) * (float64(n) - expected) / expected
	}
	free := float64(len(counts) - 1)
	if d := (chi - free) * (chi - free) / (2 * free); d > 36 {
		t.Errorf("%s: chi-square is %.1f of %d counts: %v", what, chi, len(counts), counts)
	}
}

func TestNormal(t *testing.T) {
	for typed, want := range map[string]string{
		"123456": "123456", " 123 456 ": "123456", "123-456": "123456", "12\u201334\u201156": "123456", "1\u00a02\u202f3": "123",
		"bcdf": "BCDF", "BC-df ": "BCDF", "\u200e123456\u2069": "123456", "１２３": "123", "٣٤": "34", "": "", "\t\r\n": "", "12\u22123": "123", "ſ": "S",
	} {
		if got := Normal(typed); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}

func TestSame(t *testing.T) {
	for typed, want := range map[string]bool{"123456": true, "123 456": true, "123457": false, "12345": false, "1234567": false, "": false} {
		if got := same("123456", typed); got != want {
			t.Errorf("%q: %t", typed, got)
		}
	}
}

func TestAlphabets(t *testing.T) {
	for _, confusable := range "OIAEUY" {
		if strings.ContainsRune(Letters.characters(), confusable) {
			t.Errorf("%c", confusable)
		}
	}
}

func TestKeyText(t *testing.T) {
	k := NewKey()
	got, err := ParseKey(k.Text())
	if err != nil || got.ID() != k.ID() || !bytes.Equal(got.secret, k.secret) {
		t.Errorf("%v %v", got, err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, k); text != "verification key "+k.ID() {
			t.Errorf("%s shows %s", verb, text)
		}
	}
	good := k.Text()
	for _, bad := range []string{"", ".", "1.", good[:len(good)-4], "0" + good[1:], "x" + good, strings.Replace(good, ".", "", 1)} {
		if bad == good {
			continue // the id began with 0
		}
		if _, err := ParseKey(bad); err == nil || len(bad) > 8 && strings.Contains(err.Error(), bad[9:]) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestSealed(t *testing.T) {
	k, id := fixed(1), uuid.New()
	one, two := k.sealed(id, []byte("+4799999999")), k.sealed(id, []byte("+4799999999"))
	if bytes.Equal(one, two) || bytes.Contains(one, []byte("9999")) {
		t.Error("the same text is the same ciphertext, or in the clear")
	}
	if text, err := k.opened(id, one); string(text) != "+4799999999" || err != nil {
		t.Errorf("%s %v", text, err)
	}
	for _, bad := range [][]byte{nil, one[:5], one[:len(one)-1], append(bytes.Clone(one), 0)} {
		if _, err := k.opened(id, bad); err == nil {
			t.Errorf("%x", bad)
		}
	}
	if _, err := k.opened(uuid.New(), one); err == nil {
		t.Error("of another verification")
	}
	if _, err := fixed(2).opened(id, one); err == nil {
		t.Error("of another key")
	}
}
