package straks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"straks/orders"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

func readDoc(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSandboxDocument: docs/sandbox.md has all numbers and addresses of the sandbox that fail.
func TestSandboxDocument(t *testing.T) {
	doc := readDoc(t, "docs/sandbox.md")
	relay := relaytest.Sandbox()
	for _, r := range relay.Recipients() {
		if row := fmt.Sprintf("| `%s@` | %s |", r.Local, r.What); !strings.Contains(doc, row) {
			t.Errorf("docs/sandbox.md lacks %s", row)
		}
	}
	for _, e := range smsctest.Endings() {
		if row := fmt.Sprintf("| `%s` | %s |", e.Suffix, e.What); !strings.Contains(doc, row) {
			t.Errorf("docs/sandbox.md lacks %s", row)
		}
	}
}

// TestLinks: the targets of links in documents exist.
func TestLinks(t *testing.T) {
	docs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	for _, doc := range append(docs, "README.md") {
		for _, m := range link.FindAllStringSubmatch(readDoc(t, doc), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s: %v", doc, err)
			}
		}
	}
}

// TestEveryAlertHasAnAnswer: the runbook has all alerts.
func TestEveryAlertHasAnAnswer(t *testing.T) {
	operations := readDoc(t, "docs/operations.md")
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(readDoc(t, "configs/alerts.yml")+readDoc(t, "configs/alerts-nodes.yml"), -1)
	if len(alerts) == 0 {
		t.Fatal("no alerts")
	}
	for _, a := range alerts {
		if !strings.Contains(operations, "`"+a[1]+"`") {
			t.Errorf("docs/operations.md lacks %s", a[1])
		}
	}
}

// TestEveryStatusIsExplained: docs/statuses.md has each status, marked as final where it is, and no other.
func TestEveryStatusIsExplained(t *testing.T) {
	doc := readDoc(t, "docs/statuses.md")
	known := make(map[string]bool)
	for _, status := range orders.Statuses() {
		name := status.String()
		known[name] = known[name] || status.Final()
		if !strings.Contains(doc, "| `"+name+"`") {
			t.Errorf("docs/statuses.md lacks %s", name)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(\\w+)`( F)? \\|").FindAllStringSubmatch(doc, -1) {
		final, ok := known[m[1]]
		if !ok || final != (m[2] != "") && m[1] != "Email_Succeeded" { // which may be either
			t.Errorf("docs/statuses.md: %s, final: %v", m[1], m[2] != "")
		}
	}
}

// TestSupportReadsWhatTraceSays: the guides for support desks have the words of "straks trace".
func TestSupportReadsWhatTraceSays(t *testing.T) {
	source := readDoc(t, "cmd/straks/trace.go")
	for _, doc := range []string{"docs/support.md", "docs/support.nb.md"} {
		rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(readDoc(t, doc), -1)
		if len(rows) < 10 {
			t.Errorf("%s has %d rows", doc, len(rows))
		}
		for _, row := range rows {
			for part := range strings.SplitSeq(row[1], "…") {
				if !strings.Contains(source, strings.TrimSpace(part)) {
					t.Errorf("%s: straks trace does not say %q", doc, part)
				}
			}
		}
	}
}
