package config

import (
	"strings"
	"testing"
)

func TestNumbers(t *testing.T) {
	base, _ := example(t)
	cfg, _, found, err := parse(strings.Replace(base, "[numbers]\n", "[numbers]\nallow = [\"+4759/8\"]\ndeny = [\"+4790\"]\n", 1), now, true)
	if err != nil || len(found) > 0 {
		t.Fatal(err, found)
	}
	rules := cfg.Numbers.Rules()
	if got, err := rules.Parse("+47 59 12 34 56"); got != "+4759123456" {
		t.Errorf("an allowed number gives %q, %v", got, err)
	}
	if got, err := rules.Parse("+4790000000"); err == nil {
		t.Errorf("a denied number gives %q", got)
	}

	_, _, found, err = parse(strings.Replace(base, "[numbers]\n", "[numbers]\nallow = [\"4759\", \"+4678/1\"]\ndeny = [\"+\"]\n", 1), now, true)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, f := range found {
		keys = append(keys, f.Key)
	}
	if got := strings.Join(keys, " "); got != "numbers.allow[0] numbers.allow[1] numbers.deny[0]" {
		t.Errorf("found at %q: %v", got, found)
	}
}
