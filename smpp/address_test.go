package smpp

import "testing"

func TestSenderKinds(t *testing.T) {
	for in, want := range map[string]struct {
		kind kind
		addr string
	}{
		"":                {noSender, ""},
		"Skatten":         {alphanumeric, "Skatten"},
		"Årsak":           {alphanumeric, "\xc5rsak"},
		"A\u030arsak":     {alphanumeric, "\xc5rsak"}, // a ring that combines
		"12345678901":     {international, "12345678901"},
		"Min kode 24":     {alphanumeric, "Min kode 24"},
		"2440":            {shortCode, "2440"},
		"00":              {shortCode, "00"},
		"99999999":        {shortCode, "99999999"},
		"+4799999999":     {international, "4799999999"},
		"004799999999":    {international, "4799999999"},
		"4799999999":      {international, "4799999999"},
		"24SevenOff":      {alphanumeric, "24SevenOff"},
		"+plusbank":       {alphanumeric, "+plusbank"},
		"123456789012345": {international, "123456789012345"},
	} {
		k, addr, err := parseSender(in)
		if err != nil || k != want.kind || addr != want.addr {
			t.Errorf("%q: %v %q, %v", in, k, addr, err)
		}
	}
}

func TestBadSenders(t *testing.T) {
	for _, in := range []string{
		"Skatteetaten", "0123456789012", "+47 99 99 99 99", "+123456", "+1234567890123456", "1234567890123456",
		"Привет", "a\x00b", "€€€€€€", " blank", "blank ", "two\nlines", "ΔΔ", "\xff",
	} {
		if k, addr, err := parseSender(in); err == nil {
			t.Errorf("%q is taken as %v %q", in, k, addr)
		}
	}
}

func FuzzParseSender(f *testing.F) {
	for _, s := range []string{"", "Skatten", "+4799999999", "2440", "004799999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, addr, err := parseSender(s)
		if err != nil {
			return
		}
		if len(addr) > 15 {
			t.Errorf("%d octets", len(addr))
		}
		for _, c := range []byte(addr) {
			if c < ' ' || c == 0x7f {
				t.Errorf("octet %#x", c)
			}
		}
	})
}

func TestRecipient(t *testing.T) {
	if got, err := parseRecipient("+4799999999"); err != nil || got != "4799999999" {
		t.Error(got, err)
	}
	for _, bad := range []string{"", "+", "4799999999", "+04799999", "+47 9999", "+1234567890123456", "+47999\x00999"} {
		if got, err := parseRecipient(bad); err == nil {
			t.Errorf("%q is taken as %q", bad, got)
		}
	}
}
