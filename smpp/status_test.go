package smpp

import (
	"testing"

	"straks/smpp/wire"
)

func TestEveryStatusHasADisposition(t *testing.T) {
	for s, name := range wire.Statuses() {
		v, ok := dispositions[s]
		if !ok {
			t.Errorf("%s has none", name)
		}
		if s != wire.ESMEOK && v == (Disposition{}) {
			t.Errorf("%s is neither to be retried nor refused", name)
		}
		if v.Retry != RetryNever && v.Refusal != RefusedNot {
			t.Errorf("%s is both to be retried and refused", name)
		}
	}
	if len(dispositions) != len(wire.Statuses()) {
		t.Errorf("%d dispositions on %d statuses", len(dispositions), len(wire.Statuses()))
	}
}

func TestUnknownStatusIsRefused(t *testing.T) {
	if v := DefaultDisposition(0x401); v != (Disposition{Refusal: RefusedFailed}) {
		t.Error(v)
	}
}

func TestDispositionsAreReadAsPrinted(t *testing.T) {
	for s, v := range dispositions {
		if s == wire.ESMEOK {
			continue
		}
		if got, err := ParseDisposition(v.String()); err != nil || got != v {
			t.Errorf("%v: %v, %v", v, got, err)
		}
	}
	for _, bad := range []string{"", "none", "never", "incomplete", "later"} {
		if v, err := ParseDisposition(bad); err == nil {
			t.Errorf("%q is read as %v", bad, v)
		}
	}
}

func TestParseStatus(t *testing.T) {
	for in, want := range map[string]wire.Status{"ESME_RTHROTTLED": 0x58, "esme_rsyserr": 8, "0x401": 0x401, "1025": 1025} {
		if got, err := ParseStatus(in); err != nil || got != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "ESME_RFOO", "-1", "0x100000000"} {
		if got, err := ParseStatus(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}
