package numbers

import "testing"

func TestParseRule(t *testing.T) {
	for _, good := range []struct {
		in   string
		want Rule
	}{
		{"+4678", Rule{Prefix: "+4678"}},
		{"+4678/9", Rule{Prefix: "+4678", Length: 9}},
		{"+1", Rule{Prefix: "+1"}},
		{"+883130/12", Rule{Prefix: "+883130", Length: 12}},
	} {
		if got, err := ParseRule(good.in, false); err != nil || got != good.want {
			t.Errorf("ParseRule(%q) = %+v, %v; want %+v", good.in, got, err, good.want)
		}
	}
	for _, bad := range []string{"", "+", "47", "0047", "+0", "+47x", "+47 9", "+9999", "+4678/", "+4678/x", "+4678/1", "+4678/14", "+4678/9/9", "+1234567890123456"} {
		if r, err := ParseRule(bad, false); err == nil {
			t.Errorf("ParseRule(%q) = %+v, want an error", bad, r)
		}
	}
}

func rules(t *testing.T, allow, deny []string) *Rules {
	t.Helper()
	var all []Rule
	for list, texts := range [][]string{allow, deny} {
		for _, text := range texts {
			r, err := ParseRule(text, list == 1)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r)
		}
	}
	return NewRules(all)
}

func TestRules(t *testing.T) {
	r := rules(t,
		[]string{"+4759/8", "+38649123"},
		[]string{"+4799", "+47999", "+232", "+4759000000/8"})
	for _, c := range []struct{ in, want string }{
		{"+4759123456", "+4759123456"}, // let in, against the metadata
		{"+47 59 12 34 56", "+4759123456"},
		{"+475912345", ""},               // of another length
		{"+47591234567", ""},             // likewise
		{"+4799999999", ""},              // kept out, against the metadata
		{"+4790000000", "+4790000000"},   // nobody's rule
		{"+23276123456", ""},             // a whole country
		{"+38649123456", "+38649123456"}, // the operator's rule comes before our table
		{"+38649223456", ""},             // and the table where the operator's rule does not reach
		{"+81 60 1234 5678", "+816012345678"},
	} {
		got, err := r.Parse(c.in)
		if err == nil && got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("Parse(%q) = %q, %v; want %q", c.in, got, err, c.want)
		}
	}
}

// The longest prefix decides; of two with the same, the one that refuses.
func TestRulesMeet(t *testing.T) {
	for _, c := range []struct {
		allow, deny []string
		want        bool
	}{
		{[]string{"+4799999"}, []string{"+4799"}, true},
		{[]string{"+4799"}, []string{"+4799999"}, false},
		{[]string{"+4799"}, []string{"+4799"}, false},
		{[]string{"+4799/8"}, []string{"+4799/9"}, true},
		{nil, []string{"+47"}, false},
	} {
		if _, err := rules(t, c.allow, c.deny).Parse("+4799999999"); (err == nil) != c.want {
			t.Errorf("allow %q, deny %q: %v; want taken %v", c.allow, c.deny, err, c.want)
		}
	}
}

// TestTable: every entry is needed. One that is not any more is a range that the library
// has learnt: take it out.
func TestTable(t *testing.T) {
	for _, k := range known {
		if k.source == "" {
			t.Errorf("%s has no source", k.rule)
		}
		if k.example == "" {
			continue
		}
		if _, err := parseDigits(k.example); (err == nil) != k.deny {
			t.Errorf("%s: the library says %v of %s: is the entry still needed?", k.rule, err, k.example)
		}
		if _, err := none.Parse(k.example); (err == nil) == k.deny {
			t.Errorf("%s: Parse(%q) gives %v", k.rule, k.example, err)
		}
	}
	if _, err := none.Parse("+816001234567"); err == nil {
		t.Error("+81600 is taken")
	}
}
