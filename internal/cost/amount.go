package cost

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Amount is an amount of money in millionths of the currency's unit. No float is exact: 0.1 is none.
type Amount int64

// Unit is one unit of the currency.
const Unit Amount = 1_000_000

// Most is the highest amount that can be written: a price or a budget.
const Most = 1_000_000_000_000 * Unit

var amountForm = regexp.MustCompile(`^([0-9]{1,13})(?:\.([0-9]{1,6}))?$`)

// UnmarshalText reads an amount like "0.45".
func (a *Amount) UnmarshalText(text []byte) error {
	m := amountForm.FindStringSubmatch(string(text))
	if m == nil {
		return fmt.Errorf(`is %q, not an amount like "0.45" (at most 6 decimals)`, text)
	}
	units, _ := strconv.ParseInt(m[1], 10, 64)
	millionths, _ := strconv.ParseInt((m[2] + "000000")[:6], 10, 64)
	if *a = Amount(units)*Unit + Amount(millionths); *a > Most {
		return fmt.Errorf("is %s, at most %s is possible", text, Most)
	}
	return nil
}

// String writes the amount with two decimals, or more where it has more.
func (a Amount) String() string {
	sign := ""
	if a < 0 {
		sign, a = "-", -a
	}
	decimals := fmt.Sprintf("%06d", int64(a%Unit))
	decimals = decimals[:2] + strings.TrimRight(decimals[2:], "0")
	return fmt.Sprintf("%s%d.%s", sign, int64(a/Unit), decimals)
}

// MarshalText writes the amount as String does.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Float returns the amount in units, for metrics: it is not exact.
func (a Amount) Float() float64 { return float64(a) / float64(Unit) }

// Times returns the amount n times. It is never less than that: what is too much for an Amount is the highest one.
func (a Amount) Times(n int) Amount {
	if n > 0 && a > math.MaxInt64/Amount(n) {
		return math.MaxInt64
	}
	return a * Amount(n)
}
