package cost

import (
	"math"
	"testing"
)

// TestAmount: what is read is exact, and what can't be is refused.
func TestAmount(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Amount{"0.45": 450_000, "0": 0, "5000.00": 5_000_000_000, "0.000001": 1, "12.3456": 12_345_600, "1000000000000": Most} {
		var a Amount
		if err := a.UnmarshalText([]byte(text)); err != nil || a != want {
			t.Errorf("%s is %d, %v", text, a, err)
		}
	}
	for _, text := range []string{"", "-1", "+1", "1,50", ".5", "1.", "0.0000001", "1e3", "1000000000000.01", "99999999999999", "NaN", "1 ", "0x1"} {
		var a Amount
		if err := a.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken as %v", text, a)
		}
	}
	for a, want := range map[Amount]string{450_000: "0.45", 0: "0.00", 1: "0.000001", -2_500_000: "-2.50", 12_345_600: "12.3456", Most: "1000000000000.00"} {
		if a.String() != want {
			t.Errorf("%d is written %s, want %s", a, a, want)
		}
	}
	if sum := Amount(100_000).Times(3); sum != 300_000 {
		t.Errorf("three times 0.1 is %v", sum)
	}
	if a := Amount(math.MaxInt64 / 2).Times(3); a != math.MaxInt64 {
		t.Errorf("too much is %v", a)
	}
}

// TestTable: the longest prefix wins, then the SMSC's own entry.
func TestTable(t *testing.T) {
	t.Parallel()
	table := NewTable([]Price{
		{Amount: 900},
		{SMSC: "b", Amount: 800},
		{Prefix: "+47", Class: "home", Amount: 100},
		{SMSC: "b", Prefix: "+47", Amount: 200},
		{Prefix: "+4759", Amount: 300},
	})
	for _, c := range []struct {
		smsc, number, class string
		amount              Amount
	}{
		{"a", "+4799999999", "home", 100},
		{"b", "+4799999999", "+47", 200},
		{"b", "+4759000000", "+4759", 300},
		{"a", "+46700000000", DefaultClass, 900},
		{"b", "+46700000000", DefaultClass, 800},
		{"a", "+4", DefaultClass, 900},
	} {
		if p, ok := table.Of(c.smsc, c.number); !ok || p.Class != c.class || p.Amount != c.amount {
			t.Errorf("%s to %s: %+v, %v", c.smsc, c.number, p, ok)
		}
	}
	only := NewTable([]Price{{SMSC: "a", Prefix: "+47", Amount: 1}})
	for _, c := range [][2]string{{"b", "+4799999999"}, {"a", "+46700000000"}, {"a", ""}} {
		if p, ok := only.Of(c[0], c[1]); ok {
			t.Errorf("%v has a price: %+v", c, p)
		}
	}
	var none *Table
	if _, ok := none.Of("a", "+47"); ok || !none.Empty() || only.Empty() {
		t.Error("a table that is not there has a price, or one that is has none")
	}
}

func BenchmarkOf(b *testing.B) {
	table := NewTable([]Price{{Amount: 1}, {Prefix: "+47", Amount: 2}, {SMSC: "b", Prefix: "+46", Amount: 3}, {Prefix: "+479999", Amount: 4}})
	b.ReportAllocs()
	for b.Loop() {
		table.Of("a", "+4798765432")
	}
}
