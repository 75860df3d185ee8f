package config

import (
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"straks/internal/cost"
)

const day = 24 * time.Hour

// Size is a number of octets, written "512MiB" or as a plain integer.
type Size int64

var sizeUnits = []struct {
	name  string
	shift uint
}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}

// UnmarshalText reads a size like "512MiB"; the units are powers of two.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(string(text), u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<62)>>u.shift {
			break
		}
		*s = Size(n << u.shift)
		return nil
	}
	return fmt.Errorf("is %q, not a size like \"512MiB\" or \"8GiB\"", text)
}

// String writes the size with the largest unit that leaves no remainder.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && s%(1<<u.shift) == 0 {
			return strconv.FormatInt(int64(s)>>u.shift, 10) + u.name
		}
	}
	return "0"
}

// Digest is the SHA-256 of a token.
type Digest [32]byte

// UnmarshalText reads 64 hexadecimal digits.
func (d *Digest) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(d) {
		return fmt.Errorf("has %d characters; a SHA-256 is 64 hexadecimal digits, as \"straks token new\" prints it", len(text))
	}
	copy(d[:], b)
	return nil
}

// Hex returns all digits.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// String returns the first digits: enough to distinguish two tokens.
func (d Digest) String() string { return hex.EncodeToString(d[:4]) + "…" }

var days = regexp.MustCompile(`^([0-9]{1,5})d`)

// parseDuration reads what time.ParseDuration reads, and days before it: "90d", "1d12h".
// A day is 24 hours.
func parseDuration(s string) (time.Duration, error) {
	var whole time.Duration
	if m := days.FindStringSubmatch(s); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return 0, err
		}
		whole, s = time.Duration(n)*day, s[len(m[0]):]
		if s == "" {
			return whole, nil
		}
	}
	d, err := time.ParseDuration(s)
	return whole + d, err
}

// isTable reports whether a field of this type is a table with known keys.
func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != reflect.TypeFor[time.Time]()
}

// setScalar sets a single value. Its error continues the sentence that begins with the key.
func setScalar(dst reflect.Value, src any) error {
	switch at := dst.Addr().Interface().(type) {
	case *time.Duration:
		return setDuration(at, src)
	case *time.Time:
		return setTime(at, src)
	case *cost.Amount:
		if _, ok := src.(string); !ok {
			return fmt.Errorf("is %s; write an amount in quotes, like \"0.45\"", numberOf(src))
		}
		return at.UnmarshalText([]byte(src.(string)))
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
		if !dst.CanInt() && !dst.CanUint() && !dst.CanFloat() { // a password of digits stands here too
			return fmt.Errorf("is %s, must be %s", kindOf(src), wanted(dst))
		}
		return fmt.Errorf("is %s, must be %s", numberOf(src), wanted(dst))
	}
	return nil
}

func setDuration(dst *time.Duration, src any) error {
	s, ok := src.(string)
	if !ok {
		return fmt.Errorf("is %s; write a duration with its unit, like \"5s\", \"250ms\" or \"90d\"", numberOf(src))
	}
	d, err := parseDuration(s)
	if err != nil {
		return fmt.Errorf("is %q, not a duration like \"5s\", \"250ms\" or \"90d\"", s)
	}
	*dst = d
	return nil
}

// setTime accepts an offset date-time or a date, so that nothing depends on the machine's
// time zone. The TOML decoder marks the local kinds by the zone's name.
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

// kindOf describes a value of the file, in TOML's words.
func kindOf(src any) string {
	switch src.(type) {
	case string:
		return "a string"
	case int64:
		return "an integer"
	case float64:
		return "a number"
	case bool:
		return fmt.Sprintf("%v", src)
	case time.Time:
		return "a time"
	case map[string]any:
		return "a table"
	}
	return "an array"
}

// numberOf is kindOf with the value of a number, for keys that have one.
func numberOf(src any) string {
	switch src.(type) {
	case int64:
		return fmt.Sprintf("the integer %d", src)
	case float64:
		return fmt.Sprintf("the number %v", src)
	}
	return kindOf(src)
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
