package straks_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"straks/smpp/smsctest"
)

func readDoc(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeTellsTheEndings: the README has all numbers of the sandbox that fail.
func TestReadmeTellsTheEndings(t *testing.T) {
	readme := readDoc(t, "README.md")
	for _, e := range smsctest.Endings() {
		if row := fmt.Sprintf("| `%s` | %s |", e.Suffix, e.What); !strings.Contains(readme, row) {
			t.Errorf("README.md lacks %s", row)
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
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(readDoc(t, "configs/alerts.yml"), -1)
	if len(alerts) == 0 {
		t.Fatal("no alerts")
	}
	for _, a := range alerts {
		if !strings.Contains(operations, "`"+a[1]+"`") {
			t.Errorf("docs/operations.md lacks %s", a[1])
		}
	}
}
