package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	askTime    = 2 * time.Second // one question to one server, over UDP or TCP
	askRounds  = 2               // each server is asked so often
	maxAliases = 8               // in a chain of CNAME records
	maxAsked   = 2000            // questions of one Resolver: more means that records lead in circles
	udpSize    = 1232            // octets of an answer over UDP that no network cuts (DNS flag day 2020)
)

// Resolver asks DNS servers, and remembers the answers. It is safe for concurrent use.
type Resolver struct {
	servers []string // host:port, in the order in which they are asked

	mu    sync.Mutex
	known map[question]answer
	asked int
}

type question struct {
	name string // in lower case, with its final dot
	kind uint16
}

type answer struct {
	records []dns.RR
	alias   string // what the name is an alias of; empty: it is none
	err     error
}

// NewResolver returns a resolver that asks one server, or those of /etc/resolv.conf where server is empty. The
// port may be left out.
func NewResolver(server string) (*Resolver, error) {
	r := &Resolver{known: make(map[question]answer)}
	if server != "" {
		if _, _, err := net.SplitHostPort(server); err != nil {
			server = net.JoinHostPort(strings.Trim(server, "[]"), "53")
		}
		host, port, err := net.SplitHostPort(server)
		if err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("%q is no resolver; want HOST:PORT", server)
		}
		r.servers = []string{server}
		return r, nil
	}
	system, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil || len(system.Servers) == 0 {
		return nil, errors.New("/etc/resolv.conf names no DNS server: give one with -resolver HOST:PORT")
	}
	for _, s := range system.Servers {
		r.servers = append(r.servers, net.JoinHostPort(s, system.Port))
	}
	return r, nil
}

// String returns the servers.
func (r *Resolver) String() string { return strings.Join(r.servers, ", ") }

// lookup returns the records of a name, over all aliases. There may be none. An error is a *net.DNSError.
func (r *Resolver) lookup(ctx context.Context, name string, kind uint16) answer {
	q := question{dns.CanonicalName(name), kind}
	if _, ok := dns.IsDomainName(q.name); !ok || q.name == "." {
		return answer{err: &net.DNSError{Err: "not a name that the DNS can have", Name: name}}
	}
	r.mu.Lock()
	a, ok := r.known[q]
	r.mu.Unlock()
	if ok {
		return a
	}
	a = r.follow(ctx, q)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[q] = a
	return a
}

// follow asks for a name, and for what it is an alias of where the server does not say that by itself.
func (r *Resolver) follow(ctx context.Context, q question) answer {
	owner, a := q.name, answer{}
	for range maxAliases {
		m, err := r.exchange(ctx, question{owner, q.kind})
		if err != nil {
			a.err = err
			return a
		}
		next := aliasIn(m.Answer, owner)
		a.records = recordsOf(m.Answer, next, q.kind)
		if next != q.name {
			a.alias = strings.TrimSuffix(next, ".")
		}
		switch {
		case m.Rcode == dns.RcodeNameError:
			a.err = &net.DNSError{Err: "the name does not exist", Name: q.name, IsNotFound: true}
			return a
		case len(a.records) > 0 || next == owner:
			return a
		}
		owner = next
	}
	a.err = &net.DNSError{Err: fmt.Sprintf("a chain of more than %d aliases (CNAME)", maxAliases), Name: q.name}
	return a
}

// aliasIn follows the aliases that an answer has.
func aliasIn(records []dns.RR, owner string) string {
	for range records {
		for _, rr := range records {
			if c, ok := rr.(*dns.CNAME); ok && dns.CanonicalName(c.Hdr.Name) == owner {
				owner = dns.CanonicalName(c.Target)
				break
			}
		}
	}
	return owner
}

func recordsOf(all []dns.RR, owner string, kind uint16) []dns.RR {
	var own []dns.RR
	for _, rr := range all {
		if h := rr.Header(); h.Rrtype == kind && dns.CanonicalName(h.Name) == owner {
			own = append(own, rr)
		}
	}
	return own
}

// exchange asks the servers until one knows.
func (r *Resolver) exchange(ctx context.Context, q question) (*dns.Msg, error) {
	var last *net.DNSError
	for range askRounds {
		for _, server := range r.servers {
			if err := r.count(q); err != nil {
				return nil, err
			}
			m, err := ask(ctx, server, q)
			if err == nil {
				return m, nil
			}
			last = err
			if ctx.Err() != nil {
				return nil, last
			}
		}
	}
	return nil, last
}

// count bounds the questions.
func (r *Resolver) count(q question) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asked++; r.asked > maxAsked {
		return &net.DNSError{Err: fmt.Sprintf("more than %d questions to the DNS", maxAsked), Name: q.name}
	}
	return nil
}

// ask asks one server, over TCP where the answer does not fit UDP, and without EDNS where the server does not
// know that.
func ask(ctx context.Context, server string, q question) (*dns.Msg, *net.DNSError) {
	request := new(dns.Msg).SetQuestion(q.name, q.kind)
	request.SetEdns0(udpSize, false)
	m, err := askOver(ctx, "udp", server, request)
	if err == nil && m.Rcode == dns.RcodeFormatError {
		m, err = askOver(ctx, "udp", server, new(dns.Msg).SetQuestion(q.name, q.kind))
	}
	var timeout net.Error
	if err == nil && m.Truncated || err != nil && !(errors.As(err, &timeout) && timeout.Timeout()) {
		m, err = askOver(ctx, "tcp", server, request)
	}
	fault := &net.DNSError{Name: q.name, Server: server, IsTemporary: true}
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), err != nil && ctx.Err() != nil:
		fault.Err, fault.IsTimeout = "no answer in time", true
	case err != nil:
		fault.Err = "no answer: " + err.Error()
	case m.Rcode == dns.RcodeSuccess, m.Rcode == dns.RcodeNameError:
		return m, nil
	default:
		fault.Err = "the answer is " + dns.RcodeToString[m.Rcode]
		if m.Rcode == dns.RcodeServerFailure {
			fault.Err += ", as where a zone's servers are down or its DNSSEC signatures are wrong"
		}
	}
	return nil, fault
}

func askOver(ctx context.Context, network, server string, request *dns.Msg) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: askTime}
	m, _, err := client.ExchangeContext(ctx, request, server)
	return m, err
}

// txt returns the texts of a name's TXT records, the strings of each joined, and what the name is an alias of.
// A name that does not exist has none.
func (r *Resolver) txt(ctx context.Context, name string) (texts []string, alias string, err error) {
	a := r.lookup(ctx, name, dns.TypeTXT)
	for _, rr := range a.records {
		texts = append(texts, unescaped(strings.Join(rr.(*dns.TXT).Txt, "")))
	}
	if missing(a.err) {
		return nil, a.alias, nil
	}
	return texts, a.alias, a.err
}

// addresses returns the IPv4 and IPv6 addresses of a name.
func (r *Resolver) addresses(ctx context.Context, name string) ([]net.IPAddr, error) {
	var all []net.IPAddr
	v4, v6 := r.lookup(ctx, name, dns.TypeA), r.lookup(ctx, name, dns.TypeAAAA)
	for _, rr := range v4.records {
		all = append(all, net.IPAddr{IP: rr.(*dns.A).A})
	}
	for _, rr := range v6.records {
		all = append(all, net.IPAddr{IP: rr.(*dns.AAAA).AAAA})
	}
	if len(all) > 0 {
		return all, nil
	}
	if v4.err != nil {
		return nil, v4.err
	}
	return nil, v6.err
}

// missing reports whether an error says that the name does not exist.
func missing(err error) bool {
	var fault *net.DNSError
	return errors.As(err, &fault) && fault.IsNotFound
}

// unreachable returns the finding of a question that got no answer.
func (r *Resolver) unreachable(what string, err error) Finding {
	var fault *net.DNSError
	said := err.Error()
	if errors.As(err, &fault) {
		said = fault.Err
	}
	return found(Unknown, "%s could not be looked up at %s: %s.", what, r, said)
}
