package dlr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Cause is why a message was not delivered, in terms that all SMSCs share.
type Cause uint8

const (
	CauseNone              Cause = iota // the code says nothing, or the table lacks it
	CauseBarred                         // the subscriber, or calls to it, are barred
	CauseAbsent                         // out of reach until the SMSC stopped trying
	CauseUnknownSubscriber              // no such subscriber
	CauseInvalidNumber                  // not a number, or of no network
	CauseUnsupported                    // the handset or subscription takes no messages
	CauseMemoryFull                     // the memory of the handset is full
	CauseNetwork                        // a failure in the network
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

// ErrorTable maps the error codes of one SMSC to causes. Make it with NewErrorTable.
type ErrorTable map[string]Cause

// CodeError is one fault in a table of settings.
type CodeError struct {
	Code string // as written
	Err  error  // says what is wrong with the code or its cause
}

func (e *CodeError) Error() string { return e.Code + ": " + e.Err.Error() }

// NewErrorTable reads a table of settings, code to cause. It reports all faults at
// once: the error joins one *CodeError for each (errors.Join).
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

// Cause returns the cause of a code, ignoring leading zeros and letter case;
// CauseNone if the table lacks it.
func (t ErrorTable) Cause(written string) Cause {
	if key := codeKey(written); key != "" {
		return t[key]
	}
	return CauseNone
}

func codeKey(written string) string { return unpadded(strings.ToUpper(code(written))) }
