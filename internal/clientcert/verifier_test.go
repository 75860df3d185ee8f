package clientcert

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"straks/internal/clientcert/certtest"
	"straks/internal/logtest"
)

// who returns the organisation for which a certificate stands, or the error.
func who(v *Verifier, c tls.Certificate) string {
	var certs []*x509.Certificate
	for _, der := range c.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		certs = append(certs, cert)
	}
	id, err := v.Identify(certs)
	if err != nil {
		return err.Error()
	}
	return id.Organisation
}

func newVerifier(t *testing.T, c Config) (*Verifier, *logtest.Log) {
	t.Helper()
	log := &logtest.Log{}
	v, err := New(c, slog.New(slog.NewJSONHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return v, log
}

// later has the verifier's clock advance.
func (v *Verifier) later(d time.Duration) {
	now := v.now
	v.now = func() time.Time { return now().Add(d) }
}

// TestWhoVouchesForWhom: an organisation's own authority vouches for it alone, wherever else its key is signed; the
// shared one does not vouch for an organisation that has its own.
func TestWhoVouchesForWhom(t *testing.T) {
	shared, a, b, stranger := certtest.New("shared"), certtest.New("A"), certtest.New("B"), certtest.New("stranger")
	between := shared.Below("between")
	v, _ := newVerifier(t, Config{
		Authorities: []Authority{
			{Key: "api", CAFiles: []string{certtest.File(t, shared)}},
			{Key: "a", Organisation: "a", CAFiles: []string{certtest.File(t, a)}},
			{Key: "b", Organisation: "b", CAFiles: []string{certtest.File(t, b)}},
		},
		Rules: []Rule{
			{Organisation: "a", CommonName: "backend"}, {Organisation: "b", CommonName: "backend"},
			{Organisation: "b", CommonName: "of-b"}, {Organisation: "c", CommonName: "of-c"},
		},
	})
	for _, c := range []struct {
		name string
		cert tls.Certificate
		want string
	}{
		{"A's backend", a.Issue("backend"), "a"},
		{"B's backend", b.Issue("backend"), "b"},
		{"A for B", a.Issue("of-b"), "it stands for no organisation; its subject is CN=of-b"},
		{"A for C", a.Issue("of-c"), "it stands for no organisation; its subject is CN=of-c"},
		{"the shared one for C", shared.Issue("of-c"), "c"},
		{"the shared one for B", shared.Issue("of-b"), "it stands for no organisation; its subject is CN=of-b"},
		{"one below the shared one", between.Issue("of-c"), "c"},
		{"A, signed by the shared one, for C", a.Cross(shared).Issue("of-c"), "organisation"},
		{"A, signed by the shared one, for itself", a.Cross(shared).Issue("backend"), "a"},
		{"below A, signed by B", a.Cross(b).Issue("of-b"), "organisation"},
		{"a stranger", stranger.Issue("of-c"), "no authority of ours has signed it"},
		{"signed by a client", a.Client("client").Issue("backend"), "no authority"},
	} {
		for range 2 { // the second outcome was kept
			if got := who(v, c.cert); !strings.Contains(got, c.want) {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
	if err := v.Set(Config{Authorities: []Authority{
		{Key: "a", Organisation: "a", CAFiles: []string{certtest.File(t, a)}}, {Key: "b", Organisation: "b", CAFiles: []string{certtest.File(t, b, a.Cross(b))}}}}); err == nil {
		t.Error("an authority may vouch for two")
	}
}

// TestRules: what a certificate must have; all that is given counts, and nothing else.
func TestRules(t *testing.T) {
	ca := certtest.New("ca")
	spiffe, _ := url.Parse("spiffe://example.org/backend")
	full := ca.Issue("backend", func(c *x509.Certificate) {
		c.Subject.Organization, c.Subject.Country = []string{"Digdir, Norge"}, []string{"NO"}
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 97}, Value: "NTRNO-991825827"}}
		c.DNSNames, c.URIs, c.EmailAddresses = []string{"Backend.example.org", "*.example.net"}, []*url.URL{spiffe}, []string{"Drift@EXAMPLE.org"}
	})
	subject := func(s string) Subject {
		parsed, err := ParseSubject(s)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for i, c := range []struct {
		rule Rule
		want bool
	}{
		{Rule{Subject: subject(`2.5.4.97=NTRNO-991825827,CN=backend,O=Digdir\, Norge,C=NO`)}, true},
		{Rule{Subject: subject(`organizationIdentifier = NTRNO-991825827, cn = backend, o = Digdir\2c Norge, c = NO`)}, true},
		{Rule{Subject: subject(`CN=backend,O=Digdir\, Norge,C=NO`)}, false},
		{Rule{Subject: subject(`CN=backend`)}, false},
		{Rule{CommonName: "backend"}, true},
		{Rule{CommonName: "Backend"}, false},
		{Rule{CommonName: "back"}, false},
		{Rule{DNS: "backend.EXAMPLE.org"}, true},
		{Rule{DNS: "a.example.net"}, false},
		{Rule{URI: "spiffe://example.org/backend"}, true},
		{Rule{URI: "spiffe://example.org/"}, false},
		{Rule{Email: "Drift@example.org"}, true},
		{Rule{Email: "drift@example.org"}, false},
		{Rule{CommonName: "backend", DNS: "backend.example.org"}, true},
		{Rule{CommonName: "backend", DNS: "other.example.org"}, false},
		{Rule{}, true},
	} {
		c.rule.Organisation = "a"
		v, _ := newVerifier(t, Config{Authorities: []Authority{{Key: "a", Organisation: "a", CAFiles: []string{certtest.File(t, ca)}}}, Rules: []Rule{c.rule}})
		if got := who(v, full); (got == "a") != c.want {
			t.Errorf("%d, %+v: %s", i, c.rule, got)
		}
	}
	v, _ := newVerifier(t, Config{Authorities: []Authority{{Key: "api", CAFiles: []string{certtest.File(t, ca)}}},
		Rules: []Rule{{Organisation: "a", CommonName: "backend"}, {Organisation: "b", DNS: "backend.example.org"}, {Organisation: "a", Email: "Drift@example.org"}}})
	if got := who(v, full); !strings.Contains(got, "two organisations") {
		t.Error(got)
	}
}

func TestSubjectsThatAreNone(t *testing.T) {
	for _, s := range []string{"", "backend", "CN=", "CN=a,", "CN=a,b", "CN=a;O=b", `CN="a"`, `CN=a\`, `CN=a\zz`, "XX=a", "=a", "CN=#0401", `CN=\ff`, "CN=a++O=b"} {
		if got, err := ParseSubject(s); err == nil {
			t.Errorf("%q: %q", s, got)
		}
	}
	for given, want := range map[string]string{
		" cn = a b ,O=x ": "CN=a b,O=x", `CN=\ a\ `: `CN=\ a\ `, "O=b+CN=a": "CN=a+O=b", `CN=a\0a`: `CN=a\0a`, `CN=\#a#`: `CN=\#a#`, "1.2.3=æ": "1.2.3=æ",
	} {
		got, err := ParseSubject(given)
		again, _ := ParseSubject(string(got))
		if err != nil || string(got) != want || again != got {
			t.Errorf("%q: %q, %v, and then %q; want %q", given, got, err, again, want)
		}
	}
}

// FuzzParseSubject: a name in its one form is read as itself.
func FuzzParseSubject(f *testing.F) {
	f.Add(`CN=backend,O=Digdir\, Norge+OU=x,C=NO`)
	f.Add(`1.2.3=\0a\ `)
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := ParseSubject(s); err == nil {
			if again, err := ParseSubject(string(got)); err != nil || again != got {
				t.Errorf("%q: %q, then %q, %v", s, got, again, err)
			}
		}
	})
}

// TestRevocation: lists in each form; what is revoked stays out, also by a list that is out of date; for the grace time the
// others stay in.
func TestRevocation(t *testing.T) {
	root := certtest.New("root")
	issuing, sister := root.Below("issuing"), root.Below("sister")
	good, bad := issuing.Issue("good"), issuing.Issue("bad")
	now := time.Now()
	soon := now.Add(time.Minute)
	path := filepath.Join(t.TempDir(), "crl")
	crl := func(lists ...[]byte) []byte { return certtest.PEM("X509 CRL", lists...) }
	certtest.Replace(t, path, crl(issuing.CRL(soon, bad)))
	v, log := newVerifier(t, Config{Grace: time.Hour, Rules: []Rule{{Organisation: "a"}},
		Authorities: []Authority{{Key: "a", Organisation: "a", CAFiles: []string{certtest.File(t, root)}, CRLFiles: []string{path}}}})
	steps := []struct {
		name  string
		list  []byte // nil: the one before
		later time.Duration
		good  string
		bad   string
	}{
		{"one is revoked", nil, 0, "a", "revoked"},
		{"the list is out of date", nil, 2 * time.Minute, "a", "revoked"},
		{"it is out of date for longer than the grace time", nil, 2 * time.Hour, "out of date since", "revoked"},
		{"a new one, of both authorities", crl(root.CRL(now.Add(9*time.Hour)), issuing.CRL(now.Add(9*time.Hour), bad)), 0, "a", "revoked"},
		{"in DER, and nobody is revoked", issuing.CRL(now.Add(9 * time.Hour)), 0, "a", "a"},
		{"a list of the root only", root.CRL(now.Add(9 * time.Hour)), 0, "no list", "no list"},
		{"of a sister only", sister.CRL(now.Add(9 * time.Hour)), 0, "no list", "no list"},
		{"forged in the name of the issuing one", certtest.New("issuing").CRL(now.Add(9 * time.Hour)), 0, "no list", "no list"},
		{"two lists, one of which revokes", crl(issuing.CRL(now.Add(9*time.Hour)), issuing.CRL(now.Add(8*time.Hour), good)), 0, "revoked", "a"},
		{"the issuing authority is revoked", crl(issuing.CRL(now.Add(9*time.Hour)), root.CRL(now.Add(9*time.Hour), issuing.Self())), 0, "revoked", "revoked"},
		{"forged in the name of the root: the one before stays", crl(certtest.New("root").CRL(now.Add(9*time.Hour)), issuing.CRL(now.Add(9*time.Hour))), 0, "revoked", "revoked"},
		{"a partial one: the one before stays", issuing.PartialCRL(), 0, "revoked", "revoked"},
		{"no list at all: the one before stays", []byte("<html>"), 0, "revoked", "revoked"},
		{"nobody is revoked again", issuing.CRL(now.Add(9 * time.Hour)), 0, "a", "a"},
	}
	for _, s := range steps {
		if s.list != nil {
			certtest.Replace(t, path, s.list)
		}
		v.later(s.later + 2*lookEvery)
		if got := who(v, good); !strings.Contains(got, s.good) {
			t.Errorf("%s: the good one: %s, want %s", s.name, got, s.good)
		}
		if got := who(v, bad); !strings.Contains(got, s.bad) {
			t.Errorf("%s: the bad one: %s, want %s", s.name, got, s.bad)
		}
	}
	for text, want := range map[string]int{"is out of date: fetch a new one": 2, "can't be used; what was read before stays in use": 3, "does not have the signature": 1,
		"critical extension": 1, "read again": 8} {
		if n := strings.Count(log.String(), text); n != want {
			t.Errorf("%q is logged %d times, want %d: %s", text, n, want, log)
		}
	}
	want := fmt.Sprintf(`
# HELP straks_client_ca_not_after_seconds Unix time at which the first certificate expires of the authorities that vouch for clients of the organisation; empty for the shared ones.
# TYPE straks_client_ca_not_after_seconds gauge
straks_client_ca_not_after_seconds{organisation="a"} %.10g
# HELP straks_client_crl_next_update_seconds Unix time from which a list of revoked client certificates is out of date, by organisation likewise.
# TYPE straks_client_crl_next_update_seconds gauge
straks_client_crl_next_update_seconds{organisation="a"} %.10g
`, float64(root.Cert.NotAfter.Unix()), float64(now.Add(9*time.Hour).Unix()))
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(v)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// TestAuthoritiesFollow: a new authority is in use as soon as its file is there, an old one until it is gone; one that is
// somebody else's is not taken.
func TestAuthoritiesFollow(t *testing.T) {
	first, second, other := certtest.New("first"), certtest.New("second"), certtest.New("other")
	path := certtest.File(t, first)
	v, log := newVerifier(t, Config{Rules: []Rule{{Organisation: "a"}, {Organisation: "b"}}, Authorities: []Authority{
		{Key: "a", Organisation: "a", CAFiles: []string{path}}, {Key: "b", Organisation: "b", CAFiles: []string{certtest.File(t, other)}}}})
	old, renewed, others := first.Issue("x"), second.Issue("x"), other.Issue("x")
	for i, s := range []struct {
		content []byte
		want    [3]bool
	}{
		{certtest.Certificates(first), [3]bool{true, false, true}},
		{certtest.Certificates(first, second), [3]bool{true, true, true}},
		{[]byte("half a file"), [3]bool{true, true, true}},
		{certtest.Certificates(second, other), [3]bool{true, true, true}},
		{certtest.Certificates(second), [3]bool{false, true, true}},
	} {
		certtest.Replace(t, path, s.content)
		v.later(2 * lookEvery)
		if got := [3]bool{who(v, old) == "a", who(v, renewed) == "a", who(v, others) == "b"}; got != s.want {
			t.Errorf("%d: %v, want %v", i, got, s.want)
		}
	}
	if n := strings.Count(log.String(), "can't be used"); n != 2 {
		t.Errorf("%d faults are logged, want 2: %s", n, log)
	}
	os.Remove(path)
	v.later(2 * lookEvery)
	if got := who(v, renewed); got != "a" {
		t.Errorf("without the file: %s", got)
	}
}

// TestOutcomesAreBounded: strangers can't fill the memory, and many callers at once agree.
func TestOutcomesAreBounded(t *testing.T) {
	ca := certtest.New("ca")
	v, _ := newVerifier(t, Config{Rules: []Rule{{Organisation: "a"}}, Authorities: []Authority{{Key: "a", Organisation: "a", CAFiles: []string{certtest.File(t, ca)}}}})
	client := ca.Issue("x")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				if got := who(v, client); got != "a" {
					t.Error(got)
				}
			}
		})
	}
	wg.Wait()
	o := v.current.Load().outcomes
	for n := range 2*maxOutcomes + 2 {
		o.Put([32]byte{byte(n), byte(n >> 8), 1}, outcome{})
	}
	if n := o.Len(); n > 2*maxOutcomes {
		t.Errorf("%d are kept", n)
	}
	long := client
	for range maxChain {
		long.Certificate = append(long.Certificate, ca.Cert.Raw)
	}
	if got := who(v, long); !strings.Contains(got, "certificates were sent") {
		t.Error(got)
	}
}
