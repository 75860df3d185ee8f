package returnpath

import (
	"bytes"
	"encoding/base32"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
)

var (
	shipment = uuid.MustParse("01a20a30-0000-7000-8000-9d200bed7799")
	oldKey   = Key{ID: 1, Secret: bytes.Repeat([]byte{1}, MinSecret)}
	newKey   = Key{ID: 2, Secret: bytes.Repeat([]byte{2}, MinSecret)}
)

func keys(t testing.TB, active Key, former *Key) *Keys {
	t.Helper()
	k, err := NewKeys(active, former)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The form is on the way in mails that were sent before an upgrade, so it must not change. The wanted one
// was computed by another program (Python).
func TestTheFormIsStable(t *testing.T) {
	want := "b+agraumaaabyabaaatuqax3lxtea4jvsimsllhyvpewya@bounces.bank.example"
	if got := keys(t, oldKey, nil).Address(shipment, "bounces.bank.example"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLength(t *testing.T) {
	local := keys(t, oldKey, nil).Local(shipment)
	if tokenLength != 44 || len(local) != 46 || len("prvs=1234abcdef="+local) > 64 {
		t.Errorf("a token has %d characters, its local part %d", tokenLength, len(local))
	}
	if strings.Trim(local, "abcdefghijklmnopqrstuvwxyz234567+") != "" {
		t.Errorf("%s: not an atom of letters and digits", local)
	}
}

func TestParse(t *testing.T) {
	k := keys(t, oldKey, nil)
	local := k.Local(shipment)
	for _, in := range []string{
		local,
		strings.ToUpper(local),
		strings.ToUpper(local[:20]) + local[20:],
		`"` + local + `"`,
		"prvs=1234abcdef=" + local,
		"PRVS=1234ABCDEF=" + strings.ToUpper(local),
		"prvs=" + local + "/1234abcdef",
		"prvs=" + local + "=1234abcdef",
		"btv1==1234abcdef0==" + local,
		"msprvs1=17923q-Xy_8dR=" + local,
		"SRS0=HHHH=TT=bounces.bank.example=" + local,
		"SRS1=GGGG=first.example==HHHH=TT=bounces.bank.example=" + local,
		"prvs=" + k.Local(uuid.Nil)[:40] + "=" + local, // a piece of a token before it
	} {
		if got, err := k.Parse(in); err != nil || got != shipment {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	k := keys(t, oldKey, nil)
	local := k.Local(shipment)
	other := keys(t, Key{ID: oldKey.ID, Secret: newKey.Secret}, nil).Local(shipment)
	for in, want := range map[string]error{
		"":                                   ErrNoToken,
		`"`:                                  ErrNoToken,
		"b+":                                 ErrNoToken,
		"postmaster":                         ErrNoToken,
		local[2:]:                            ErrNoToken,
		"c+" + local[2:]:                     ErrNoToken,
		"x" + local:                          ErrNoToken,
		local + "a":                          ErrNoToken,
		local[:45]:                           ErrNoToken,
		local[:45] + "1":                     ErrNoToken, // not of the alphabet
		local[:45] + "=":                     ErrNoToken,
		local[:30] + "\r\n" + local[32:]:     ErrNoToken, // the decoder of base32 skips line breaks
		local[:45] + "b":                     ErrNoToken, // another spelling of the same octets
		local + "\n":                         ErrNoToken,
		strings.Repeat("x=", 256) + local:    ErrNoToken, // too long
		other:                                ErrForged,
		keys(t, newKey, nil).Local(shipment): ErrUnknownKey,
		"prvs=1=" + other:                    ErrForged,
	} {
		if got, err := k.Parse(in); !errors.Is(err, want) || got != uuid.Nil {
			t.Errorf("%q: %s, %v, want %v", in, got, err, want)
		}
	}
}

// Every bit of a token counts.
func TestAnyOtherTokenIsRefused(t *testing.T) {
	k := keys(t, oldKey, &newKey)
	enc := base32.StdEncoding.WithPadding(base32.NoPadding)
	token := oldKey.token(shipment)
	for bit := range len(token) * 8 {
		changed := bytes.Clone(token)
		changed[bit/8] ^= 1 << (bit % 8)
		if got, err := k.Parse("b+" + enc.EncodeToString(changed)); err == nil {
			t.Errorf("bit %d: taken as %s", bit, got)
		}
	}
}

func TestRotation(t *testing.T) {
	before := keys(t, oldKey, nil)
	after := keys(t, newKey, &oldKey)
	done := keys(t, newKey, nil)
	old := before.Local(shipment)
	if got, err := after.Parse(old); err != nil || got != shipment {
		t.Errorf("the former key: %s, %v", got, err)
	}
	if got, err := done.Parse(after.Local(shipment)); err != nil || got != shipment {
		t.Errorf("the active key made no token of its own: %s, %v", got, err)
	}
	if _, err := done.Parse(old); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("a key that was removed: %v", err)
	}
}

func TestKeysKeepTheirSecret(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, MinSecret)
	k := keys(t, Key{ID: 7, Secret: secret}, nil)
	local := k.Local(shipment)
	clear(secret)
	if got, err := k.Parse(local); err != nil || got != shipment || k.Local(shipment) != local {
		t.Errorf("%s, %v", got, err)
	}
}

func TestFaultsOfKeys(t *testing.T) {
	short := Key{ID: 2, Secret: []byte("short")}
	for name, c := range map[string]struct {
		active Key
		former *Key
		want   []string
	}{
		"no secret":   {Key{}, nil, []string{"the active key has 0 octets"}},
		"two faults":  {short, &Key{ID: 2}, []string{"the active key has 5", "the former key has 0", "same id, 2"}},
		"same secret": {oldKey, &Key{ID: 9, Secret: oldKey.Secret}, []string{"same secret"}},
	} {
		_, err := NewKeys(c.active, c.former)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v lacks %q", name, err, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), "short") {
			t.Errorf("%s: shows the secret: %v", name, err)
		}
	}
}

// FuzzParse: what is taken has our MAC, so it holds our token in one of two letter cases.
func FuzzParse(f *testing.F) {
	k := keys(f, newKey, &oldKey)
	local := k.Local(shipment)
	for _, seed := range []string{local, "prvs=1=" + local, strings.ToUpper(local) + "/x", `"` + local + `"`, "b+", "==//=", "b+\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got, err := k.Parse(in)
		if err != nil {
			if got != uuid.Nil {
				t.Errorf("%q: %s beside %v", in, got, err)
			}
			return
		}
		folded := strings.ToLower(in)
		former := keys(t, oldKey, nil).Local(got)
		if !strings.Contains(folded, k.Local(got)) && !strings.Contains(folded, former) {
			t.Errorf("%q: taken as %s, whose token it lacks", in, got)
		}
	})
}
