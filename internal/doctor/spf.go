package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"blitiri.com.ar/go/spf"
	"github.com/miekg/dns"
)

// egress is a network that a relay sends from.
type egress struct {
	relay   string
	network netip.Prefix
}

// String returns the address, or the network.
func (e egress) String() string {
	if e.network.IsSingleIP() {
		return e.network.Addr().String()
	}
	return e.network.String()
}

// term returns the network as a term of SPF.
func (e egress) term() string {
	if e.network.Addr().Is4() {
		return "ip4:" + e.String()
	}
	return "ip6:" + e.String()
}

// ends returns the first and the last address. What SPF says of both is taken for what it says of all.
func (e egress) ends() []netip.Addr {
	first := e.network.Masked().Addr()
	last := first.AsSlice()
	for bit := e.network.Bits(); bit < len(last)*8; bit++ {
		last[bit/8] |= 1 << (7 - bit%8)
	}
	end, _ := netip.AddrFromSlice(last)
	if end == first {
		return []netip.Addr{first}
	}
	return []netip.Addr{first, end}
}

// spfCheck looks at the SPF record of the domain in the return path (RFC 7208).
func spfCheck(ctx context.Context, r *Resolver, domain string, from []egress, unsaid []string) []Finding {
	texts, alias, err := r.txt(ctx, domain)
	if err != nil {
		return []Finding{r.unreachable("the SPF record", err)}
	}
	records := spfRecords(texts)
	switch len(records) {
	case 0:
		return []Finding{spfMissing(domain, alias, texts, from)}
	case 1:
	default:
		f := found(Fix, "There are %d SPF records, and receivers take that for an error: keep one, with the terms of all.", len(records))
		for _, record := range records {
			f.Remove = append(f.Remove, TXT(domain, record))
		}
		f.Publish = []string{TXT(domain, joinedRecords(records, from))}
		return []Finding{f}
	}
	w := &walk{}
	w.count(ctx, r, domain, records[0], true)
	all := spfRecord(r, domain, w)
	for _, relay := range unsaid {
		f := found(Note, "Relay %q does not say which addresses it sends from, so whether the record holds them was not looked at.", relay)
		f.Configure = []string{"# in [[relay]], name = \"" + relay + "\"", `egress = ["192.0.2.10"]   # the addresses that receivers see`}
		all = append(all, f)
	}
	if w.err != nil || len(w.wrong) > 0 {
		return all
	}
	return append(all, spfHolds(ctx, r, domain, records[0], from)...)
}

// spfMissing is the finding of a domain without an SPF record.
func spfMissing(domain, alias string, texts []string, from []egress) Finding {
	f := found(Fix, "There is no SPF record: receivers can't tell our mails from forged ones.")
	for _, text := range texts {
		if strings.Contains(strings.ToLower(text), "spf1") {
			f.Says = `There is no SPF record. One that nearly is begins otherwise than with "v=spf1 ".`
			f.Remove = append(f.Remove, TXT(domain, text))
		}
	}
	if alias != "" {
		domain = alias
		f.Says += fmt.Sprintf(" The domain is an alias (CNAME) of %s: the record belongs there.", alias)
	}
	f.Publish = []string{TXT(domain, "v=spf1"+terms(from)+" ~all")}
	if len(from) == 0 {
		f.Publish = []string{TXT(domain, "v=spf1 ip4:192.0.2.10 ~all") + " ; in place of 192.0.2.10, the addresses that the relay sends from"}
	}
	return f
}

// terms returns the networks as terms of SPF, each after a blank.
func terms(from []egress) string {
	var b strings.Builder
	for _, e := range from {
		if t := " " + e.term(); !strings.Contains(b.String()+" ", t+" ") {
			b.WriteString(t)
		}
	}
	return b.String()
}

// withTerms returns a record in which the terms come first: they cost no look-up, and nothing else decides.
func withTerms(record string, from []egress) string {
	return record[:len("v=spf1")] + terms(from) + record[len("v=spf1"):]
}

// joinedRecords returns one record in place of several: our networks, the terms of all, and the last "all".
func joinedRecords(records []string, from []egress) string {
	all, joined := "~all", "v=spf1"+terms(from)
	for _, record := range records {
		for _, t := range strings.Fields(record)[1:] {
			if strings.EqualFold(strings.TrimLeft(t, "+-~?"), "all") {
				all = t
			} else if !strings.Contains(joined+" ", " "+t+" ") {
				joined += " " + t
			}
		}
	}
	return joined + " " + all
}

// spfRecord returns the finding about the record as a whole.
func spfRecord(r *Resolver, domain string, w *walk) []Finding {
	var all []Finding
	for _, s := range w.wrong {
		all = append(all, found(Fix, "The record is wrong, and receivers take that for an error: %s.", s))
	}
	if w.err != nil {
		all = append(all, r.unreachable("a part of the SPF record, "+w.err.(*net.DNSError).Name+",", w.err))
	}
	if w.lookups > maxSPFLookups {
		all = append(all, found(Fix, "The record takes %d look-ups, and receivers stop with an error after %d. Put networks (ip4:, ip6:) in place of includes, or remove some. They are: %s.",
			w.lookups, maxSPFLookups, strings.Join(w.costs, ", ")))
	}
	if len(w.void) > maxSPFVoid {
		all = append(all, found(Fix, "The record leads to %d names without an answer, and receivers stop with an error after %d. Remove what leads to %s.",
			len(w.void), maxSPFVoid, strings.Join(w.void, ", ")))
	} else if len(w.void) > 0 {
		all = append(all, found(Note, "The record leads to a name without an answer: %s.", strings.Join(w.void, ", ")))
	}
	if len(w.notJudged) > 0 {
		all = append(all, found(Note, "Not judged, since it depends on the mail: %s.", strings.Join(w.notJudged, ", ")))
	}
	if w.open {
		f := found(Fix, "The record lets every address send for %s: it must end with ~all or -all.", domain)
		all = append(all, f)
	}
	if len(all) == 0 {
		all = append(all, found(OK, "One record, %d of at most %d look-ups.", w.lookups, maxSPFLookups))
	}
	return all
}

// spfHolds evaluates the record for each network, as a receiver would.
func spfHolds(ctx context.Context, r *Resolver, domain, record string, from []egress) []Finding {
	var all []Finding
	var lacking []egress
	var results []string
	for _, e := range from {
		result, err := evaluate(ctx, r, domain, e)
		switch result {
		case spf.Pass:
			all = append(all, found(OK, "It holds %s of relay %s.", e, e.relay))
		case spf.TempError:
			all = append(all, r.unreachable("SPF for "+e.String(), err))
		default:
			lacking = append(lacking, e)
			results = append(results, fmt.Sprintf("%s of relay %s (%s)", e, e.relay, explain(result, err)))
		}
	}
	if len(lacking) > 0 {
		f := found(Fix, "The record does not let our relays send: %s.", strings.Join(results, ", "))
		f.Remove = []string{TXT(domain, record)}
		f.Publish = []string{TXT(domain, withTerms(record, lacking))}
		all = append(all, f)
	}
	return all
}

// evaluate returns the worst result for the ends of a network.
func evaluate(ctx context.Context, r *Resolver, domain string, e egress) (spf.Result, error) {
	for _, addr := range e.ends() {
		result, err := spf.CheckHostWithSender(addr.AsSlice(), domain, "postmaster@"+domain, spf.WithContext(ctx), spf.WithResolver(spfResolver{r}))
		if result != spf.Pass {
			return result, err
		}
	}
	return spf.Pass, nil
}

func explain(result spf.Result, err error) string {
	switch {
	case errors.Is(err, spf.ErrLookupLimitReached):
		return "an error: too many look-ups before it"
	case errors.Is(err, spf.ErrVoidLookupLimitReached):
		return "an error: too many look-ups without an answer before it"
	case result == spf.PermError:
		return "an error of the record"
	}
	return string(result)
}

// spfResolver is the Resolver as the evaluation wants it.
type spfResolver struct{ *Resolver }

// LookupTXT leaves out modifiers that SPF does not define: evaluation must ignore them (RFC 7208 §6), and the
// library takes them for errors.
func (r spfResolver) LookupTXT(ctx context.Context, name string) ([]string, error) {
	a := r.lookup(ctx, name, dns.TypeTXT)
	var texts []string
	for _, rr := range a.records {
		text := unescaped(strings.Join(rr.(*dns.TXT).Txt, ""))
		if len(spfRecords([]string{text})) > 0 {
			kept := []string{"v=spf1"}
			for _, written := range strings.Fields(text)[1:] {
				if t, _ := parseTerm(written); !t.modifier || t.name == "redirect" || t.name == "exp" {
					kept = append(kept, written)
				}
			}
			text = strings.Join(kept, " ")
		}
		texts = append(texts, text)
	}
	return texts, a.err
}

func (r spfResolver) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	a := r.lookup(ctx, name, dns.TypeMX)
	var all []*net.MX
	for _, rr := range a.records {
		mx := rr.(*dns.MX)
		all = append(all, &net.MX{Host: mx.Mx, Pref: mx.Preference})
	}
	return all, a.err
}

func (r spfResolver) LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error) {
	return r.addresses(ctx, host)
}

func (r spfResolver) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	name, err := dns.ReverseAddr(addr)
	if err != nil {
		return nil, &net.DNSError{Err: err.Error(), Name: addr}
	}
	a := r.lookup(ctx, name, dns.TypePTR)
	var names []string
	for _, rr := range a.records {
		names = append(names, rr.(*dns.PTR).Ptr)
	}
	return names, a.err
}
