package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// isTable tells whether a field of this type is a table with known keys.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]()
}

// setScalar sets a single value. Its error reads on after the key.
func setScalar(dst reflect.Value, src any) error {
	switch at := dst.Addr().Interface().(type) {
	case *time.Duration:
		return setDuration(at, src)
	case *time.Time:
		return setTime(at, src)
	case encoding.TextUnmarshaler:
		if s, ok := src.(string); ok {
			return at.UnmarshalText([]byte(s))
		}
	}
	switch v := reflect.ValueOf(src); {
	case dst.Kind() == reflect.String && v.Kind() == reflect.String:
		dst.SetString(v.String())
	case dst.Kind() == reflect.Bool && v.Kind() == reflect.Bool:
		dst.SetBool(v.Bool())
	case dst.CanFloat() && v.CanFloat():
		dst.SetFloat(v.Float())
	case dst.CanFloat() && v.CanInt():
		dst.SetFloat(float64(v.Int()))
	case dst.CanInt() && v.CanInt() && !dst.OverflowInt(v.Int()):
		dst.SetInt(v.Int())
	case dst.CanUint() && v.CanInt() && v.Int() >= 0 && !dst.OverflowUint(uint64(v.Int())):
		dst.SetUint(uint64(v.Int()))
	default:
		return fmt.Errorf("is %s, must be %s", kindOf(src), wanted(dst))
	}
	return nil
}

func setDuration(dst *time.Duration, src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("is %s; write a duration with its unit, like \"5s\", \"250ms\" or \"90d\"", kindOf(src))
	}
	d, err := parseDuration(s)
	if err != nil {
		return fmt.Errorf("is %q, not a duration like \"5s\", \"250ms\" or \"90d\"", s)
	}
	*dst = d
	return nil
}

// setTime takes an offset date-time or a date, and leaves nothing to the
// machine's time zone. The TOML decoder marks the local kinds by the zone's name.
func setTime(dst *time.Time, src any) error {
	t, ok := src.(time.Time)
	if !ok {
		return fmt.Errorf("is %s; write a date or time without quotes, like 2027-01-31 or 2027-01-31T00:00:00Z", kindOf(src))
	}
	switch zone := t.Location().String(); {
	case strings.HasPrefix(zone, "date-local"):
		t = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	case strings.HasSuffix(zone, "-local"):
		return errors.New("has no time zone; write a date, or a time like 2027-01-31T00:00:00Z")
	}
	*dst = t.UTC()
	return nil
}

// kindOf names what the file holds, in TOML's words.
func kindOf(src any) string {
	switch src.(type) {
	case string:
		return "a string"
	case int64:
		return fmt.Sprintf("the integer %d", src)
	case float64:
		return fmt.Sprintf("the number %v", src)
	case bool:
		return fmt.Sprintf("%v", src)
	case time.Time:
		return "a time"
	case map[string]any:
		return "a table"
	}
	return "an array"
}

func wanted(dst reflect.Value) string {
	switch {
	case dst.Kind() == reflect.String:
		return "a string in quotes"
	case dst.Kind() == reflect.Bool:
		return "true or false"
	case dst.Kind() == reflect.Uint8:
		return "an integer from 0 to 255"
	case dst.CanUint():
		return "an integer that is not negative"
	case dst.CanInt():
		return "an integer"
	case dst.CanFloat():
		return "a number"
	}
	return "a string in quotes"
}
