package dlr

import (
	"strconv"
	"strings"
	"time"
)

// words are the states as receipts spell them: Appendix B's, whole words, and what is seen
// besides. BARRED, BARREDA (too young for it), ZEROBAL and NULL ("no delivery report
// received from operator") are PSWinCom's, of wiki.pswin.com/Delivery-Report-Status.ashx.
var words = map[string]State{
	"ENROUTE": Enroute, "BUFFERED": Enroute, "BUFFRED": Enroute, "SCHEDULED": Enroute,
	"DELIVRD": Delivered, "DELIVERED": Delivered, "DELIVERD": Delivered,
	"EXPIRED": Expired, "EXPIRD": Expired,
	"DELETED": Deleted, "DELETD": Deleted, "CANCELED": Deleted, "CANCELLED": Deleted,
	"UNDELIV": Undeliverable, "UNDELIVERABLE": Undeliverable, "UNDELIVERED": Undeliverable,
	"UNDELIVRD": Undeliverable, "UNDELIVERD": Undeliverable, "FAILED": Undeliverable,
	"SYSERR": Undeliverable, "NOCRED": Undeliverable, "ZEROBAL": Undeliverable,
	"BARRED": Undeliverable, "BARREDA": Undeliverable,
	"ACCEPTD": Accepted, "ACCEPTED": Accepted,
	"UNKNOWN": Unknown, "UNKNOWD": Unknown, "NULL": Unknown,
	"REJECTD": Rejected, "REJECTED": Rejected,
	"SKIPPED": Skipped,
}

// wordCauses are those of the words that say why.
var wordCauses = map[string]Cause{"BARRED": CauseBarred, "BARREDA": CauseBarred}

// separators are what some put into a state: "EN_ROUTE".
var separators = strings.NewReplacer("_", "", "-", "", ".", "")

// parseState reads a stat: value: a word, or a number of message_state.
func parseState(value string) State {
	state := stateWord(token(value, maxWord))
	if state == Delivered && qualifier(value) != "" {
		return None
	}
	return state
}

func stateWord(word string) State {
	if n, err := strconv.Atoi(word); err == nil {
		if n > 0 && n <= int(Skipped) {
			return State(n)
		}
		return None
	}
	return words[spelling(word)]
}

// qualifier returns the word behind the first: "DELIVERED NO" is anything but delivered.
// A field of the vendor's own may follow, which has a colon or '=', and is none.
func qualifier(value string) string {
	words := strings.FieldsFunc(value, blank)
	if len(words) < 2 || strings.ContainsAny(words[1], ":=") || !strings.ContainsFunc(words[1], letterOrDigit) {
		return ""
	}
	return words[1]
}

// parseCause returns what a stat: value says of why.
func parseCause(value string) Cause { return wordCauses[spelling(token(value, maxWord))] }

func spelling(word string) string { return separators.Replace(strings.ToUpper(word)) }

// strange returns a stat: value that is no state known, for operators: its first word, and
// the second where that makes the first strange.
func strange(value string) string {
	word := token(value, maxWord)
	masked := maskWord(word)
	if stateWord(word) != None {
		masked += " " + maskWord(token(qualifier(value), maxWord))
	}
	return masked
}

// maskWord makes a word fit for logs. It need not come from a carrier's list of states, a
// name or a code may have got there: of what is no state, two letters and the length are
// shown, enough to find it in that list.
func maskWord(word string) string {
	if stateWord(word) != None {
		return spelling(word)
	}
	masked := []byte(strings.Repeat("*", len(word)))
	for i := 0; i < min(2, len(word)) && letter(rune(word[i])); i++ {
		masked[i] = word[i]
	}
	return string(masked)
}

// layouts are the forms of a date by the number of its digits. With twelve, the
// form of Appendix B with seconds comes first: from 2021 on, a year of four digits does not
// pass for it.
var layouts = map[int][]string{
	10: {"0601021504"},
	12: {"060102150405", "200601021504"},
	14: {"20060102150405"},
}

// parseDate reads a submit or done date, with or without separators; the zero time
// where it is none. What follows the digits (a fraction, a time zone) is left out.
func parseDate(value string) time.Time {
	digits := dateDigits(strings.TrimLeft(value, " \"'"))
	for _, layout := range layouts[len(digits)] {
		if t, err := time.Parse(layout, digits); err == nil {
			return t
		}
	}
	return time.Time{}
}

// dateDigits returns the digits of a date. A first run that is a date by
// itself ends it: the "-0100" after it is a time zone.
func dateDigits(value string) string {
	run := 0
	for run < len(value) && digit(rune(value[run])) {
		run++
	}
	if layouts[run] != nil {
		return value[:run]
	}
	var digits []byte
	for i := 0; i < len(value) && len(digits) < 14; i++ {
		switch c := value[i]; {
		case digit(rune(c)):
			digits = append(digits, c)
		case !strings.ContainsRune("-/: T", rune(c)):
			return string(digits)
		}
	}
	return string(digits)
}
