package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A body is checked once, as a whole, by encoding/json. The functions below walk JSON
// that is known to be valid, so they can neither fail nor recurse. An object is
// its octets, and its properties are found in one walk over them. This keeps the client's
// spelling of the names, which encoding/json discards. It needs no memory, and its time grows with the octets
// only, whatever they are: a hostile body has as many properties as it has room for.

// checkJSON returns what keeps body from being one JSON value in UTF-8
// (RFC 8259 §8.1), in words for the caller.
func checkJSON(body []byte) error {
	if len(bytes.TrimLeft(body, " \t\r\n")) == 0 {
		return errors.New("the body is empty: send a JSON object")
	}
	if !utf8.Valid(body) {
		return errors.New("the body is not valid UTF-8")
	}
	if json.Valid(body) {
		return nil
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(body, new(json.RawMessage)); errors.As(err, &syntax) {
		read := body[:min(max(int(syntax.Offset)-1, 0), len(body))]
		line := 1 + bytes.Count(read, []byte("\n"))
		column := len(read) - (bytes.LastIndexByte(read, '\n') + 1) + 1
		return fmt.Errorf("not valid JSON at line %d, octet %d: %w", line, column, syntax)
	}
	return errors.New("not valid JSON")
}

// property is one of an object: its name, a string literal as it is spelled there, and its value. A nil value
// means that the object lacks it.
type property struct{ name, value []byte }

// spelled returns the name.
func (p property) spelled() string { return string(unescaped(nil, p.name)) }

// scan finds properties of the object: for each of the names the last one whose name is equal, ignoring
// case as encoding/json does.
func scan(object []byte, names []string, found []property) {
	longest := 0
	for _, name := range names {
		longest = max(longest, len(name))
	}
	var buffer [128]byte
	i := skipSpace(object, skipSpace(object, 0)+1) // past the brace
	for object[i] != '}' {
		end := endOfString(object, i)
		literal := object[i:end]
		start := skipSpace(object, skipSpace(object, end)+1) // past the colon
		end = endOfValue(object, start)
		if len(literal)-2 <= 6*longest { // an escape has 6 octets, for a letter that may be equal to one of 1 octet
			key := literal[1 : len(literal)-1]
			if bytes.IndexByte(key, '\\') >= 0 {
				key = unescaped(buffer[:0], literal)
			}
			for n, name := range names {
				if string(key) == name || strings.EqualFold(string(key), name) {
					found[n] = property{literal, object[start:end]}
				}
			}
		}
		if i = skipSpace(object, end); object[i] == ',' {
			i = skipSpace(object, i+1)
		}
	}
}

// unescaped appends the content of a string literal to b. Half of a surrogate pair becomes U+FFFD, as with
// encoding/json.
func unescaped(b, literal []byte) []byte {
	content := literal[1 : len(literal)-1]
	for {
		i := bytes.IndexByte(content, '\\')
		if i < 0 {
			return append(b, content...)
		}
		b = append(b, content[:i]...)
		if content[i+1] != 'u' {
			b = append(b, escaped[content[i+1]])
			content = content[i+2:]
			continue
		}
		r := escapedUnit(content, i)
		content = content[i+6:]
		if utf16.IsSurrogate(r) {
			if r = utf16.DecodeRune(r, escapedUnit(content, 0)); r != utf8.RuneError {
				content = content[6:]
			}
		}
		b = utf8.AppendRune(b, r)
	}
}

// escaped is what a backslash before the character stands for (RFC 8259 §7).
var escaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// octetsInJSON returns how many octets the content of a string has in our answers: encoding/json escapes control
// characters and <, > and & with six.
func octetsInJSON(s string) int {
	literal, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string can't fail
	}
	return len(literal) - 2
}

// loneSurrogate reports whether a string literal escapes half of a surrogate
// pair: no Unicode text contains one, and encoding/json silently replaces it.
func loneSurrogate(literal []byte) bool {
	for i := bytes.IndexByte(literal, '\\'); i >= 0 && i < len(literal)-1; i++ {
		if literal[i] != '\\' {
			continue
		}
		i++ // the octet after a backslash never starts an escape
		switch first := escapedUnit(literal, i-1); {
		case !utf16.IsSurrogate(first):
		case utf16.DecodeRune(first, escapedUnit(literal, i+5)) == utf8.RuneError:
			return true
		default:
			i += 10 // uXXXX\uXXXX
		}
	}
	return false
}

// escapedUnit returns the UTF-16 unit that the escape \uXXXX at i stands for, or -1.
func escapedUnit(literal []byte, i int) rune {
	if i+6 > len(literal) || literal[i] != '\\' || literal[i+1] != 'u' {
		return -1
	}
	unit := rune(0)
	for _, c := range literal[i+2 : i+6] {
		digit := rune(c - '0')
		if c > '9' {
			digit = rune(c|0x20-'a') + 10
		}
		unit = unit<<4 | digit
	}
	return unit
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// endOfString returns the index after the string literal that starts at i.
func endOfString(b []byte, i int) int {
	for i++; ; i++ {
		i += bytes.IndexByte(b[i:], '"')
		escapes := 0
		for b[i-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i + 1
		}
	}
}

// endOfValue returns the index after the value that starts at i.
func endOfValue(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch b[i] {
		case '"':
			i = endOfString(b, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\r', '\n':
			i++
			continue
		default: // number, true, false, null
			for i < len(b) && b[i] != ',' && b[i] != ']' && b[i] != '}' && skipSpace(b, i) == i {
				i++
			}
		}
		if depth == 0 {
			break
		}
	}
	return i
}

// kind names the type of a value in words for the caller.
func kind(value []byte) string {
	switch value[0] {
	case '"':
		return "a string"
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
