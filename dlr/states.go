package dlr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// StateTable maps the state words and numbers of one SMSC to what they mean there. It goes
// before the words that all SMSCs share, and before TLV message_state. Make it with
// NewStateTable.
type StateTable map[string]meaning

// meaning is what a word or number says of a message.
type meaning struct {
	state State
	cause Cause
}

// meanings are the values of a setting, in the order in which errors list them.
var meanings = []struct {
	name string
	meaning
}{
	{"delivered", meaning{Delivered, CauseNone}},
	{"accepted", meaning{Accepted, CauseNone}},
	{"failed", meaning{Unknown, CauseNone}},
	{"undelivered", meaning{Undeliverable, CauseNone}},
	{"expired", meaning{Expired, CauseNone}},
	{"deleted", meaning{Deleted, CauseNone}},
	{"rejected", meaning{Rejected, CauseNone}},
	{"barred", meaning{Undeliverable, CauseBarred}},
	{"invalid_recipient", meaning{Undeliverable, CauseInvalidNumber}},
	{"not_identified", meaning{Undeliverable, CauseUnknownSubscriber}},
}

func parseMeaning(s string) (meaning, error) {
	var names []string
	for _, m := range meanings {
		if m.name == s {
			return m.meaning, nil
		}
		names = append(names, m.name)
	}
	return meaning{}, fmt.Errorf("no meaning %q of a state: use one of %s", s, strings.Join(names, ", "))
}

// maxKey is how long a word of a table may be, in octets: two words of a receipt.
const maxKey = 2*maxWord + 1

// NewStateTable reads a table of settings, word or number to meaning. Letter case, blanks,
// '_', '-' and '.' in a word don't count, nor do leading zeros in a number. It reports all
// faults at once: the error joins one *CodeError for each (errors.Join).
func NewStateTable(settings map[string]string) (StateTable, error) {
	table := make(StateTable, len(settings))
	spelled := make(map[string]string, len(settings))
	var faults []error
	for _, written := range slices.Sorted(maps.Keys(settings)) {
		means, err := parseMeaning(settings[written])
		key := stateKey(written)
		switch twin, twice := spelled[key]; {
		case !letterOrDigitIn(key) || len(written) > maxKey || !all(written, wordOrBlank):
			err = fmt.Errorf("a state is one word or number, or two words: letters, digits, '_', '-', '.' and a blank, at most %d in all", maxKey)
		case twice:
			err = fmt.Errorf("is the same state as %q", twin)
		}
		if err != nil {
			faults = append(faults, &CodeError{written, err})
			continue
		}
		table[key], spelled[key] = means, written
	}
	return table, errors.Join(faults...)
}

func letterOrDigitIn(s string) bool { return strings.ContainsFunc(s, letterOrDigit) }

func wordOrBlank(r rune) bool { return letterOrDigit(r) || strings.ContainsRune("_-. ", r) }

// stateKey returns the same string for all spellings of a state.
func stateKey(written string) string {
	return unpadded(strings.ReplaceAll(spelling(written), " ", ""))
}

// lookUp returns what a stat: value means in the table. Two words count before the first of
// them, and "delivered" only for the whole value, as in parseState.
func (t StateTable) lookUp(value string) (meaning, bool) {
	if len(t) == 0 {
		return meaning{}, false
	}
	first, second := token(value, maxWord), token(qualifier(value), maxWord)
	if means, ok := t[stateKey(first+second)]; ok && first != "" {
		return means, true
	}
	means, ok := t[stateKey(first)]
	return means, ok && first != "" && (means.state != Delivered || qualifier(value) == "")
}

// vocabulary has the words of which states are made. A word that has nothing else, apart
// from separators, is no name and no code, so an operator may see it.
var vocabulary = func() map[string]bool {
	all := make(map[string]bool)
	for word := range strings.FieldsSeq(`
		ABSENT ACCEPTED ACK ACKED ACTIVE BARRED BILLING BLACKLIST BLACKLISTED BLK BLOCKED BOUNCED BUFFERED BUSY BY
		CALL CARRIER CONGESTION CONTENT CREDIT DELAYED DELETED DELIVERED DELIVERY DENIED DESTINATION DEVICE DISPATCHED
		DLT DND DUPLICATE ENROUTE ERR ERROR EXCEEDED EXEC EXPIRED FAIL FAILED FAILURE FILTERED FOUND FULL HANDSET HLR
		ILLEGAL IN INACTIVE INSUFFICIENT INTERNAL INVALID KNOWN LIMIT MEMEXEC MEMORY MESSAGE MOB MOBILE NACK NDNC NET
		NETWORK NO NONE NOT NUMBER OFF OK OPERATOR OPTOUT OUT PENDING PERM PERMANENT PHONE PROGRESS QUEUED REACHABLE
		REACHED REGISTERED REJECT REJECTED REPORT RETRY ROUTABLE ROUTE SENDER SENT SERIES SERVICE SIM SMSC SOURCE SPAM
		STOPPED SUB SUBMITTED SUBSCRIBER SUCCESS SWITCHED SYSTEM TEMP TEMPORARY TIME TIMEOUT TO TRANSIT TRANSMITTED
		UNAVAILABLE UNDELIVERABLE UNDELIVERED UNKNOWN UNREACHABLE UNROUTABLE USER VALID VALIDITY`) {
		all[word] = true
	}
	return all
}()

// harmless reports whether an unknown word of a state may be shown: it is a number of one or
// two digits, or is made of the vocabulary. A code has more digits, and a name is no such word.
func harmless(word string) bool {
	if len(word) <= 2 && word != "" && all(word, digit) {
		return true
	}
	parts := strings.FieldsFunc(strings.ToUpper(word), func(r rune) bool { return strings.ContainsRune("_-.", r) })
	for _, part := range parts {
		if !vocabulary[part] && words[part] == None {
			return false
		}
	}
	return len(parts) > 0 && all(word, wordOrBlank)
}
