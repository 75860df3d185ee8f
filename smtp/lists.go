package smtp

import (
	"strconv"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// lists are the open lists, the innermost last: the number of the next item; unordered where it has none.
type lists struct {
	next   []int
	deeper int // lists within the innermost that is counted
}

const (
	unordered = -1 << 31
	maxLists  = 100     // nested
	maxNumber = 1 << 20 // of an item
)

func (l *lists) open(token html.Token) {
	if len(l.next) == maxLists {
		l.deeper++
		return
	}
	next := unordered
	if token.DataAtom == atom.Ol {
		next = number(attribute(token, "start"), 1)
	}
	l.next = append(l.next, next)
}

func (l *lists) close() {
	switch {
	case l.deeper > 0:
		l.deeper--
	case len(l.next) > 0:
		l.next = l.next[:len(l.next)-1]
	}
}

// item returns the mark of an item: its number, or a dash.
func (l *lists) item(token html.Token) string {
	if len(l.next) == 0 || l.deeper > 0 || l.next[len(l.next)-1] == unordered {
		return "-"
	}
	next := &l.next[len(l.next)-1]
	n := number(attribute(token, "value"), *next)
	*next = n + 1
	return strconv.Itoa(n) + "."
}

// number returns the number of an attribute, or that in its place where it has none.
func number(s string, otherwise int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < -maxNumber || n > maxNumber {
		return otherwise
	}
	return n
}
