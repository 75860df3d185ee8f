package numbers

import (
	"strings"
	"sync"
)

// known are ranges that libphonenumber's metadata have wrong, and those of satellite phones, which it calls mobile. A
// test holds each against the library: an entry that a new version has made needless fails there, and goes.
var known = []struct {
	rule    string
	deny    bool
	example string
	source  string // with its date
}{
	{"+4678/9", false, "+46781234567", "Sweden, mobile: reported from the field, 2026-11"},
	{"+8160/10", false, "+816012345678", "Japan, mobile 060 from 2026-07: Ministry of Internal Affairs and Communications, tel_number/060keitai.html; in libphonenumber since 9.0.32"},
	{"+81600", true, "", "Japan: 0600 is no mobile range (same source)"},
	{"+38643", true, "+38643123456", "Kosovo has had +383 since 2017 and is not reached by Slovenia's code any more: google/libphonenumber#3952, 2026-01"},
	{"+38649", true, "+38649123456", "likewise"},
	{"+37744", true, "+37744123456", "likewise, by Monaco's code"},
	{"+37745", true, "+37745123456", "likewise"},
	{"+870", true, "+870773111632", satellite + "Inmarsat"},
	{"+881", true, "+881612345678", satellite + "the GMSS: Iridium, Globalstar and others"},
	{"+88216", true, "+8821612345678", satellite + "Thuraya"},
}

// satellite begins the source of ranges of satellite phones.
const satellite = "Satellite phones: ITU-T E.164, list of assigned country codes, 2026-11: "

var table = sync.OnceValue(func() map[string][]Rule {
	var rules []Rule
	for _, k := range known {
		r, err := ParseRule(k.rule, k.deny)
		if err != nil {
			panic(err) // a mistake of ours, which the tests meet
		}
		r.satellite = strings.HasPrefix(k.source, satellite)
		rules = append(rules, r)
	}
	return by(rules)
})
