package issuer

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
)

// Claims are what a verified token says.
type Claims struct {
	registered jwt.Claims
	all        map[string]any
}

// Expires returns the claim exp.
func (c *Claims) Expires() time.Time { return c.registered.Expiry.Time() }

// Text returns the claim with the given name, as a string; "" where there is none. A name with
// dots that is no claim itself is a path through objects: "consumer.ID".
func (c *Claims) Text(name string) string { return text(c.all, name) }

func text(claims map[string]any, name string) string {
	if v, ok := claims[name]; ok {
		return scalar(v)
	}
	first, rest, ok := strings.Cut(name, ".")
	if !ok {
		return ""
	}
	inner, _ := claims[first].(map[string]any)
	return text(inner, rest)
}

// scalar returns a string, or the digits of a whole number: some issuers write organisation
// numbers as numbers.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		if math.Trunc(v) == v && math.Abs(v) < 1<<53 {
			return strconv.FormatInt(int64(v), 10)
		}
	}
	return ""
}

// Words returns a claim that is a list: an array of strings, or words between blanks, as
// scope is (RFC 8693 §4.2).
func (c *Claims) Words(name string) []string {
	switch v := c.all[name].(type) {
	case string:
		return strings.Fields(v)
	case []any:
		var words []string
		for _, w := range v {
			if s, ok := w.(string); ok {
				words = append(words, s)
			}
		}
		return words
	}
	return nil
}
