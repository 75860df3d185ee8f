package smsctest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestDocument holds docs/simulator.md to the tables of this package.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| ending | what becomes of a message | quirks |\n|---|---|---|\n")
	for _, e := range Endings() {
		fmt.Fprintf(&want, "| `%s` | %s | `%s` |\n", e.Suffix, e.What, e.Quirks)
	}
	want.WriteString("\x00| quirk | what it does |\n|---|---|\n")
	for _, s := range Settings() {
		fmt.Fprintf(&want, "| `%s` | %s |\n", s.Name, s.Help)
	}
	for table := range strings.SplitSeq(want.String(), "\x00") {
		if !strings.Contains(string(b), table) {
			t.Errorf("docs/simulator.md must have this table:\n%s", table)
		}
	}
}
