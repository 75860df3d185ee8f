package dlr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Cause is why a message was not delivered, in words that all SMSCs share.
type Cause uint8

const (
	CauseNone              Cause = iota // the code says nothing, or the table lacks it
	CauseBarred                         // the subscriber, or calls to it, are barred
	CauseAbsent                         // out of reach for as long as the SMSC tried
	CauseUnknownSubscriber              // no such subscriber
	CauseInvalidNumber                  // no number at all, or of no network
	CauseUnsupported                    // the handset or subscription takes no messages
	CauseMemoryFull                     // the handset has no room
	CauseNetwork                        // a failure on the way
	CauseRejected                       // refused for its content, sender or route
	CauseExpired                        // the validity period ran out
	CauseDeleted                        // removed at the SMSC
)

var causeNames = [...]string{
	CauseNone: "none", CauseBarred: "barred", CauseAbsent: "absent", CauseUnknownSubscriber: "unknown-subscriber",
	CauseInvalidNumber: "invalid-number", CauseUnsupported: "unsupported", CauseMemoryFull: "memory-full",
	CauseNetwork: "network", CauseRejected: "rejected", CauseExpired: "expired", CauseDeleted: "deleted",
}

// String returns the cause as settings and logs spell it, like "unknown-subscriber".
func (c Cause) String() string {
	if int(c) >= len(causeNames) {
		return "invalid"
	}
	return causeNames[c]
}

// ParseCause reads a setting as String writes it.
func ParseCause(s string) (Cause, error) {
	for c, name := range causeNames {
		if s == name {
			return Cause(c), nil
		}
	}
	return 0, fmt.Errorf("no cause %q: use one of %s", s, strings.Join(causeNames[:], ", "))
}

// ErrorTable says what the error codes of one SMSC mean. Make it with NewErrorTable.
type ErrorTable map[string]Cause

// CodeError is a fault in a table of settings.
type CodeError struct {
	Code string // as written
	Err  error  // what is wrong with it, or with its cause
}

func (e *CodeError) Error() string { return e.Code + ": " + e.Err.Error() }

// NewErrorTable reads a table of settings, code to cause. All that is wrong with
// it is told at once, as *CodeErrors that errors.Join made one of.
func NewErrorTable(settings map[string]string) (ErrorTable, error) {
	table := make(ErrorTable, len(settings))
	spelled := make(map[string]string, len(settings))
	var faults []error
	for _, written := range slices.Sorted(maps.Keys(settings)) {
		cause, err := ParseCause(settings[written])
		key := codeKey(written)
		switch twin, twice := spelled[key]; {
		case key == "" || code(written) != written:
			err = errors.New("a code has 1 to 16 letters, digits, '-' or '_'")
		case twice:
			err = fmt.Errorf("is the same code as %q", twin)
		}
		if err != nil {
			faults = append(faults, &CodeError{written, err})
			continue
		}
		table[key], spelled[key] = cause, written
	}
	return table, errors.Join(faults...)
}

// Cause returns what a code means, whatever its leading zeros and letter case;
// CauseNone where the table lacks it.
func (t ErrorTable) Cause(written string) Cause {
	if key := codeKey(written); key != "" {
		return t[key]
	}
	return CauseNone
}

func codeKey(written string) string { return unpadded(strings.ToUpper(code(written))) }
