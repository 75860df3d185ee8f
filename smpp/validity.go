package smpp

import (
	"fmt"
	"time"
)

// ValidityMode is how a message's time to live is told to the SMSC.
type ValidityMode string

const (
	// ValidityRelative counts from when the SMSC takes the message, so that
	// wrong clocks and time zones on either side do no harm.
	ValidityRelative ValidityMode = "relative"
	// ValidityAbsolute is a moment in UTC, for SMSCs that know no relative
	// times. Both clocks must be right.
	ValidityAbsolute ValidityMode = "absolute"
	// ValidityNone leaves it to the SMSC, often days: a code may arrive long
	// after it was worth anything.
	ValidityNone ValidityMode = "none"
)

// maxRelative bounds what a relative time can say: its months and years have no
// fixed length, so days are the longest unit that is used.
const maxRelative = 99*24*time.Hour - time.Second

// validityPeriod returns the validity_period (SMPP 3.4 §7.1.1) of a message that
// is written now and worth delivering until expires. It is cut to whole
// seconds, downwards, and is one second at least.
//
//	relative  YYMMDDhhmmss000R    000000000500000R is five minutes
//	absolute  YYMMDDhhmmss000+   in UTC: no tenths, offset 00+
func (s *SMSC) validityPeriod(now, expires time.Time) string {
	if s.Validity == ValidityNone {
		return ""
	}
	left := max(expires.Sub(now), s.ValidityFloor)
	if s.ValidityCeiling > 0 {
		left = min(left, s.ValidityCeiling)
	}
	left = min(max(left, time.Second), maxRelative)
	if s.Validity == ValidityAbsolute {
		return now.Add(left).UTC().Format("060102150405") + "000+"
	}
	secs := int(left / time.Second)
	return fmt.Sprintf("0000%02d%02d%02d%02d000R", secs/86400, secs/3600%24, secs/60%60, secs%60)
}
