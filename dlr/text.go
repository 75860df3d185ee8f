package dlr

import (
	"strings"
	"unicode/utf16"
)

// maxText is how many octets of a text are read. The form of Appendix B has about 120.
const maxText = 4096

// field is a field of a receipt's text.
type field uint8

const (
	fieldID field = iota
	fieldSub
	fieldDlvrd
	fieldSubmit
	fieldDone
	fieldStat
	fieldErr
	fieldText
	fieldCount
)

// names are the spellings of the fields, without blanks and underscores. If one
// spelling ends in another, the longer comes first.
var names = [...]struct {
	name string
	is   field
}{
	{"messageid", fieldID}, {"msgid", fieldID}, {"smsid", fieldID}, {"id", fieldID},
	{"sub", fieldSub},
	{"dlvrd", fieldDlvrd}, {"delivered", fieldDlvrd},
	{"submitdate", fieldSubmit}, {"submitted", fieldSubmit},
	{"donedate", fieldDone},
	{"status", fieldStat}, {"state", fieldStat}, {"stat", fieldStat},
	{"error", fieldErr}, {"err", fieldErr},
	{"text", fieldText},
}

// fields are the raw values found in a text.
type fields struct {
	value  [fieldCount]string
	found  [fieldCount]bool
	loose  [fieldCount]bool // found in the middle of a word; a name that stands alone is preferred
	leadID bool             // the text begins with the id
	rest   *fields          // those after an empty "text:", see afterEmptyText; usually nil
}

// unmistakable reports whether the text must be a receipt, whatever esm_class says.
func (d Dialect) unmistakable(f fields) bool {
	f = f.whole(None)
	more := 0
	for _, is := range []field{fieldSub, fieldDlvrd, fieldSubmit, fieldDone, fieldErr} {
		if f.found[is] {
			more++
		}
	}
	_, known := d.States.lookUp(f.value[fieldStat])
	return f.leadID && token(f.value[fieldID], maxID) != "" && (known || parseState(f.value[fieldStat]) != None) && more >= 2
}

// label is a field's name and colon in a text.
type label struct {
	is         field
	start, end int  // of the name, and after the colon
	loose      bool // the name continues a word
}

// scan finds the fields of a text. A value reaches to the next label.
func scan(text string) fields {
	var f fields
	labels := findLabels(text)
	for i, l := range labels {
		end := len(text)
		if i+1 < len(labels) {
			end = labels[i+1].start
		}
		f.set(l, text[l.end:end], labels[0].is == fieldText)
	}
	f.leadID = len(labels) > 0 && labels[0].is == fieldID && labels[0].start == 0
	if n := len(labels); n > 0 && labels[n-1].is == fieldText {
		f.rest = f.afterEmptyText(text[labels[n-1].end:])
	}
	return f
}

// afterEmptyText returns the fields of what follows "text:", if the SMSC must have written them:
// the message's own text is empty. nil if not. Of a message whose text begins like a field it
// could be written too, so all of these must hold:
//
//   - Between "text:" and the next field is at least one blank, and nothing but blanks, quotes
//     and punctuation.
//   - Each field is there once in the whole receipt. An SMSC that writes its fields before the
//     text leaves none of them to be written a second time.
//   - The state is after the text, and at least one more field. An SMSC that merely has no state
//     for this message has its other fields before the text.
func (f fields) afterEmptyText(text string) *fields {
	labels := findLabels(text)
	if len(labels) < 2 {
		return nil
	}
	between := text[:labels[0].start]
	if !strings.ContainsFunc(between, blank) || strings.Trim(between, " ,;|\"'\r\n\t") != "" {
		return nil
	}
	var rest fields
	for i, l := range labels {
		end := len(text)
		if i+1 < len(labels) {
			end = labels[i+1].start
		}
		if f.found[l.is] || rest.found[l.is] {
			return nil
		}
		rest.set(l, text[l.end:end], false)
	}
	if !rest.found[fieldStat] {
		return nil
	}
	return &rest
}

// whole adds the fields after an empty "text:", unless a TLV gives the state: then nothing is
// missing.
func (f fields) whole(state State) fields {
	if f.rest == nil || state != None {
		return f
	}
	for is, found := range f.rest.found {
		if found {
			f.found[is], f.value[is] = true, f.rest.value[is]
		}
	}
	f.rest = nil
	return f
}

// set stores a value. The first of its name wins, unless lastWins.
func (f *fields) set(l label, value string, lastWins bool) {
	better := f.loose[l.is] && !l.loose
	if f.found[l.is] && !better && !lastWins {
		return
	}
	f.found[l.is], f.loose[l.is], f.value[l.is] = true, l.loose, value
}

// findLabels returns the labels up to "text:", or all of them if "text:" is the first.
func findLabels(text string) (labels []label) {
	for colon := range len(text) {
		if text[colon] != ':' {
			continue
		}
		l, ok := labelAt(text, colon)
		if !ok || len(labels) > 0 && l.start < labels[len(labels)-1].end {
			continue
		}
		labels = append(labels, l)
		if l.is == fieldText && labels[0].is != fieldText {
			break
		}
	}
	return labels
}

// labelAt returns the label that ends with this colon.
func labelAt(text string, colon int) (label, bool) {
	for _, n := range names {
		start, ok := endsWith(text[:colon], n.name)
		if !ok {
			continue
		}
		loose := start > 0 && letter(rune(text[start-1]))
		if loose && n.is == fieldID { // "valid:", "paid:"
			return label{}, false
		}
		return label{is: n.is, start: start, end: colon + 1, loose: loose}, true
	}
	return label{}, false
}

// endsWith reports whether text ends with the name, ignoring letter case, blanks and
// underscores, and where the name starts.
func endsWith(text, name string) (start int, ok bool) {
	at := len(text)
	for i := len(name) - 1; i >= 0; i-- {
		for at > 0 && filler(text[at-1]) {
			at--
		}
		if at == 0 || text[at-1]|0x20 != name[i] {
			return 0, false
		}
		at--
	}
	return at, true
}

func filler(c byte) bool { return c == ' ' || c == '_' || c == '-' }

// readable returns the text as a string. The zeros in it show whether it is UTF-16;
// data_coding is wrong as often as right. In the default alphabet, 0x11 is '_'.
func readable(text []byte) string {
	text = text[:min(len(text), maxText)]
	var zeros [2]int // at even and at odd offsets
	for i, c := range text[:len(text)&^1] {
		if c == 0 {
			zeros[i%2]++
		}
	}
	letters := string(text)
	switch half := len(text) / 4; {
	case zeros[0] > half && zeros[1] <= half:
		letters = fromUTF16(text, 0)
	case zeros[1] > half && zeros[0] <= half:
		letters = fromUTF16(text, 1)
	}
	letters = strings.ReplaceAll(letters, "\x11", "_")
	return strings.Trim(letters, "\x00\uFEFF\t\r\n ")
}

// fromUTF16 reads 16-bit units with the high octet first (high is 0) or second (1).
func fromUTF16(text []byte, high int) string {
	units := make([]uint16, len(text)/2)
	for i := range units {
		units[i] = uint16(text[2*i+high])<<8 | uint16(text[2*i+1-high])
	}
	return string(utf16.Decode(units))
}
