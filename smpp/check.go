package smpp

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"straks/internal/faults"
	"straks/internal/pemfile"
	"straks/smpp/wire"
)

// WithDefaults returns the configuration with every default filled in.
func (c Config) WithDefaults() Config {
	c.DrainTime = cmp.Or(c.DrainTime, 5*time.Second)
	c.SMSCs = slices.Clone(c.SMSCs)
	for i := range c.SMSCs {
		c.SMSCs[i].fillDefaults()
	}
	c.Routes = slices.Clone(c.Routes)
	if len(c.Routes) == 0 {
		all := Route{Name: "default"}
		for _, s := range c.SMSCs {
			all.SMSCs = append(all.SMSCs, s.Name)
		}
		c.Routes = []Route{all}
	}
	for i := range c.Routes {
		c.Routes[i].Name = cmp.Or(c.Routes[i].Name, fmt.Sprintf("route-%d", i+1))
	}
	return c
}

func (s *SMSC) fillDefaults() {
	s.InterfaceVersion = cmp.Or(s.InterfaceVersion, Version34)
	if s.Mode == "" && s.InterfaceVersion == Version33 {
		s.Mode = ModeSeparate
	}
	s.Mode = cmp.Or(s.Mode, ModeTransceiver)
	s.Binds = cmp.Or(s.Binds, 1)
	s.Window = cmp.Or(s.Window, 32)
	s.MaxWaiting = cmp.Or(s.MaxWaiting, 256)
	s.WindowWait = cmp.Or(s.WindowWait, 250*time.Millisecond)
	s.StallAfter = cmp.Or(s.StallAfter, time.Second)
	s.ConnectTimeout = cmp.Or(s.ConnectTimeout, 5*time.Second)
	s.ResponseTimeout = cmp.Or(s.ResponseTimeout, 10*time.Second)
	s.EnquireLink = cmp.Or(s.EnquireLink, 5*time.Second)
	s.DeadLink = cmp.Or(s.DeadLink, 15*time.Second)
	s.ReconnectMax = cmp.Or(s.ReconnectMax, 30*time.Second)
	s.RefusedDelay = cmp.Or(s.RefusedDelay, time.Minute)
	s.TLS.Mode = cmp.Or(s.TLS.Mode, "off")
	s.TLS.MinVersion = cmp.Or(s.TLS.MinVersion, "1.2")
	s.Alphabet = cmp.Or(s.Alphabet, AlphabetGSM)
	s.LongMessages = cmp.Or(s.LongMessages, LongUDH8)
	s.Validity = cmp.Or(s.Validity, ValidityRelative)
	s.MinRest = cmp.Or(s.MinRest, time.Second)
	s.Address.Alphanumeric = cmp.Or(s.Address.Alphanumeric, &Numbering{5, 0})
	s.Address.ShortCode = cmp.Or(s.Address.ShortCode, &Numbering{3, 0})
	s.Address.International = cmp.Or(s.Address.International, &Numbering{1, 1})
	s.Address.Destination = cmp.Or(s.Address.Destination, &Numbering{1, 1})
	if s.DataCoding == nil {
		coding := int(s.Alphabet.Encoding().DataCoding())
		s.DataCoding = &coding
	}
}

// Check returns every fault of the configuration. Zero values stand for defaults. Files
// are not opened.
func (c Config) Check() faults.Faults {
	c = c.WithDefaults()
	l := faults.New()
	l.Unless(len(c.SMSCs) > 0, "smsc", "is missing: at least one is required")
	l.Duration("drain_time", c.DrainTime, 0, 5*time.Minute)
	names := make(map[string]string)
	for i := range c.SMSCs {
		s, l := &c.SMSCs[i], l.At("smsc", i)
		l.Name("name", s.Name)
		l.Unique("name", s.Name, names)
		s.checkAccount(l)
		s.checkSession(l)
		s.checkMessage(l)
	}
	routes := make(map[string]string)
	for i := range c.Routes {
		r, l := &c.Routes[i], l.At("route", i)
		l.Unique("name", r.Name, routes)
		r.check(l, names)
	}
	return l.All()
}

// checkAccount checks who we are and where the SMSC is.
func (s *SMSC) checkAccount(l *faults.List) {
	l.HostPort("addr", s.Addr)
	for i, addr := range s.MoreAddrs {
		l.HostPort(faults.Index("more_addrs", i), addr)
	}
	l.Required("system_id", s.SystemID)
	for _, field := range []struct {
		key, value string
		most       int
	}{
		{"system_id", s.SystemID, 15}, {"password", s.Password, wire.MaxPassword}, {"system_type", s.SystemType, 12},
		{"service_type", s.ServiceType, 5}, {"address_range", s.AddressRange, 40},
	} {
		l.Unless(len(field.value) <= field.most && !strings.Contains(field.value, "\x00"), field.key,
			"must have at most %d octets and no NUL", field.most)
	}
	s.TLS.check(l.In("tls"))
}

// checkSession checks binds, windows and times.
func (s *SMSC) checkSession(l *faults.List) {
	l.OneOf("interface_version", string(s.InterfaceVersion), string(Version34), string(Version33))
	l.OneOf("mode", string(s.Mode), string(ModeTransceiver), string(ModeSeparate))
	faults.Range(l, "binds", s.Binds, 1, 64)
	faults.Range(l, "window", s.Window, 1, 10000)
	faults.Range(l, "max_waiting", s.MaxWaiting, 1, 100_000)
	l.Unless(s.Rate == 0 || s.Rate >= leastRate && s.Rate <= 1e6, "rate", "is %v, must be 0 (no ceiling), or %v to 1000000 a second", s.Rate, leastRate)
	l.Duration("window_wait", s.WindowWait, time.Millisecond, time.Minute)
	l.Duration("stall_after", s.StallAfter, 10*time.Millisecond, time.Hour)
	l.Duration("connect_timeout", s.ConnectTimeout, 100*time.Millisecond, time.Minute)
	l.Duration("response_timeout", s.ResponseTimeout, 100*time.Millisecond, 10*time.Minute)
	l.Duration("enquire_link", s.EnquireLink, 50*time.Millisecond, time.Hour)
	l.Duration("dead_link", s.DeadLink, 100*time.Millisecond, 2*time.Hour)
	l.Unless(s.DeadLink > s.EnquireLink, "dead_link", "is %v, must be longer than enquire_link (%v)", s.DeadLink, s.EnquireLink)
	l.Duration("reconnect_max", s.ReconnectMax, time.Second, time.Hour)
	l.Duration("rebind_pause", s.RebindPause, 0, 10*time.Minute)
	l.Duration("refused_delay", s.RefusedDelay, 100*time.Millisecond, time.Hour)
}

// checkMessage checks the keys that decide how a submit_sm looks.
func (s *SMSC) checkMessage(l *faults.List) {
	l.OneOf("alphabet", string(s.Alphabet), string(AlphabetGSM), string(AlphabetGSMPacked), string(AlphabetLatin1))
	faults.Range(l, "data_coding", *s.DataCoding, 0, 255)
	l.OneOf("long_messages", string(s.LongMessages), string(LongUDH8), string(LongUDH16), string(LongSAR), string(LongPayload))
	l.Unless(s.InterfaceVersion != Version33 || s.LongMessages != LongSAR && s.LongMessages != LongPayload, "long_messages",
		`is %q, which interface_version "3.3" has not: use "udh8" or "udh16"`, s.LongMessages)
	checkSender(l, s.Sender)
	address := l.In("address")
	s.Address.Alphanumeric.check(address.In("alphanumeric"))
	s.Address.ShortCode.check(address.In("short_code"))
	s.Address.International.check(address.In("international"))
	s.Address.Destination.check(address.In("destination"))
	l.OneOf("validity", string(s.Validity), string(ValidityRelative), string(ValidityAbsolute), string(ValidityNone))
	l.Duration("validity_floor", s.ValidityFloor, 0, maxRelative)
	l.Duration("validity_ceiling", s.ValidityCeiling, 0, maxRelative)
	l.Unless(s.ValidityCeiling == 0 || s.ValidityCeiling >= max(s.ValidityFloor, time.Second), "validity_ceiling",
		"is %v, must be a second or more and not below validity_floor", s.ValidityCeiling)
	l.Duration("min_rest", s.MinRest, 0, time.Minute)
	checkStatuses(l.In("status"), s.Status)
}

// checkStatuses checks the dispositions of command_status. A status in two spellings
// would have one or the other by chance. One for success would be without effect: the message was accepted.
func checkStatuses(l *faults.List, dispositions map[string]string) {
	spelled := make(map[wire.Status]string)
	for _, key := range slices.Sorted(maps.Keys(dispositions)) {
		if status, err := ParseStatus(key); err != nil {
			l.Add(key, "%v", err)
		} else {
			twin, twice := spelled[status]
			l.Unless(!twice, key, "is the same status as %q", twin)
			l.Unless(status != wire.ESMEOK, key, "is success, which can't mean anything else: leave it out")
			spelled[status] = key
		}
		if _, err := ParseDisposition(dispositions[key]); err != nil {
			l.Add(key, "%v", err)
		}
	}
}

func checkSender(l *faults.List, value string) {
	if err := CheckSender(value); err != nil {
		l.Add("sender", "%v", err)
	}
}

func (n *Numbering) check(l *faults.List) {
	faults.Range(l, "ton", n.TON, 0, 6)
	l.Unless(slices.Contains([]int{0, 1, 3, 4, 6, 8, 9, 10, 14, 18}, n.NPI), "npi",
		"is %d, must be one of 0, 1, 3, 4, 6, 8, 9, 10, 14, 18", n.NPI)
}

func (r *Route) check(l *faults.List, names map[string]string) {
	l.Unless(len(r.SMSCs) > 0 || len(names) == 0, "smscs", "is missing: at least one is required")
	for i, name := range r.SMSCs {
		key := faults.Index("smscs", i)
		_, known := names[name]
		l.Unless(known, key, "is %q: no smsc has that name", name)
		l.Unless(!slices.Contains(r.SMSCs[:i], name), key, "names %q a second time", name)
	}
	for i, prefix := range r.Prefixes {
		ok := strings.HasPrefix(prefix, "+") && len(prefix) > 1 && onlyDigits(prefix[1:])
		l.Unless(ok, faults.Index("prefixes", i), `is %q, must be '+' and digits, like "+47"`, prefix)
	}
	weights := l.In("weights")
	for _, name := range slices.Sorted(maps.Keys(r.Weights)) {
		weights.Unless(slices.Contains(r.SMSCs, name), name, "is not among the route's smscs")
		faults.Range(weights, name, r.Weights[name], 1, 1000)
	}
	checkSender(l, r.Sender)
}

func (t *TLS) check(l *faults.List) {
	l.OneOf("mode", t.Mode, "off", "on")
	l.OneOf("min_version", t.MinVersion, "1.2", "1.3")
	l.Unless((t.CertFile == "") == (t.KeyFile == ""), "cert_file", "needs tls.key_file, and the other way round")
	extras := t.CAFile + t.CertFile + t.KeyFile + t.ServerName
	l.Unless(t.Mode != "off" || extras == "", "mode", `is "off", but other tls keys are given: set it to "on" or remove them`)
}

// files reads the files that the settings name, and records those that it can't read. It
// returns nil where TLS is off.
func (t *TLS) files(l *faults.List) *pemfile.Files {
	if t.Mode != "on" {
		return nil
	}
	if _, err := pemfile.Pool(t.CAFile); err != nil {
		l.Add("ca_file", "%v", err)
	}
	if _, err := pemfile.Pair(t.CertFile, t.KeyFile); err != nil {
		l.Add("cert_file", "%v", err)
	}
	files, _ := pemfile.Open(t.CAFile, t.CertFile, t.KeyFile) // without the faults above
	return files
}

// config returns the settings of TLS for a connection, with the certificates as they are now; nil where TLS is off.
func (t *TLS) config(files *pemfile.Files) *tls.Config {
	if files == nil {
		return nil
	}
	c := &tls.Config{ServerName: t.ServerName}
	c.MinVersion, _ = pemfile.MinVersion(t.MinVersion) // checked
	c.RootCAs, c.Certificates = files.Current()
	return c
}
