// Package printable makes text from outside harmless to a terminal, and to
// protocols in which a line means something.
package printable

import (
	"strconv"
	"strings"
)

// Text returns s, quoted if it has a character that is not printable.
func Text(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// Line returns the lines of s on one line, separated by "; ". A peer may have
// written part of s, a name in its certificate for example.
func Line(s string) string { return Text(strings.ReplaceAll(s, "\n", "; ")) }
