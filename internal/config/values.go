package config

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Size is a number of octets, written "512MiB" or as a plain integer.
type Size int64

var sizeUnits = []struct {
	name  string
	shift uint
}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}

// UnmarshalText reads "512MiB" and the like; the units are powers of two.
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

// String writes the size with the largest unit that leaves no rest.
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

// Hex writes all of it.
func (d Digest) Hex() string { return hex.EncodeToString(d[:]) }

// String writes the first digits: enough to tell two apart.
func (d Digest) String() string { return hex.EncodeToString(d[:4]) + "…" }

var days = regexp.MustCompile(`^([0-9]{1,5})d`)

// parseDuration reads what time.ParseDuration does, and days before it: "90d",
// "1d12h". A day is 24 hours.
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

// formatDuration writes a duration as parseDuration reads it, whole days as days.
func formatDuration(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return d.String()
}
