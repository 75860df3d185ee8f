package config

import (
	"fmt"
	"reflect"
	"strings"

	"straks/internal/suggest"
)

// defaulter is a table that has defaults other than zero. They are set before
// what the file says of it.
type defaulter interface{ setDefaults() }

// keeper is a table some of whose struct's fields the file must not set.
type keeper interface {
	// reserved maps such a key to what to do instead.
	reserved() map[string]string
}

// table fills the struct dst with what src says. It is strict: an unknown key and
// a wrong type are faults, and nothing is converted silently (the number 5 is
// no duration). It goes on after each fault.
func (c *checker) table(dst reflect.Value, src map[string]any) {
	if d, ok := dst.Addr().Interface().(defaulter); ok {
		d.setDefaults()
	}
	var reserved map[string]string
	if k, ok := dst.Addr().Interface().(keeper); ok {
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
			c.fault(name, "%s", reserved[name])
		case !known[name]:
			c.unknown(name, known)
		}
	}
}

// key decodes one key of a table, if it is there. A table that is not there has
// its defaults set all the same.
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
	case t.Kind() == reflect.Pointer: // a value that has a meaning even where it is zero
		dst.Set(reflect.New(t.Elem()))
		c.value(name, dst.Elem(), src)
	case isTable(t):
		if m, ok := src.(map[string]any); ok {
			c.in(name).table(dst, m)
			return
		}
		c.fault(name, "is %s; write it as a table, [%s]", kindOf(src), c.header(name))
	case t.Kind() == reflect.Map:
		c.pairs(name, dst, src)
	case t.Kind() == reflect.Slice:
		c.list(name, dst, src)
	default:
		if err := setScalar(dst, src); err != nil {
			c.fault(name, "%v", err)
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
		c.fault(name, "is %s; write it as %s", kindOf(src), shape)
		return
	}
	if len(items) == 0 {
		dst.SetZero()
		return
	}
	dst.Set(reflect.MakeSlice(dst.Type(), len(items), len(items)))
	for i, item := range items {
		c.value(indexed(name, i), dst.Index(i), item)
	}
}

// pairs decodes a table whose keys the operator chooses.
func (c *checker) pairs(name string, dst reflect.Value, src any) {
	m, ok := src.(map[string]any)
	if !ok {
		c.fault(name, "is %s; write it as a table, [%s]", kindOf(src), c.header(name))
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

// unknown tells of a key that nothing reads.
func (c *checker) unknown(name string, known map[string]bool) {
	names := sortedKeys(known)
	if near := suggest.For(name, names); near != "" {
		c.fault(name, "is not known here; did you mean %q?", near)
		return
	}
	c.fault(name, "is not known here; these are: %s", strings.Join(names, ", "))
}
