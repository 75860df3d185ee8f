package console

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// recipients are phone numbers, and other long numbers of persons, and e-mail addresses.
var recipients = regexp.MustCompile(`\+?[0-9](?: ?[0-9]){7,}|[^\s@<>()",;]+@[^\s@<>()",;]+`)

// masked takes recipients out of a user's words. Pages ask users to leave them out.
func masked(s string) string { return recipients.ReplaceAllString(s, "***") }

// cut bounds a user's words, at the end of a character.
func cut(s string) string {
	if len(s) <= maxWhy {
		return s
	}
	return strings.ToValidUTF8(s[:maxWhy], "")
}

// clock writes a time to the second, in the machine's zone; the date too where it is not of today.
func clock(at, now time.Time) string {
	at, now = at.Local(), now.Local()
	if at.Year() == now.Year() && at.YearDay() == now.YearDay() {
		return at.Format("15:04:05")
	}
	return at.Format("2006-01-02 15:04:05")
}

// exact writes a time to the millisecond, with its zone.
func exact(at time.Time) string { return at.Local().Format("2006-01-02 15:04:05.000 MST") }

// machine writes a time for the attribute datetime.
func machine(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

// span writes a time that something took, with three digits at most.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}

// wait writes how long somebody must wait, rounded up to a second.
func wait(d time.Duration) string {
	return fmt.Sprintf("%d s", max(int(math.Ceil(d.Seconds())), 1))
}

// size writes octets in units of 1024.
func size(n int64) string {
	value, unit := float64(n), 0
	for math.Abs(value) >= 1024 && unit < 4 {
		value, unit = value/1024, unit+1
	}
	if unit == 0 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return fmt.Sprintf("%.1f %s", value, [...]string{"", "KiB", "MiB", "GiB", "TiB"}[unit])
}

// number writes a number with groups of three digits, and two decimals at most.
func number(v float64) string {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if v != math.Trunc(v) {
		text = strconv.FormatFloat(v, 'f', 2, 64)
	}
	whole, rest, decimal := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "\u202f" + whole[i:] // narrow no-break space
	}
	if decimal {
		return whole + "." + rest
	}
	return whole
}

// decimal writes the numbers of a text as the language does: Norwegian has a decimal comma.
func (l lang) decimal(text string) string {
	if l == norwegian {
		return strings.Replace(text, ".", ",", 1)
	}
	return text
}

// daysTo returns the whole days until a time, negative once it has passed.
func daysTo(at, now time.Time) int { return int(math.Floor(at.Sub(now).Hours() / 24)) }
