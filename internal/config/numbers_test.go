package config

import (
	"slices"
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

// TestCountries: an organisation sends to its own countries, or to those of home; without any to all, and that is said.
func TestCountries(t *testing.T) {
	read := func(home, organisation string) (*Config, []Warning, []string) {
		t.Helper()
		text := strings.Replace(smallest, "name = \"ttd\"\n", "name = \"ttd\"\n"+organisation+"\n", 1)
		cfg, warnings, found, err := parse(text+"[numbers]\n"+home, now, true)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, f := range found {
			all = append(all, f.Key+" "+f.Message)
		}
		return cfg, warnings, all
	}
	for _, c := range []struct {
		home, organisation string
		taken, refused     string
		warned             bool
	}{
		{"", "", "+4799999999 +37120000001", "+4782012345", true},
		{`home = ["NO"]`, "", "+4799999999", "+37120000001", false},
		{`home = ["*"]`, "", "+4799999999 +37120000001", "", false},
		{`home = ["NO"]`, `countries = ["LV", "+4779"]`, "+37120000001 +4779012345", "+4799999999", false},
		{`home = ["NO"]`, `countries = ["*"]`, "+4799999999 +37120000001", "", false},
		{"", `countries = ["NO"]`, "+4799999999", "+37120000001", false},
		{"", `countries = ["*"]` + "\ndeny_numbers = [\"+371\"]", "+4799999999", "+37120000001", false},
	} {
		cfg, warnings, found := read(c.home, c.organisation)
		if len(found) > 0 {
			t.Errorf("%+v: %v", c, found)
			continue
		}
		rules := cfg.NumberRules()["ttd"]
		for _, number := range strings.Fields(c.taken) {
			if _, err := rules.Parse(number); err != nil {
				t.Errorf("%+v: %s: %v", c, number, err)
			}
		}
		for _, number := range strings.Fields(c.refused) {
			if _, err := rules.Parse(number); err == nil {
				t.Errorf("%+v: %s is taken", c, number)
			}
		}
		warned := slices.ContainsFunc(warnings, func(w Warning) bool { return w.Key == "numbers.home" })
		if warned != c.warned {
			t.Errorf("%+v: warnings %v", c, warnings)
		}
	}
	_, _, found := read(`home = ["Norway", "*"]`, "countries = [\"no\"]\ndeny_numbers = [\"371\"]")
	if text := strings.Join(found, "\n"); len(found) != 4 || !strings.Contains(text, `numbers.home[0] is wrong: "Norway" is no country`) ||
		!strings.Contains(text, "numbers.home[1] is") || !strings.Contains(text, "organisation[0].countries[0]") || !strings.Contains(text, "organisation[0].deny_numbers[0]") {
		t.Error(text)
	}
}
