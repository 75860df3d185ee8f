package dlr

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestForms(t *testing.T) {
	const uuid = "0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1"
	for _, c := range []struct {
		answer   Form
		answered string
		receipt  Form
		received string
		want     bool
	}{
		{AsIs, "123", AsIs, "123", true},
		{AsIs, "123", AsIs, "0000123", true},
		{AsIs, "000", AsIs, "0", true},
		{AsIs, "0", AsIs, "1", false},
		{AsIs, uuid, AsIs, strings.ToUpper(uuid), true},
		{AsIs, "00ab", AsIs, "00AB", false}, // two ids of a counter in base 62
		{AsIs, "Zz-1", AsIs, "zz-1", false},
		{Fold, "Zz-1", Fold, "0zZ-1", true},
		{Hex, "499602d2", Decimal, "1234567890", true},
		{Hex, "0x499602D2", Decimal, "01234567890", true},
		{Decimal, "1234567890", Hex, "499602D2", true},
		{AsIs, "1234567890", Hex, "499602D2", true},
		{Hex, "10", Decimal, "10", false},
		{Hex, "ffffffffffffffffffff", Decimal, "1208925819614629174706175", true}, // 80 bits
		{Hex, "xyz", Decimal, "xyz", true},                                        // a number in neither
		{Decimal, "-1", Decimal, "1", false},
		{Decimal, "+1", Decimal, "1", false},
		{Decimal, "1_0", Decimal, "10", false},
	} {
		d := Dialect{Answer: c.answer, Receipt: c.receipt}
		if got := d.AnswerRef(c.answered) == d.ReceiptRef(c.received); got != c.want {
			t.Errorf("%v %q and %v %q: %v, want %v", c.answer, c.answered, c.receipt, c.received, got, c.want)
		}
	}
}

func TestEmptyIDHasNoReference(t *testing.T) {
	for f := AsIs; f <= Fold; f++ {
		d := Dialect{Answer: f, Receipt: f}
		if a, r, h := d.AnswerRef(""), d.ReceiptRef(" "), d.MismatchHints(""); a != "" || r != "" || len(h) > 0 {
			t.Errorf("%v: %q, %q, %v", f, a, r, h)
		}
	}
}

func TestMismatchHints(t *testing.T) {
	for _, c := range []struct {
		dialect  Dialect
		answered string
		receipt  string
		want     string // empty: no hint
	}{
		{Dialect{}, "499602d2", "1234567890", "answers hex, receipts decimal"},
		{Dialect{}, "499602D2", "1234567890", "answers hex, receipts decimal"},
		{Dialect{}, "000004d2", "1234", "answers hex, receipts decimal"},
		{Dialect{}, "1234", "4D2", "answers as-is, receipts hex"},
		{Dialect{}, "4d2", "4D2", "answers hex, receipts hex"},
		{Dialect{}, "msg-1", "MSG-1", "answers fold, receipts fold"},
		{Dialect{Answer: Hex, Receipt: AsIs}, "4d2", "4d2", "answers hex, receipts hex"},
		{Dialect{Answer: Hex, Receipt: Decimal}, "4d2", "4d2", "answers hex, receipts hex"},
		{Dialect{Receipt: Hex}, "1234", "1234", "answers as-is, receipts as-is"},
		{Dialect{}, "1234", "4321", ""},
	} {
		var got string
		for _, h := range c.dialect.MismatchHints(c.receipt) {
			if h.Ref == c.dialect.AnswerRef(c.answered) {
				got = h.String()
				set := Dialect{Answer: h.Answer, Receipt: h.Receipt}
				if set.AnswerRef(c.answered) != set.ReceiptRef(c.receipt) {
					t.Errorf("%q and %q do not match with %q", c.answered, c.receipt, got)
				}
			}
		}
		if got != c.want {
			t.Errorf("%+v: %q and %q: hint %q, want %q", c.dialect, c.answered, c.receipt, got, c.want)
		}
	}
}

func TestUserRefIgnoresThePrefix(t *testing.T) {
	var d Dialect
	want := d.UserRef("+4799999999", 7)
	for _, recipient := range []string{"4799999999", "004799999999"} {
		if got := d.UserRef(recipient, 7); got != want {
			t.Errorf("%s: %q, want %q", recipient, got, want)
		}
	}
	if d.UserRef("+4799999999", 8) == want || d.UserRef("+4799999998", 7) == want {
		t.Error("another reference or recipient gives the same reference")
	}
	refs, ids := d.Refs(Receipt{ID: "9", Recipient: "4799999999", UserReference: 7, HasReference: true})
	if !slices.Equal(refs, []string{d.AnswerRef("9"), want}) || ids != 1 {
		t.Errorf("the id does not come first: %q, %d ids", refs, ids)
	}
}

// The TLV's id comes first, then the text's, unless it is the same in another spelling.
func TestRefsOfTwoIDs(t *testing.T) {
	d := Dialect{Receipt: Hex}
	refs, ids := d.Refs(Receipt{ID: "ff", TextID: "1a", Recipient: "4799999999", UserReference: 7, HasReference: true})
	if want := []string{"id:255", "id:26", "um:4799999999:7"}; !slices.Equal(refs, want) || ids != 2 {
		t.Errorf("%q, %d ids, want %q", refs, ids, want)
	}
	if refs, ids := d.Refs(Receipt{ID: "ff", TextID: "00FF"}); len(refs) != 1 || ids != 1 {
		t.Errorf("one id in two spellings: %q, %d ids", refs, ids)
	}
	forms := MismatchForms()
	for _, h := range (Dialect{}).Hints(Receipt{ID: "SMSC-77", TextID: "31"}) {
		if !slices.Contains(forms, h.String()) {
			t.Errorf("the form of hint %q is not listed", h)
		}
	}
	if h := (Dialect{}).Hints(Receipt{ID: "SMSC-77", TextID: "1F"}); !slices.ContainsFunc(h, func(h MismatchHint) bool { return h.Ref == "id:31" }) {
		t.Errorf("no hint reads the text's id as another form: %v", h)
	}
}

func TestStateTableFaults(t *testing.T) {
	_, err := NewStateTable(map[string]string{"OK": "delivered", "o-k": "failed", "0": "delivered", "000": "failed", "": "failed",
		"DONE": "well", "a b": "expired", "stat:0": "delivered", strings.Repeat("X", 66): "failed", "æ": "failed"})
	var faulty []string
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		var fault *CodeError
		if !errors.As(err, &fault) {
			t.Fatal(err)
		}
		faulty = append(faulty, fault.Code)
	}
	if want := []string{"", "000", "DONE", strings.Repeat("X", 66), "o-k", "stat:0", "æ"}; !slices.Equal(faulty, want) {
		t.Errorf("faults %q, want %q", faulty, want)
	}
}

func TestErrorTable(t *testing.T) {
	table, err := NewErrorTable(map[string]string{"013": "barred", "0": "network", "0x1b": "absent"})
	if err != nil {
		t.Fatal(err)
	}
	for code, want := range map[string]Cause{
		"13": CauseBarred, "0013": CauseBarred, "000": CauseNetwork, "X1B": CauseAbsent, "14": CauseNone, "": CauseNone,
	} {
		if got := table.Cause(code); got != want {
			t.Errorf("Cause(%q) = %v, want %v", code, got, want)
		}
	}
	if got := ErrorTable(nil).Cause("13"); got != CauseNone {
		t.Errorf("without a table: %v", got)
	}
}

func TestErrorTableReportsEveryFault(t *testing.T) {
	_, err := NewErrorTable(map[string]string{"13": "barred", "013": "absent", "7": "gone", "a b": "barred", "": "absent"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`13: is the same code as "013"`, `7: no cause "gone"`, "a b: a code has", ": a code has"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported: %v", want, err)
		}
	}
}

func TestSettingsReadBack(t *testing.T) {
	for f := AsIs; f <= Fold; f++ {
		if got, err := ParseForm(f.String()); got != f || err != nil {
			t.Errorf("ParseForm(%q) = %v, %v", f, got, err)
		}
	}
	for c := CauseNone; c <= CauseDeleted; c++ {
		if got, err := ParseCause(c.String()); got != c || err != nil {
			t.Errorf("ParseCause(%q) = %v, %v", c, got, err)
		}
	}
	if _, err := ParseForm("octal"); err == nil || !strings.Contains(err.Error(), `"decimal"`) {
		t.Errorf("the error does not say what to use: %v", err)
	}
}
