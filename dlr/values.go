package dlr

import (
	"strconv"
	"strings"
	"time"
)

// words are the states as receipts spell them: those of Appendix B, whole words, and
// spellings seen in the field. BARRED, BARREDA (recipient too young), ZEROBAL and NULL ("no
// delivery report received from operator") are PSWinCom's, see
// wiki.pswin.com/Delivery-Report-Status.ashx.
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

// wordCauses are the causes of the words that give one.
var wordCauses = map[string]Cause{"BARRED": CauseBarred, "BARREDA": CauseBarred}

// separators are removed from a state before it is looked up: "EN_ROUTE".
var separators = strings.NewReplacer("_", "", "-", "", ".", "")

// parseState reads a stat: value, which is a word or a number of message_state.
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

// qualifier returns the second word of a state: "DELIVERED NO" is not delivered. A word
// with a colon or '=' is a vendor's own field and no qualifier.
func qualifier(value string) string {
	words := strings.FieldsFunc(value, blank)
	if len(words) < 2 || strings.ContainsAny(words[1], ":=") || !strings.ContainsFunc(words[1], letterOrDigit) {
		return ""
	}
	return words[1]
}

// parseCause returns the cause that a stat: value gives.
func parseCause(value string) Cause { return wordCauses[spelling(token(value, maxWord))] }

func spelling(word string) string { return separators.Replace(strings.ToUpper(word)) }

// unknownState returns a stat: value that is no known state, masked for operators: its first
// two words.
func unknownState(value string) string {
	masked := maskWord(token(value, maxWord))
	if second := token(qualifier(value), maxWord); second != "" {
		masked += " " + maskWord(second)
	}
	return masked
}

// maskWord makes a word fit for logs. The word need not be from a carrier's list of
// states; a name or a code may stand there. Of a word that is not harmless only the first two
// letters and the length are shown, which is enough to find it in such a list.
func maskWord(word string) string {
	if stateWord(word) != None {
		return spelling(word)
	}
	if harmless(word) {
		return strings.ToUpper(word)
	}
	masked := []byte(strings.Repeat("*", len(word)))
	for i := 0; i < min(2, len(word)) && letter(rune(word[i])); i++ {
		masked[i] = word[i]
	}
	return string(masked)
}

// layouts are the forms of a date by its number of digits. Of the two with twelve, the
// form of Appendix B with seconds comes first: from 2021 on, a date with a year of four
// digits is not valid in it.
var layouts = map[int][]string{
	10: {"0601021504"},
	12: {"060102150405", "200601021504"},
	14: {"20060102150405"},
}

// parseDate reads a submit or done date, with or without separators. It returns the zero
// time if the value is no date. A fraction or time zone after the digits is ignored.
func parseDate(value string) time.Time {
	digits := dateDigits(strings.TrimLeft(value, " \"'"))
	for _, layout := range layouts[len(digits)] {
		if t, err := time.Parse(layout, digits); err == nil {
			return t
		}
	}
	return time.Time{}
}

// dateDigits returns the digits of a date. If the first run of digits is a whole date,
// the rest is ignored: a "-0100" after it is a time zone.
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
