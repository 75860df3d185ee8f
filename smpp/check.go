package smpp

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"straks/smpp/wire"
)

// KeyError is a fault in the configuration.
type KeyError struct {
	Key     string // dotted, like "smsc[0].window"
	Message string // what is wrong and what would be right
}

func (e *KeyError) Error() string { return e.Key + ": " + e.Message }

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

// Places is how many messages may be with the SMSC unanswered at once, and how
// many may wait for that.
func (s SMSC) Places() (window, waiting int) {
	s.fillDefaults()
	return s.Binds * s.Window, s.MaxWaiting
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

// Check returns every fault of the configuration, joined; each is a *KeyError.
// Zero values stand for defaults. Files are not opened.
func (c Config) Check() error {
	var f faults
	c = c.WithDefaults()
	f.that(len(c.SMSCs) > 0, "smsc", "at least one is required")
	f.between("drain_time", c.DrainTime, 0, 5*time.Minute)
	names := map[string]bool{}
	for i := range c.SMSCs {
		s := &c.SMSCs[i]
		f.at = fmt.Sprintf("smsc[%d].", i)
		f.that(s.Name == "" || !names[s.Name], "name", "is %q, which another smsc has already", s.Name)
		names[s.Name] = true
		f.identity(s)
		f.session(s)
		f.message(s)
	}
	routes := map[string]bool{}
	for i := range c.Routes {
		r := &c.Routes[i]
		f.at = fmt.Sprintf("route[%d].", i)
		f.that(!routes[r.Name], "name", "is %q, which another route has already", r.Name)
		routes[r.Name] = true
		f.route(r, names)
	}
	return errors.Join(f.errs...)
}

// faults collects what is wrong.
type faults struct {
	at   string // prefix of keys
	errs []error
}

func (f *faults) that(ok bool, key, format string, args ...any) {
	if !ok {
		f.errs = append(f.errs, &KeyError{f.at + key, fmt.Sprintf(format, args...)})
	}
}

func (f *faults) between(key string, d, least, most time.Duration) {
	f.that(d >= least && d <= most, key, "is %v, must be %v to %v", d, least, most)
}

func (f *faults) length(key, value string, most int) {
	f.that(len(value) <= most && !strings.Contains(value, "\x00"), key, "must have at most %d octets and no NUL", most)
}

func (f *faults) oneOf(key, value string, allowed ...string) {
	f.that(slices.Contains(allowed, value), key, `is %q, must be one of "%s"`, value, strings.Join(allowed, `", "`))
}

func (f *faults) count(key string, n, least, most int) {
	f.that(n >= least && n <= most, key, "is %d, must be %d to %d", n, least, most)
}

// identity checks who we are and where the SMSC is.
func (f *faults) identity(s *SMSC) {
	f.that(s.Name != "", "name", "is required")
	f.that(nameLike(s.Name), "name", "is %q: use at most 40 letters, digits, '-', '_' and '.'", s.Name)
	f.that(s.Addr != "", "addr", `is required, like "10.0.0.5:2775"`)
	if s.Addr != "" {
		f.hostPort("addr", s.Addr)
	}
	for i, addr := range s.MoreAddrs {
		f.hostPort(fmt.Sprintf("more_addrs[%d]", i), addr)
	}
	f.that(s.SystemID != "", "system_id", "is required")
	f.length("system_id", s.SystemID, 15)
	f.length("password", s.Password, wire.MaxPassword)
	f.length("system_type", s.SystemType, 12)
	f.length("service_type", s.ServiceType, 5)
	f.length("address_range", s.AddressRange, 40)
	f.oneOf("tls.mode", s.TLS.Mode, "off", "on")
	f.oneOf("tls.min_version", s.TLS.MinVersion, "1.2", "1.3")
	f.that((s.TLS.CertFile == "") == (s.TLS.KeyFile == ""), "tls.cert_file", "needs tls.key_file, and the other way round")
	extras := s.TLS.CAFile + s.TLS.CertFile + s.TLS.KeyFile + s.TLS.ServerName
	f.that(s.TLS.Mode != "off" || extras == "", "tls.mode", `is "off", but other tls keys are given: set it to "on" or remove them`)
}

func (f *faults) hostPort(key, addr string) {
	host, port, err := net.SplitHostPort(addr)
	n, portErr := strconv.Atoi(port)
	ok := err == nil && portErr == nil && host != "" && n > 0 && n < 1<<16
	f.that(ok, key, `is %q, must be host and port, like "10.0.0.5:2775"`, addr)
}

// nameLike keeps names usable as metric labels and in log lines.
func nameLike(s string) bool {
	for _, r := range s {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", r) {
			return false
		}
	}
	return len(s) <= 40
}

// session checks binds, windows and times.
func (f *faults) session(s *SMSC) {
	f.oneOf("interface_version", string(s.InterfaceVersion), string(Version34), string(Version33))
	f.oneOf("mode", string(s.Mode), string(ModeTransceiver), string(ModeSeparate))
	f.count("binds", s.Binds, 1, 64)
	f.count("window", s.Window, 1, 10000)
	f.count("max_waiting", s.MaxWaiting, 1, 100_000)
	f.that(s.Rate == 0 || s.Rate >= leastRate && s.Rate <= 1e6, "rate", "is %v, must be 0 (no ceiling), or %v to 1000000 a second", s.Rate, leastRate)
	f.between("window_wait", s.WindowWait, time.Millisecond, time.Minute)
	f.between("stall_after", s.StallAfter, 10*time.Millisecond, time.Hour)
	f.between("connect_timeout", s.ConnectTimeout, 100*time.Millisecond, time.Minute)
	f.between("response_timeout", s.ResponseTimeout, 100*time.Millisecond, 10*time.Minute)
	f.between("enquire_link", s.EnquireLink, 50*time.Millisecond, time.Hour)
	f.between("dead_link", s.DeadLink, 100*time.Millisecond, 2*time.Hour)
	f.that(s.DeadLink > s.EnquireLink, "dead_link", "is %v, must be longer than enquire_link (%v)", s.DeadLink, s.EnquireLink)
	f.between("reconnect_max", s.ReconnectMax, time.Second, time.Hour)
	f.between("refused_delay", s.RefusedDelay, 100*time.Millisecond, time.Hour)
}

// message checks what decides how a submit_sm looks.
func (f *faults) message(s *SMSC) {
	f.oneOf("alphabet", string(s.Alphabet), string(AlphabetGSM), string(AlphabetGSMPacked), string(AlphabetLatin1))
	f.count("data_coding", *s.DataCoding, 0, 255)
	f.oneOf("long_messages", string(s.LongMessages), string(LongUDH8), string(LongUDH16), string(LongSAR), string(LongPayload))
	f.that(s.InterfaceVersion != Version33 || s.LongMessages != LongSAR && s.LongMessages != LongPayload, "long_messages",
		`is %q, which interface_version "3.3" has not: use "udh8" or "udh16"`, s.LongMessages)
	f.sender("sender", s.Sender)
	f.numbering("address.alphanumeric", *s.Address.Alphanumeric)
	f.numbering("address.short_code", *s.Address.ShortCode)
	f.numbering("address.international", *s.Address.International)
	f.numbering("address.destination", *s.Address.Destination)
	f.oneOf("validity", string(s.Validity), string(ValidityRelative), string(ValidityAbsolute), string(ValidityNone))
	f.between("validity_floor", s.ValidityFloor, 0, maxRelative)
	f.between("validity_ceiling", s.ValidityCeiling, 0, maxRelative)
	f.that(s.ValidityCeiling == 0 || s.ValidityCeiling >= max(s.ValidityFloor, time.Second), "validity_ceiling",
		"is %v, must be a second or more and not below validity_floor", s.ValidityCeiling)
	f.between("min_rest", s.MinRest, 0, time.Minute)
	f.statuses(s.Status)
}

// statuses checks what an answer's command_status means. One that is spelled in two ways
// would mean now this, now that. One for success would be without effect: the message was taken.
func (f *faults) statuses(dispositions map[string]string) {
	spelled := make(map[wire.Status]string)
	for _, key := range slices.Sorted(maps.Keys(dispositions)) {
		status, err := ParseStatus(key)
		f.that(err == nil, "status."+key, "%v", err)
		if err == nil {
			twin, twice := spelled[status]
			f.that(!twice, "status."+key, "is the same status as %q", twin)
			f.that(status != wire.ESMEOK, "status."+key, "is success, which can't mean anything else: leave it out")
			spelled[status] = key
		}
		_, err = ParseDisposition(dispositions[key])
		f.that(err == nil, "status."+key, "%v", err)
	}
}

func (f *faults) sender(key, value string) {
	_, _, err := parseSender(value)
	f.that(err == nil, key, "%v", err)
}

func (f *faults) numbering(key string, n Numbering) {
	f.count(key+".ton", n.TON, 0, 6)
	f.that(slices.Contains([]int{0, 1, 3, 4, 6, 8, 9, 10, 14, 18}, n.NPI), key+".npi",
		"is %d, must be one of 0, 1, 3, 4, 6, 8, 9, 10, 14, 18", n.NPI)
}

func (f *faults) route(r *Route, names map[string]bool) {
	f.that(len(r.SMSCs) > 0 || len(names) == 0, "smscs", "at least one is required")
	for i, name := range r.SMSCs {
		key := fmt.Sprintf("smscs[%d]", i)
		f.that(names[name], key, "is %q: no smsc has that name", name)
		f.that(!slices.Contains(r.SMSCs[:i], name), key, "names %q a second time", name)
	}
	for i, prefix := range r.Prefixes {
		ok := strings.HasPrefix(prefix, "+") && len(prefix) > 1 && onlyDigits(prefix[1:])
		f.that(ok, fmt.Sprintf("prefixes[%d]", i), `is %q, must be '+' and digits, like "+47"`, prefix)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Weights)) {
		f.that(slices.Contains(r.SMSCs, name), "weights."+name, "is not among the route's smscs")
		f.count("weights."+name, r.Weights[name], 1, 1000)
	}
	f.sender("sender", r.Sender)
}
