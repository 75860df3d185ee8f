package smsctest

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nyaruka/phonenumbers"

	"straks/smpp/wire"
)

func TestParseRule(t *testing.T) {
	base := Behaviour{Delay: time.Second, Jitter: time.Minute}
	r, err := ParseRule("01:state=UNDELIV,err=011, delay=50ms,status=0x45,rate=2.5,id=HEX,early=true,throttle=3", base)
	want := Rule{Suffix: "01", Behaviour: Behaviour{
		Delay: 50 * time.Millisecond, Jitter: time.Minute, Status: wire.ESMESubmitFail, Rate: 2.5, Throttle: 3,
		AnswerID: IDHexUpper, Receipt: Receipt{State: "UNDELIV", Err: "011", Early: true},
	}}
	if err != nil || !reflect.DeepEqual(r, want) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestParseRuleFaults(t *testing.T) {
	for rule, says := range map[string]string{
		"":                   "must be like",
		"01":                 "must be like",
		"a1:lose=1":          "must be like",
		":lose=1":            "must be like",
		"01:lose":            "must be name=value",
		"01:lose=x":          "lose: ",
		"01:lose=-1":         "lose: ",
		"01:stat=UNDELIV":    `did you mean "state"?`,
		"01:status=ESME_NO":  "not a command_status",
		"01:delay=50":        "not a duration",
		"01:delay=-1s":       "not a duration",
		"01:rate=NaN":        "not a number",
		"01:congestion=101":  "0 to 100",
		"01:early=perhaps":   "neither",
		"01:form=fax":        "none of both, text, tlv",
		"01:id-reuse=minus1": "not a number",
	} {
		if _, err := ParseRule(rule, Behaviour{}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want it to say %q", rule, err, says)
		}
	}
}

// TestSettingsReachEveryField checks that each quirk sets exactly one field of Behaviour, and
// that every field has one.
func TestSettingsReachEveryField(t *testing.T) {
	values := []string{"7ms", "ESME_RSUBMITFAIL", "7", "true", "hex", "garbage", "tlv"}
	reached := map[string]string{}
	for _, s := range Settings() {
		var b Behaviour
		for _, v := range values {
			if b = (Behaviour{}); b.Set(s.Name, v) == nil {
				break
			}
		}
		fields := changed("", reflect.ValueOf(b))
		if len(fields) != 1 || reached[fields[0]] != "" {
			t.Fatalf("%s sets %v, reached before by %q", s.Name, fields, reached[fields[0]])
		}
		reached[fields[0]] = s.Name
	}
	if want := leaves(reflect.TypeFor[Behaviour]()); len(reached) != want {
		t.Errorf("%d of %d fields can be set: %v", len(reached), want, reached)
	}
}

func changed(path string, v reflect.Value) (fields []string) {
	if v.Kind() != reflect.Struct {
		if v.IsZero() {
			return nil
		}
		return []string{path}
	}
	for i := range v.NumField() {
		fields = append(fields, changed(path+"."+v.Type().Field(i).Name, v.Field(i))...)
	}
	return fields
}

func leaves(t reflect.Type) (n int) {
	if t.Kind() != reflect.Struct {
		return 1
	}
	for i := range t.NumField() {
		n += leaves(t.Field(i).Type)
	}
	return n
}

// TestEndings checks that every ending parses, differs from plain behaviour and has valid
// Norwegian numbers, and that the plain test number has none of them.
func TestEndings(t *testing.T) {
	p := Sandbox()
	s := newScript(p)
	for i, e := range Endings() {
		n, err := phonenumbers.Parse("+479999"+e.Suffix, "ZZ")
		if err != nil || !phonenumbers.IsValidNumber(n) {
			t.Errorf("no valid number ends in %s: %v", e.Suffix, err)
		}
		if got := s.towards("479999" + e.Suffix); got.suffix != e.Suffix || reflect.DeepEqual(*got.Behaviour, p.Behaviour) {
			t.Errorf("ending %s has no effect", e.Suffix)
		}
		if r, _ := ParseRule(e.Suffix+":"+e.Quirks, p.Behaviour); !reflect.DeepEqual(r, p.Rules[i]) {
			t.Errorf("rule %d is not ending %s", i, e.Suffix)
		}
	}
	if s.towards("4799999999") != s.base {
		t.Error("+4799999999 has an ending")
	}
}

func TestLongestSuffixWins(t *testing.T) {
	var p Profile
	for i, suffix := range []string{"1", "901", "01", "901"} {
		p.On(suffix, func(b *Behaviour) { b.Throttle = i })
	}
	s := newScript(p)
	for number, want := range map[string]int{"4799999901": 1, "4799999801": 2, "4799999991": 0} {
		if got := s.towards(number).Throttle; got != want {
			t.Errorf("%s has rule %d, want %d", number, got, want)
		}
	}
}

func FuzzParseRule(f *testing.F) {
	f.Add("01:state=UNDELIV,err=011")
	f.Add("9:rate=1e3,mischief=garbage")
	f.Fuzz(func(t *testing.T, rule string) {
		r, err := ParseRule(rule, Behaviour{})
		if err == nil && (r.Suffix == "" || !strings.HasPrefix(rule, r.Suffix+":")) {
			t.Errorf("%q became %+v", rule, r)
		}
	})
}

// TestDocument checks that docs/simulator.md has the tables of this package.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	var want strings.Builder
	want.WriteString("| ending | what happens to a message | quirks |\n|---|---|---|\n")
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
