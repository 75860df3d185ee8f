package returnpath

import (
	"fmt"
	"strings"
	"testing"
)

func TestKeyText(t *testing.T) {
	k := NewKey()
	got, err := ParseKey(k.Text())
	if err != nil || got.ID != k.ID || string(got.Secret) != string(k.Secret) || len(k.Secret) != MinSecret {
		t.Errorf("%v %v", got, err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, k); strings.Contains(text, fmt.Sprint(k.Secret[0], " ", k.Secret[1])) || len(text) > 24 {
			t.Errorf("%s shows %s", verb, text)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	good := NewKey().Text()
	for _, bad := range []string{"", ".", "1.", good[:len(good)-2], "256" + good[strings.Index(good, "."):], "x" + good, good + "=", good + "\n\x00",
		strings.Replace(good, ".", "", 1)} {
		if k, err := ParseKey(bad); err == nil || bad != "" && strings.Contains(err.Error(), bad) && len(bad) > 2 {
			t.Errorf("%q: %v %v", bad, k, err)
		}
	}
}
