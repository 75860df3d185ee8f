package config

import (
	"strings"
	"testing"

	"straks/internal/cost"
)

// TestPrices: prices and budgets are read exactly, and change under a reload.
func TestPrices(t *testing.T) {
	credentials(t, map[string]string{"telco.password": "hemlig"})
	read := func(budget, rest string) *Config {
		t.Helper()
		text := strings.Replace(smallest, "[[organisation.token]]", "budget_per_month = \""+budget+"\"\n[[organisation.token]]", 1)
		cfg, _, found, err := parse(text+"\n"+rest, now, false)
		if err != nil || len(found) > 0 {
			t.Fatalf("%v %v", err, found)
		}
		return cfg
	}
	const prices = "[cost]\nemail = \"0.002\"\n[[price]]\nprice = \"1.10\"\n[[price]]\nprefix = \"+47\"\nprice = \"0.1\"\nclass = \"home\"\n"
	inUse := read("5000.00", prices)
	l := inUse.OrderLimits()
	if !l.Priced || l.Currency != "NOK" || l.Organisations["ttd"].Budget != 5000*cost.Unit || inUse.Cost.Email != 2000 {
		t.Errorf("%+v", l)
	}
	if p, ok := inUse.PriceTable().Of("telco", "+4799999999"); !ok || p.Class != "home" || p.Amount.Times(3) != 300_000 {
		t.Errorf("%+v, %v", p, ok)
	}
	dearer := read("5000.00", strings.Replace(prices, `"0.1"`, `"0.2"`, 1))
	if changed := dearer.KeepFixed(inUse); len(changed) > 0 || dearer.Prices[1].Price != cost.Unit/5 {
		t.Errorf("other prices need a restart: %v", changed)
	}
	for name, other := range map[string]*Config{"budget": read("6000", prices), "currency": read("5000.00", "[cost]\ncurrency = \"EUR\"\n"+prices[len("[cost]\n"):]), "none": read("0.00", "")} {
		if changed := other.KeepFixed(inUse); len(changed) > 0 {
			t.Errorf("%s needs a restart: %v", name, changed)
		}
	}
}

// TestPriceFaults: each fault has its key.
func TestPriceFaults(t *testing.T) {
	credentials(t, map[string]string{"telco.password": "hemlig"})
	const all = "[[price]]\nprice = \"1.00\"\n"
	for text, want := range map[string]string{
		"[[price]]":                                  "price[0].price is missing",
		"[[price]]\nprice = 0.45":                    "price[0].price is the number 0.45; write an amount in quotes",
		"[[price]]\nprice = 1":                       "price[0].price is the integer 1; write an amount in quotes",
		"[[price]]\nprice = \"0,45\"":                "price[0].price is \"0,45\", not an amount",
		"[[price]]\nprice = \"10000.01\"":            "price[0].price is 10000.01, at most 10000.00",
		"[[price]]\nprice = \"1\"\nprefix = \"47\"":  "price[0].prefix is \"47\"",
		"[[price]]\nprice = \"1\"\nclass = \"a b\"":  "price[0].class is \"a b\"",
		"[[price]]\nprice = \"1\"\nsmsc = \"telko\"": "price[0].smsc is \"telko\": no SMSC",
		all + all:                                          "price[1].prefix is that of price[0].prefix",
		"[cost]\ncurrency = \"kr\"":                        "cost.currency is \"kr\"",
		"[cost]\nemail = \"-1\"":                           "cost.email is \"-1\"",
		"BUDGET 5000\n" + all:                              "",
		"BUDGET 5000":                                      "organisation[0].budget_per_month needs a price for every number",
		"BUDGET 5000\n" + all + "prefix = \"+47\"":         "organisation[0].budget_per_month needs a price for every number",
		"BUDGET 5000\n" + all + "smsc = \"telco\"":         "",
		"BUDGET 5000\n[jrnl]\nretention = \"30d\"\n" + all: "organisation[0].budget_per_month needs journal.retention",
	} {
		file := smallest
		if rest, ok := strings.CutPrefix(text, "BUDGET 5000"); ok {
			file, text = strings.Replace(file, "[[organisation.token]]", "budget_per_month = \"5000\"\n[[organisation.token]]", 1), rest
		}
		if rest, ok := strings.CutPrefix(text, "\n[jrnl]\nretention = \"30d\""); ok {
			file, text = strings.Replace(file, "[journal]", "[journal]\nretention = \"30d\"", 1), rest
		}
		_, _, found, err := parse(file+"\n"+text, now, false)
		if want == "" && len(found) == 0 && err == nil {
			continue
		}
		if err != nil || len(found) != 1 || want == "" || !strings.HasPrefix(found[0].Key+" "+found[0].Message, want) {
			t.Errorf("%s: %v %v, want %s", text, found, err, want)
		}
	}
}
