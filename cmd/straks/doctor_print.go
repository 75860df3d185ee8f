package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"straks/internal/doctor"
	"straks/internal/printable"
)

const (
	leastChecks = 12 // the width of the column of checks
	mostChecks  = 20 // beyond it, what a check says begins on the next line
	leastSays   = 30 // the least width of what is said that is worth wrapping for
)

// printFindings prints them for a person. What to publish, write or run stands on lines of its own, to be copied: these are not
// wrapped at the width. 0: nothing is.
func printFindings(w io.Writer, width int, r *doctor.Resolver, findings []doctor.Finding) error {
	var b strings.Builder
	fmt.Fprintf(&b, "DNS by %s\n", r)
	column := leastChecks
	for _, f := range findings {
		if n := utf8.RuneCountInString(f.Check); n <= mostChecks {
			column = max(column, n)
		}
	}
	subject := ""
	for _, f := range findings {
		if f.Subject != subject {
			subject = f.Subject
			fmt.Fprintf(&b, "\n%s\n", subject)
		}
		b.WriteString(findingLine(&f, column, width))
		for _, part := range []struct {
			what  string
			lines []string
		}{
			{"remove from the DNS", f.Remove}, {"publish in the DNS", f.Publish},
			{"write into the configuration", f.Configure}, {"run", f.Run},
		} {
			if len(part.lines) == 0 {
				continue
			}
			fmt.Fprintf(&b, "          %s:\n", part.what)
			for _, line := range part.lines {
				fmt.Fprintf(&b, "            %s\n", line)
			}
		}
	}
	_, err := io.WriteString(w, printable.Lines(b.String()))
	return err
}

// findingLine is the level, the check and what it says: in columns, and wrapped at the width.
func findingLine(f *doctor.Finding, column, width int) string {
	level := string(f.Level)
	if f.Level == doctor.Fix {
		level = "FIX"
	}
	line := fmt.Sprintf("  %-8s%-*s", level, column, f.Check)
	indent := strings.Repeat(" ", 10+column+1)
	says := indented(strings.ReplaceAll(f.Says, "\n", "; "), indent, width)
	if utf8.RuneCountInString(f.Check) > column {
		return line + "\n" + says
	}
	return line + says[len(indent)-1:]
}

// indented returns text in lines of at most width characters, if a word allows it, each with the indent.
func indented(text, indent string, width int) string {
	if width-len(indent) < leastSays {
		return indent + text + "\n"
	}
	var b strings.Builder
	at := width // no line is begun
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case at+1+n <= width:
			b.WriteString(" ")
			at++
		default:
			if b.Len() > 0 {
				b.WriteString("\n")
			}
			b.WriteString(indent)
			at = len(indent)
		}
		b.WriteString(word)
		at += n
	}
	return b.String() + "\n"
}
