package faults

import (
	"strings"
	"testing"
	"time"
)

// Faults of all tables are in one list, with whole keys, and each key has one fault.
func TestList(t *testing.T) {
	l := New()
	smsc := l.At("smsc", 1)
	smsc.In("tls").Add("mode", "is %q", "maybe")
	smsc.In("tls").Add("mode", "follows from the first")
	smsc.Name("name", "")
	smsc.Duration("retention", 36*time.Hour, 72*time.Hour, 90*24*time.Hour)
	Range(smsc, "window", 0, 1, 10)
	smsc.OneOf("mode", "x", "a", "b")
	seen := make(map[string]string)
	l.At("relay", 0).Unique("name", "mx", seen)
	l.At("relay", 1).Unique("name", "mx", seen)
	l.Join(Faults{{Key: "route[0].smscs", Message: "is missing"}, {Key: "smsc[1].window", Message: "is said twice"}})
	want := `smsc[1].tls.mode is "maybe"
smsc[1].name is missing
smsc[1].retention is 36h0m0s, must be between 3d and 90d
smsc[1].window is 0, must be between 1 and 10
smsc[1].mode is "x", must be one of "a", "b"
relay[1].name is that of relay[0].name already
route[0].smscs is missing`
	if got := l.All().Err(); got == nil || got.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", got, want)
	}
	if err := New().All().Err(); err != nil {
		t.Errorf("no fault is the error %v", err)
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{"ttd": true, "a.b-c_9": true, "9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "-a": false, ".": false, "a b": false, "å": false, "a/b": false, "a\n": false} {
		if got := ValidName(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestHostPort(t *testing.T) {
	for addr, want := range map[string]bool{"10.0.0.5:2775": true, "smsc.example.org:1": true, "[::1]:65535": true,
		"": false, "nowhere": false, ":2775": false, "h:0": false, "h:65536": false, "h:x": false, "h:-1": false} {
		l := New()
		if l.HostPort("addr", addr); (len(l.All()) == 0) != want {
			t.Errorf("%q: %v", addr, l.All())
		}
	}
}
