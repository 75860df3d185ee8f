package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"straks/internal/suggest"
)

// Bounds of RFC 7208 §4.6.4.
const (
	maxSPFLookups = 10
	maxSPFVoid    = 2
	maxSPFHosts   = 10 // of one mx or ptr
	// maxSPFWalk ends the count of look-ups: records may include each other for ever.
	maxSPFWalk = 50
)

// term is a mechanism or a modifier of an SPF record (RFC 7208 §4.6.1).
type term struct {
	written  string // as in the record
	name     string // in lower case: "include", "ip4", "redirect", …
	value    string // after ':' or '='; for a and mx without the prefix lengths
	modifier bool
}

// spfRecords returns the SPF records among the texts (RFC 7208 §4.5).
func spfRecords(texts []string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(s string) bool {
		s = strings.ToLower(s)
		return s != "v=spf1" && !strings.HasPrefix(s, "v=spf1 ")
	})
}

// mechanisms have a value after ':' always (true), or may have one (false).
var mechanisms = map[string]bool{"all": false, "include": true, "a": false, "mx": false, "ptr": false, "ip4": true, "ip6": true, "exists": true}

// parseTerms returns the terms of a record, and a sentence for each that is wrong.
func parseTerms(record string) (terms []term, wrong []string) {
	for _, written := range strings.Fields(record)[1:] {
		t, fault := parseTerm(written)
		if fault != "" {
			wrong = append(wrong, fmt.Sprintf("%q %s", written, fault))
			continue
		}
		terms = append(terms, t)
	}
	return terms, wrong
}

func parseTerm(written string) (t term, fault string) {
	t = term{written: written}
	mark := strings.IndexAny(written, ":=/")
	if mark >= 0 && written[mark] == '=' {
		t.name, t.value, t.modifier = strings.ToLower(written[:mark]), written[mark+1:], true
		if (t.name == "redirect" || t.name == "exp") && t.value == "" {
			return t, "lacks the domain"
		}
		if _, ok := mechanisms[t.name]; ok {
			return t, fmt.Sprintf("has '=' where %q takes ':'", t.name)
		}
		return t, "" // unknown modifiers are ignored (RFC 7208 §6)
	}
	name, value := written, ""
	if mark >= 0 {
		name, value = written[:mark], written[mark:]
	}
	t.name = strings.ToLower(strings.TrimLeft(name, "+-~?"))
	needs, known := mechanisms[t.name]
	switch {
	case !known || len(name)-len(t.name) > 1:
		return t, "is no term of SPF" + didYouMean(t.name)
	case strings.HasPrefix(value, ":"):
		t.value = value[1:]
	case value != "" && t.name != "a" && t.name != "mx":
		return t, "has a prefix length, which only a, mx, ip4 and ip6 take"
	}
	if (needs || value == ":") && t.value == "" {
		return t, "lacks its value"
	}
	return t, t.fault(value)
}

// fault returns what is wrong with the value of a known mechanism.
func (t *term) fault(value string) string {
	switch t.name {
	case "all":
		if value != "" {
			return "takes no value"
		}
	case "ip4", "ip6":
		if !isNetwork(t.value, t.name == "ip6") {
			return fmt.Sprintf("is no IPv%s address or network", t.name[2:])
		}
	case "a", "mx":
		domain, lengths, ok := strings.Cut(strings.TrimPrefix(value, ":"), "/")
		t.value = domain
		if ok && !prefixLengths(lengths) {
			return "has a wrong prefix length"
		}
	}
	return ""
}

func didYouMean(name string) string {
	names := []string{"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"}
	near := map[string]string{"ipv4": "ip4", "ipv6": "ip6"}[name]
	if near == "" {
		near = suggest.For(name, names)
	}
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", near)
}

// isNetwork reports whether s is an address or a network of IPv4, or of IPv6.
func isNetwork(s string, v6 bool) bool {
	addr, err := netip.ParseAddr(s)
	if strings.Contains(s, "/") {
		var p netip.Prefix
		p, err = netip.ParsePrefix(s)
		addr = p.Addr()
	}
	return err == nil && addr.Is6() == v6 && addr.Zone() == ""
}

// prefixLengths reports whether s is "24", "24//64" or "/64" (RFC 7208 §5.6, dual-cidr-length).
func prefixLengths(s string) bool {
	v4, v6, both := strings.Cut(s, "//")
	if rest, ok := strings.CutPrefix(s, "/"); ok {
		v4, v6, both = "0", rest, true
	}
	n, err := strconv.Atoi(v4)
	ok := err == nil && n >= 0 && n <= 32
	if both {
		n, err = strconv.Atoi(v6)
		ok = ok && err == nil && n >= 0 && n <= 128
	}
	return ok
}

// walk is what evaluating a whole record costs, and what is wrong in it.
type walk struct {
	lookups   int
	void      []string // names without an answer
	costs     []string // of the first record: "include:_spf.example.net: 4"
	wrong     []string
	notJudged []string // terms that depend on the mail
	open      bool     // "+all" somewhere: every address passes
	err       error    // the DNS gave no answer
}

// count walks the record of a domain and all that it includes.
func (w *walk) count(ctx context.Context, r *Resolver, domain, record string, outermost bool) {
	terms, wrong := parseTerms(record)
	for _, s := range wrong {
		w.wrong = append(w.wrong, fmt.Sprintf("in the record of %s, %s", domain, s))
	}
	var redirect *term
	for i, t := range terms {
		if w.lookups > maxSPFWalk || w.err != nil {
			return
		}
		before := w.lookups
		switch {
		case t.name == "all" && !t.modifier:
			w.open = w.open || strings.HasPrefix(t.written, "+") || len(t.written) == len("all")
			return // what follows is not read, redirect neither (RFC 7208 §5.1)
		case t.name == "redirect":
			redirect = &terms[i]
			continue
		case t.modifier || t.name == "ip4" || t.name == "ip6":
			continue
		}
		w.term(ctx, r, domain, t)
		if outermost {
			w.costs = append(w.costs, fmt.Sprintf("%s: %d", t.written, w.lookups-before))
		}
	}
	if redirect != nil {
		w.include(ctx, r, redirect, outermost)
	}
}

// term counts one mechanism that asks the DNS.
func (w *walk) term(ctx context.Context, r *Resolver, domain string, t term) {
	if t.name == "include" {
		w.include(ctx, r, &t, false)
		return
	}
	w.lookups++
	target := t.value
	if target == "" {
		target = domain
	}
	switch {
	case strings.Contains(target, "%"):
		w.notJudged = append(w.notJudged, t.written)
	case t.name == "mx":
		a := r.lookup(ctx, target, dns.TypeMX)
		w.note(target, len(a.records), a.err)
		if len(a.records) > maxSPFHosts {
			w.wrong = append(w.wrong, fmt.Sprintf("%q has %d hosts, and SPF allows %d", t.written, len(a.records), maxSPFHosts))
		}
	case t.name == "a", t.name == "exists":
		found, err := r.addresses(ctx, target)
		w.note(target, len(found), err)
	}
}

// include counts an include or a redirect.
func (w *walk) include(ctx context.Context, r *Resolver, t *term, outermost bool) {
	w.lookups++
	if strings.Contains(t.value, "%") {
		w.notJudged = append(w.notJudged, t.written)
		return
	}
	texts, _, err := r.txt(ctx, t.value)
	if err != nil {
		w.note(t.value, 0, err)
		return
	}
	records := spfRecords(texts)
	if len(texts) == 0 {
		w.void = append(w.void, t.value)
	}
	if len(records) != 1 {
		w.wrong = append(w.wrong, fmt.Sprintf("%q leads to a name with %d SPF records, and must lead to one", t.written, len(records)))
		return
	}
	w.count(ctx, r, t.value, records[0], outermost)
}

// note records a look-up of a name with n answers.
func (w *walk) note(name string, n int, err error) {
	var fault *net.DNSError
	switch {
	case missing(err), err == nil && n == 0:
		w.void = append(w.void, name)
	case err != nil:
		fault, _ = err.(*net.DNSError)
		w.err = &net.DNSError{Err: fault.Err, Name: name}
	}
}
