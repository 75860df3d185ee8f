package sms

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/dlr"
)

func TestErrorCodesAreBounded(t *testing.T) {
	c := newErrorCounter(map[string]SMSC{"telco": {}, "other": {}})
	before := testutil.CollectAndCount(c.vec)
	for _, code := range []string{"", "0", "000"} {
		c.count("telco", code, dlr.CauseNone)
	}
	if n := testutil.CollectAndCount(c.vec); n != before {
		t.Errorf("%d series of receipts without an error", n)
	}
	for range 3 {
		c.count("telco", "013", dlr.CauseAbsent)
	}
	c.count("telco", "483920", dlr.CauseNone) // may be a login code
	c.count("telco", "kåre", dlr.CauseNone)
	for i := range 200 {
		c.count("telco", fmt.Sprint(1000+i), dlr.CauseNone)
	}
	c.count("other", "013", dlr.CauseNone)
	for want, labels := range map[float64][]string{3: {"telco", "013", "absent"}, 200 - (maxErrorCodes - 1) + 2: {"telco", "other", "none"}, 1: {"other", "013", "none"}} {
		if got := testutil.ToFloat64(c.vec.WithLabelValues(labels...)); got != want {
			t.Errorf("%v: %v, want %v", labels, got, want)
		}
	}
	if n := testutil.CollectAndCount(c.vec); n != maxErrorCodes+3 {
		t.Errorf("%d series", n)
	}
	c.configure(map[string]SMSC{"other": {}})
	c.count("telco", "013", dlr.CauseAbsent) // while it is unbound
	if n := testutil.CollectAndCount(c.vec); n != 3 || testutil.ToFloat64(c.vec.WithLabelValues("other", "other", "absent")) != 1 {
		t.Errorf("%d series are left of an SMSC that is gone", n)
	}
}
