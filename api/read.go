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

// orderNames are the names of all properties of orders.
var orderNames = []string{"idempotencyId", "sendersReference", "recipient", "recipientSms", "recipientEmail",
	"phoneNumber", "timeToLiveInSeconds", "smsSettings", "sender", "body",
	"emailAddress", "emailSettings", "subject", "senderEmailAddress", "contentType"}

// object is a JSON object in the body of a request. Each method reads one
// property and records its faults. The path that it returns is
// spelled as in the body if the property is there, else as in the contract.
type object struct {
	names  []string   // of all properties that may be asked for
	found  []property // as names; nil: the object is absent, which is a fault already; its properties are not reported as missing
	path   string     // of the object itself; empty for the body
	faults *faults
}

// newObject returns the object with the octets raw.
func newObject(raw []byte, names []string, path string, f *faults) object {
	o := object{names: names, found: make([]property, len(names)), path: path, faults: f}
	scan(raw, names, o.found)
	return o
}

// root returns the object that a body is, or records why it is none. ok is false then.
func root(body []byte, names []string, f *faults) (o object, ok bool) {
	// A byte order mark is ignored (RFC 8259 §8.1 lets us): .NET clients send it.
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if err := checkJSON(body); err != nil {
		f.add("$", err.Error())
		return o, false
	}
	body = bytes.TrimSpace(body)
	if body[0] != '{' {
		f.add("$", "must be an object, but is "+kind(body))
		return o, false
	}
	return newObject(body, names, "", f), true
}

// find returns the property's value; nil means absent. null is absent too.
func (o object) find(name string) (path string, value []byte) {
	path = name
	if o.found != nil {
		if p := o.found[slices.Index(o.names, name)]; p.value != nil {
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
		return newObject(value, o.names, path, o.faults)
	}
	return object{names: o.names, path: path, faults: o.faults}
}

// optionalObject reads a property that is an object, and may be absent: ok is false then, and after a fault.
func (o object) optionalObject(name string) (inner object, ok bool) {
	path, value := o.find(name)
	if value == nil {
		return object{}, false
	}
	if value[0] != '{' {
		o.faults.add(path, "must be an object, but is "+kind(value))
		return object{}, false
	}
	return newObject(value, o.names, path, o.faults), true
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

// integer reads a required whole number from least to most.
func (o object) integer(name string, least, most int) int {
	path, value := o.find(name)
	switch {
	case o.found == nil:
		return 0
	case value == nil:
		o.faults.add(path, fmt.Sprintf("is required: a whole number from %d to %d", least, most))
		return 0
	}
	return o.whole(path, value, least, most)
}

// optionalInteger reads a whole number from least to most that may be absent.
func (o object) optionalInteger(name string, least, most, otherwise int) (n int, path string) {
	path, value := o.find(name)
	if value == nil {
		return otherwise, path
	}
	return o.whole(path, value, least, most), path
}

// whole reads a whole number, in quotes or not, as existing clients' server does. A number with a fraction or an
// exponent is refused even where its value is whole: it comes from a client that computes in floating point.
func (o object) whole(path string, value []byte, least, most int) int {
	if value[0] == '"' {
		if quoted := unescaped(nil, value); len(quoted) > 0 && len(bytes.Trim(quoted, "0123456789")) == 0 {
			value = quoted
		}
	}
	if value[0] != '-' && (value[0] < '0' || value[0] > '9') {
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
