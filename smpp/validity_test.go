package smpp

import (
	"testing"
	"time"
)

func TestValidityPeriod(t *testing.T) {
	now := time.Date(2026, 2, 28, 23, 59, 30, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		smsc SMSC
		left time.Duration
		want string
	}{
		{SMSC{Validity: ValidityRelative}, 5 * time.Minute, "000000000500000R"},
		{SMSC{Validity: ValidityRelative}, 59*time.Second + 999*time.Millisecond, "000000000059000R"},
		{SMSC{Validity: ValidityRelative}, 48 * time.Hour, "000002000000000R"},
		{SMSC{Validity: ValidityRelative}, 26*time.Hour + 3*time.Minute + 4*time.Second, "000001020304000R"},
		{SMSC{Validity: ValidityRelative}, time.Millisecond, "000000000001000R"},
		{SMSC{Validity: ValidityRelative}, 10000 * time.Hour, "000098235959000R"},
		{SMSC{Validity: ValidityRelative, ValidityFloor: time.Minute}, 10 * time.Second, "000000000100000R"},
		{SMSC{Validity: ValidityRelative, ValidityCeiling: time.Hour}, 2 * time.Hour, "000000010000000R"},
		{SMSC{Validity: ValidityAbsolute}, 5 * time.Minute, "260228230430000+"},
		{SMSC{Validity: ValidityNone}, 5 * time.Minute, ""},
	} {
		if got := c.smsc.validityPeriod(now, now.Add(c.left)); got != c.want {
			t.Errorf("%v, %v: %q, want %q", c.smsc.Validity, c.left, got, c.want)
		}
	}
}
