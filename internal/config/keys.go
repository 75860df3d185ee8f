package config

import (
	"reflect"
	"strings"
	"unicode"
)

// field is one key of a table: where it goes, and what it is called.
type field struct {
	name  string
	index []int // for reflect.Value.FieldByIndex
}

// fieldsOf lists the keys of a struct. A key's name is the field's in snake_case,
// unless a toml tag gives another. The keys of an embedded
// struct are the outer's too, so that a package's own configuration struct can
// be taken as it is, and what only the file knows (password_file) put beside it.
func fieldsOf(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		switch {
		case f.Anonymous:
			for _, inner := range fieldsOf(f.Type) {
				fields = append(fields, field{inner.name, append([]int{i}, inner.index...)})
			}
		case !f.IsExported():
		case name != "":
			fields = append(fields, field{name, []int{i}})
		default:
			fields = append(fields, field{snake(f.Name), []int{i}})
		}
	}
	return fields
}

// snake spells a Go name as a key: SystemID is system_id, CAFile is ca_file,
// SMSCs is smscs.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && startsWord(runes, i) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// startsWord tells whether the capital at i begins a word: after a small letter,
// or before one, unless that is the s of a plural.
func startsWord(runes []rune, i int) bool {
	if !unicode.IsUpper(runes[i-1]) {
		return true
	}
	rest := runes[i+1:]
	return len(rest) > 0 && unicode.IsLower(rest[0]) && string(rest) != "s"
}
