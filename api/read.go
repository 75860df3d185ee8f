package api

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// faults maps the path of a property, or the name of a query parameter, to messages that say what
// to correct. No message repeats data of the client: faults may be logged.
type faults map[string][]string

func (f *faults) add(path, message string) {
	if *f == nil {
		*f = faults{}
	}
	(*f)[path] = append((*f)[path], message)
}

// covers reports whether path, or an object that contains it, has a fault already.
func (f faults) covers(path string) bool {
	for {
		if _, ok := f[path]; ok {
			return true
		}
		dot := strings.LastIndexByte(path, '.')
		if dot < 0 {
			return false
		}
		path = path[:dot]
	}
}

// properties are the names of all properties of orders.
var properties = []string{"idempotencyId", "sendersReference", "recipient", "recipientSms", "recipientEmail",
	"phoneNumber", "timeToLiveInSeconds", "smsSettings", "sender", "body",
	"emailAddress", "emailSettings", "subject", "senderEmailAddress", "contentType"}

// object is a JSON object in the body of a request. Each method reads one
// property and records its faults. The path that it returns is
// spelled as in the body if the property is there, else as in the contract.
type object struct {
	found  []property // as properties; nil: the object is absent, which is a fault already; its properties are not reported as missing
	path   string     // of the object itself; empty for the body
	faults *faults
}

// newObject returns the object with the octets raw.
func newObject(raw []byte, path string, f *faults) object {
	o := object{found: make([]property, len(properties)), path: path, faults: f}
	scan(raw, properties, o.found)
	return o
}

// find returns the property's value; nil means absent. null is absent too.
func (o object) find(name string) (path string, value []byte) {
	path = name
	if o.found != nil {
		if p := o.found[slices.Index(properties, name)]; p.value != nil {
			path, value = p.spelled(), p.value
		}
	}
	if o.path != "" {
		path = o.path + "." + path
	}
	if value != nil && value[0] == 'n' {
		value = nil
	}
	return path, value
}

// object reads a required property that is an object.
func (o object) object(name string) object {
	path, value := o.find(name)
	switch {
	case o.found == nil:
	case value == nil:
		o.faults.add(path, "is required")
	case value[0] != '{':
		o.faults.add(path, "must be an object, but is "+kind(value))
	default:
		return newObject(value, path, o.faults)
	}
	return object{path: path, faults: o.faults}
}

// required reads a string that must be there and not be blank.
func (o object) required(name string) (text, path string) {
	text, path, _ = o.optional(name)
	if strings.TrimSpace(text) == "" && o.found != nil && !o.faults.covers(path) {
		o.faults.add(path, "is required and must not be blank")
	}
	return text, path
}

// optional reads a string that may be absent; given reports whether it is there
// and is a string.
func (o object) optional(name string) (text, path string, given bool) {
	path, value := o.find(name)
	switch {
	case value == nil:
		return "", path, false
	case value[0] != '"':
		o.faults.add(path, "must be a string, but is "+kind(value))
		return "", path, false
	}
	text = string(unescaped(nil, value))
	switch {
	case strings.IndexByte(text, 0) >= 0:
		o.faults.add(path, "must not contain the character U+0000")
	case strings.ContainsRune(text, utf8.RuneError) && loneSurrogate(value):
		o.faults.add(path, `must be Unicode text, but has half of a surrogate pair (\uD800 to \uDFFF)`)
	default:
		return text, path, true
	}
	return "", path, false
}

// integer reads a required whole number from least to most, in quotes or not, as existing
// clients' server does. A number with a fraction or an exponent is refused even where its value is
// whole: it comes from a client that computes in floating point.
func (o object) integer(name string, least, most int) int {
	path, value := o.find(name)
	if value != nil && value[0] == '"' {
		if quoted := unescaped(nil, value); len(quoted) > 0 && len(bytes.Trim(quoted, "0123456789")) == 0 {
			value = quoted
		}
	}
	switch {
	case o.found == nil:
		return 0
	case value == nil:
		o.faults.add(path, fmt.Sprintf("is required: a whole number from %d to %d", least, most))
		return 0
	case value[0] != '-' && (value[0] < '0' || value[0] > '9'):
		o.faults.add(path, fmt.Sprintf("must be a whole number from %d to %d, but is %s", least, most, kind(value)))
		return 0
	}
	n, err := strconv.Atoi(string(value))
	if err != nil || n < least || n > most {
		o.faults.add(path, fmt.Sprintf("must be a whole number from %d to %d", least, most))
		return 0
	}
	return n
}
