package smpp

import "testing"

func TestFitSender(t *testing.T) {
	for in, want := range map[string]string{
		"Skatteetaten":       "Skatteetate",
		"Altinn":             "Altinn",
		"Brønnøysundreg.":    "Brønnøysund",
		"NAV “Oslo” nord":    `NAV "Oslo"`, // look-alikes, and no blank at the end
		"{NAV} Norge":        "{NAV} Nor",  // { and } are two GSM characters each
		" Altinn ":           "Altinn",
		"Altinn\u00a0NO":     "Altinn NO",
		"":                   "",
		"2440":               "2440",
		"+4799999999":        "+4799999999",
		"+47999999999999999": "+47999999999999999", // a number that is none stays, to be refused
		"123456789012345678": "123456789012345678",
		"ŠkodaAutoPraha":     "ŠkodaAutoPraha", // no look-alike
		"日本":                 "日本",
	} {
		if got := FitSender(in); got != want {
			t.Errorf("FitSender(%q) = %q, want %q", in, got, want)
		}
	}
}
