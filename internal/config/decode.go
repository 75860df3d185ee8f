package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"straks/internal/faults"
	"straks/internal/suggest"
)

// defaulter is a table with defaults other than zero. They are set before the file's
// values.
type defaulter interface{ setDefaults() }

// reserver is a table whose struct has fields that the file must not set.
type reserver interface {
	// reserved maps such a key to a message that says what to do instead.
	reserved() map[string]string
}

// table fills the struct dst from src. It is strict: an unknown key and a wrong type are
// faults, and nothing is converted silently (the number 5 is not a duration). It continues
// after each fault.
func (c *checker) table(dst reflect.Value, src map[string]any) {
	if d, ok := dst.Addr().Interface().(defaulter); ok {
		d.setDefaults()
	}
	var reserved map[string]string
	if k, ok := dst.Addr().Interface().(reserver); ok {
		reserved = k.reserved()
	}
	known := make(map[string]bool)
	for _, f := range fieldsOf(dst.Type()) {
		if reserved[f.name] != "" {
			continue
		}
		known[f.name] = true
		c.key(f.name, dst.FieldByIndex(f.index), src)
	}
	for name := range src {
		switch {
		case reserved[name] != "":
			c.Add(name, "%s", reserved[name])
		case !known[name]:
			c.unknown(name, known)
		}
	}
}

// key decodes one key of a table, if it is there. A table that is absent still gets its
// defaults.
func (c *checker) key(name string, dst reflect.Value, src map[string]any) {
	v, ok := src[name]
	switch {
	case ok:
		c.value(name, dst, v)
	case isTable(dst.Type()):
		c.in(name).table(dst, nil)
	}
}

// value decodes one value.
func (c *checker) value(name string, dst reflect.Value, src any) {
	switch t := dst.Type(); {
	case t.Kind() == reflect.Pointer: // a value that means something even where it is zero
		dst.Set(reflect.New(t.Elem()))
		c.value(name, dst.Elem(), src)
	case isTable(t):
		if m, ok := src.(map[string]any); ok {
			c.in(name).table(dst, m)
			return
		}
		c.Add(name, "is %s; write it as a table, [%s]", kindOf(src), c.header(name))
	case t.Kind() == reflect.Map:
		c.pairs(name, dst, src)
	case t.Kind() == reflect.Slice:
		c.list(name, dst, src)
	default:
		if err := setScalar(dst, src); err != nil {
			c.Add(name, "%v", err)
		}
	}
}

// list decodes an array of tables, or of strings and numbers.
func (c *checker) list(name string, dst reflect.Value, src any) {
	items, ok := asList(src)
	if !ok {
		shape := "an array, in [ ]"
		if isTable(dst.Type().Elem()) {
			shape = fmt.Sprintf("[[%s]], with two brackets", c.header(name))
		}
		c.Add(name, "is %s; write it as %s", kindOf(src), shape)
		return
	}
	if len(items) == 0 {
		dst.SetZero()
		return
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(items), len(items)))
	for i, item := range items {
		c.value(faults.Index(name, i), dst.Index(i), item)
	}
}

// pairs decodes a table whose keys the operator chooses.
func (c *checker) pairs(name string, dst reflect.Value, src any) {
	m, ok := src.(map[string]any)
	if !ok {
		c.Add(name, "is %s; write it as a table, [%s]", kindOf(src), c.header(name))
		return
	}
	if len(m) == 0 {
		return
	}
	dst.Set(reflect.MakeMapWithSize(dst.Type(), len(m)))
	for k, v := range m {
		element := reflect.New(dst.Type().Elem()).Elem()
		c.in(name).value(k, element, v)
		dst.SetMapIndex(reflect.ValueOf(k), element)
	}
}

// asList returns the elements of either kind of array that the TOML decoder makes.
func asList(src any) ([]any, bool) {
	switch s := src.(type) {
	case []any:
		return s, true
	case []map[string]any:
		items := make([]any, len(s))
		for i := range s {
			items[i] = s[i]
		}
		return items, true
	}
	return nil, false
}

// unknown records a key that nothing reads.
func (c *checker) unknown(name string, known map[string]bool) {
	names := slices.Sorted(maps.Keys(known))
	if near := suggest.For(name, names); near != "" {
		c.Add(name, "is not known here; did you mean %q?", near)
		return
	}
	c.Add(name, "is not known here; known are: %s", strings.Join(names, ", "))
}

// field is one key of a table.
type field struct {
	name  string
	index []int // for reflect.Value.FieldByIndex
}

// fieldsOf lists the keys of a struct. A key's name is the field's in snake_case, unless a
// toml tag gives another. The keys of an embedded struct belong to the outer one too: so a
// package's own configuration struct is used as it is, and keys that only the file has
// (password_file) stand beside it.
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
		case !f.IsExported(), name == "-":
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

// startsWord reports whether the capital at i begins a word: after a small letter, or
// before one that is not the s of a plural.
func startsWord(runes []rune, i int) bool {
	if !unicode.IsUpper(runes[i-1]) {
		return true
	}
	rest := runes[i+1:]
	return len(rest) > 0 && unicode.IsLower(rest[0]) && string(rest) != "s"
}
