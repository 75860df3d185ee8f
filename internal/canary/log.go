package canary

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// figures are fractions in metrics and times, and addresses in traces of goroutines. A phone number is none.
var figures = regexp.MustCompile(`0x[0-9a-f]+|[0-9]*\.[0-9]+(e[+-][0-9]+)?`)

// Log looks through every value of every line of a log in JSON. It returns what it finds with the line, and how many lines
// there are of each level. Ids, times and hashes may have any digits: they are not looked at.
func Log(log string, secret *regexp.Regexp) (found []string, levels map[string]int, err error) {
	levels = make(map[string]int)
	for line := range strings.Lines(log) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			return found, levels, fmt.Errorf("%w: %s", err, line)
		}
		level, _ := fields["level"].(string)
		levels[level]++
		for _, name := range []string{"time", "ms", "hash"} { // the hash is that of the audit
			delete(fields, name)
		}
		rest, err := json.Marshal(fields)
		if err != nil {
			return found, levels, err
		}
		if word := Find(rest, secret); word != nil {
			found = append(found, fmt.Sprintf("%q in %s", word, rest))
		}
	}
	return found, levels, nil
}

// Plain returns what a daemon shows without figures, which may have any digits.
func Plain(text string) string { return figures.ReplaceAllString(text, "0") }
