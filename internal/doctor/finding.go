package doctor

import (
	"fmt"
	"strings"
)

// Level is what a finding asks of the operator.
type Level string

const (
	OK      Level = "ok"      // nothing
	Note    Level = "note"    // it works; there is something to know or to improve
	Fix     Level = "fix"     // something must be changed
	Unknown Level = "unknown" // it could not be looked at: try again, or look by hand
)

// Finding is the result of one check.
type Finding struct {
	Subject string `json:"subject"` // "example.org", "relay mx", "smsc telco", "this machine"
	Check   string `json:"check"`   // "SPF", "DKIM", "TLS", …
	Level   Level  `json:"level"`
	Says    string `json:"says"` // one or two sentences

	Remove    []string `json:"remove,omitempty"`    // DNS records that must go, as lines of a zone file
	Publish   []string `json:"publish,omitempty"`   // DNS records to publish, likewise
	Configure []string `json:"configure,omitempty"` // lines of the configuration
	Run       []string `json:"run,omitempty"`       // commands
}

// found makes a finding. The check's runner sets Subject and Check.
func found(level Level, format string, args ...any) Finding {
	return Finding{Level: level, Says: fmt.Sprintf(format, args...)}
}

// Count returns how many findings have the level.
func Count(all []Finding, level Level) int {
	n := 0
	for _, f := range all {
		if f.Level == level {
			n++
		}
	}
	return n
}

// sentence returns an error as the end of a sentence.
func sentence(err error) string {
	text := err.Error()
	if strings.HasSuffix(text, "?") || strings.HasSuffix(text, ".") {
		return text
	}
	return text + "."
}
