package doctor

import (
	"strings"

	"straks/smpp"
)

// clockCheck says whether something keeps the clock right. A wrong one makes signatures of mails invalid, tokens
// expire at the wrong time, and validity periods that are sent as a time wrong.
func (p *Plan) clockCheck() []Finding {
	var absolute []string
	for _, s := range p.Config.SMSCs {
		if s.Validity == smpp.ValidityAbsolute {
			absolute = append(absolute, s.Name)
		}
	}
	return []Finding{clockFinding(clockSynchronised(), absolute)}
}

// clockFinding judges the clock. absolute are the SMSCs that get the end of the validity as a time.
func clockFinding(state clockState, absolute []string) Finding {
	switch {
	case state == clockKept:
		return found(OK, "The clock is synchronised.")
	case state == clockUnknown:
		return found(Unknown, "Whether the clock is synchronised can't be seen here: in a container, the host keeps it.")
	}
	f := found(Note, "Nothing keeps the clock right: signatures of mails and certificates depend on it.")
	if len(absolute) > 0 {
		f = found(Fix, `Nothing keeps the clock right, and SMSC %s gets the end of the validity as a time (validity = "absolute"): messages would expire early or late.`,
			strings.Join(absolute, ", "))
	}
	f.Run = []string{"apt-get install systemd-timesyncd && timedatectl set-ntp true"}
	return f
}

// clockState is what the kernel says of the clock.
type clockState uint8

const (
	clockUnknown clockState = iota
	clockKept
	clockFree // nothing disciplines it
)
