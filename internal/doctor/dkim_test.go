package doctor

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"straks/internal/config"
	"straks/internal/doctor/dnstest"
	"straks/smtp"
)

func key(t *testing.T, selector string, private crypto.Signer, next bool) config.PublishedKey {
	t.Helper()
	return config.PublishedKey{DKIMKey: smtp.DKIMKey{Domain: "example.org", Selector: selector, Private: private}, Next: next}
}

func TestDKIM(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	rsaText, _ := key(t, "x", rsaKey, false).Record()
	edText, _ := key(t, "x", edKey, false).Record()
	otherText, _ := key(t, "x", other, false).Record()
	p := strings.TrimPrefix(rsaText, "v=DKIM1; k=rsa; p=")
	edP := strings.TrimPrefix(edText, "v=DKIM1; k=ed25519; p=")
	for _, c := range []struct {
		name    string
		texts   []string // of the record
		private crypto.Signer
		want    []string
	}{
		{"rsa", []string{rsaText}, rsaKey, []string{"ok", "rsa, 2048 bits"}},
		{"ed25519", []string{edText}, edKey, []string{"ok", "ed25519"}},
		{"bare", []string{"p=" + p}, rsaKey, []string{"ok"}},
		{"blanks", []string{"v=DKIM1 ; k = rsa ; h=sha1: sha256; s=email;t=s; p=" + p[:100] + " \t" + p[100:] + ";"}, rsaKey, []string{"ok"}},
		{"testing", []string{"v=DKIM1; k=rsa; t=y; p=" + p}, rsaKey, []string{"note", "t=y"}},
		{"absent", nil, rsaKey, []string{"fix", "no record", `publish: absent._domainkey.example.org. 3600 IN TXT ( "v=DKIM1; k=rsa; p=` + p[:200]}},
		{"revoked", []string{"v=DKIM1; k=rsa; p="}, rsaKey, []string{"fix", "revokes", `remove: revoked._domainkey.example.org. 3600 IN TXT ( "v=DKIM1; k=rsa; p=" )`}},
		{"wrong", []string{otherText}, edKey, []string{"fix", "another key", "publish: ", edP}},
		{"kind", []string{otherText}, rsaKey, []string{"fix", "another kind"}},
		{"nokind", []string{"v=DKIM1; p=" + edP}, edKey, []string{"fix", "another kind"}},
		{"cut", []string{rsaText[:255]}, rsaKey, []string{"fix", "cut off"}},
		{"nokey", []string{"v=DKIM1; k=rsa"}, rsaKey, []string{"fix", "no key"}},
		{"version", []string{"v=DKIM2; k=rsa; p=" + p}, rsaKey, []string{"fix", "version"}},
		{"garbage", []string{"hello"}, rsaKey, []string{"fix", "no list of tags"}},
		{"twice", []string{"p=" + p + "; p=" + p}, rsaKey, []string{"fix", "no list of tags"}},
		{"sha1", []string{"v=DKIM1; h=sha1; p=" + p}, rsaKey, []string{"fix", "SHA-256"}},
		{"service", []string{"v=DKIM1; s=tlsrpt; p=" + p}, rsaKey, []string{"fix", "services"}},
		{"several", []string{rsaText, otherText}, rsaKey, []string{"fix", "2 records", "remove: ", "publish: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := dnstest.Serve(t, "")
			for _, text := range c.texts {
				s.Add(t, TXT(c.name+"._domainkey.example.org", text))
			}
			got := dkimCheck(within(t), resolver(t, s), key(t, c.name, c.private, false))
			wants(t, got, c.want)
			publishes(t, got)
			for _, f := range got {
				if len(f.Publish) == 0 {
					continue
				}
				s.Change(func(now *dnstest.State) { now.Records = nil })
				s.Add(t, f.Publish[0])
				wants(t, dkimCheck(within(t), resolver(t, s), key(t, c.name, c.private, false)), []string{"ok"})
			}
		})
	}
	s := dnstest.Serve(t, "alias._domainkey.example.org. 60 IN CNAME keys.example.net.\nlost._domainkey.example.org. 60 IN CNAME lost.example.net.")
	s.Add(t, TXT("keys.example.net", edText))
	s.Add(t, TXT("doubled._domainkey.example.org.example.org", edText))
	s.Change(func(now *dnstest.State) { now.Rcodes["broken._domainkey.example.org."] = dns.RcodeServerFailure })
	r := resolver(t, s)
	wants(t, dkimCheck(within(t), r, key(t, "alias", edKey, false)), []string{"ok", "keys.example.net"})
	wants(t, dkimCheck(within(t), r, key(t, "lost", edKey, false)), []string{"fix", "publish: lost.example.net. 3600"})
	wants(t, dkimCheck(within(t), r, key(t, "doubled", edKey, false)), []string{"fix", "given twice", "remove: doubled._domainkey.example.org.example.org."})
	wants(t, dkimCheck(within(t), r, key(t, "broken", edKey, false)), []string{"unknown", "SERVFAIL"})
	wants(t, dkimCheck(within(t), r, key(t, "coming", edKey, true)), []string{"fix", "don't use it yet", "publish: "})
	s.Add(t, TXT("come._domainkey.example.org", edText))
	wants(t, dkimCheck(within(t), r, key(t, "come", edKey, true)), []string{"ok", "next key"})
}

func TestDMARC(t *testing.T) {
	s := dnstest.Serve(t, `
_dmarc.example.org. 60 IN TXT "v=DMARC1; p=reject; sp=none"
_dmarc.strict.example. 60 IN TXT "v=DMARC1;p=quarantine;adkim=s;aspf=s"
_dmarc.example.co.uk. 60 IN TXT "v=DMARC1; p=none"
_dmarc.two.example. 60 IN TXT "v=DMARC1; p=none"
_dmarc.two.example. 60 IN TXT "v=DMARC1; p=reject"
_dmarc.text.example. 60 IN TXT "something else"
_dmarc.lacksp.example. 60 IN TXT "v=DMARC1; rua=mailto:x@lacksp.example"
_dmarc.badp.example. 60 IN TXT "v=DMARC1; p=rejct"
_dmarc.alias.example. 60 IN CNAME _dmarc.example.org.
_dmarc.own.example.org. 60 IN TXT "v=DMARC1; p=reject"
`)
	s.Change(func(now *dnstest.State) { now.Rcodes["_dmarc.broken.example."] = dns.RcodeServerFailure })
	r := resolver(t, s)
	for name, c := range map[string]struct {
		domain, returnPath, signer string
		want                       []string
	}{
		"both":               {"example.org", "bounce.example.org", "example.org", []string{"ok", "p=reject", "both count"}},
		"signature alone":    {"example.org", "bounces.example.net", "example.org", []string{"ok", "return path does not (it is of bounces.example.net)"}},
		"null sender":        {"example.org", "", "example.org", []string{"ok", "return path does not (it is empty)"}},
		"return path alone":  {"example.org", "example.org", "", []string{"note", "No [[dkim]]", "forwarded", "run: straks dkim new example.org"}},
		"other signer":       {"example.org", "example.org", "example.net", []string{"note", "it is of example.net"}},
		"neither":            {"example.org", "example.net", "", []string{"fix", "every mail fails"}},
		"below":              {"mail.example.org", "mail.example.org", "example.org", []string{"ok", "example.org is sp=none", "raise it"}},
		"own record":         {"own.example.org", "example.org", "example.org", []string{"ok", "own.example.org is p=reject"}},
		"strict":             {"strict.example", "strict.example", "strict.example", []string{"ok", "both"}},
		"strict path":        {"strict.example", "b.strict.example", "strict.example", []string{"ok", "aspf=s wants strict.example itself"}},
		"strict below":       {"mail.strict.example", "mail.strict.example", "strict.example", []string{"note", "adkim=s wants mail.strict.example itself", "run: straks dkim new mail.strict.example"}},
		"public suffix":      {"a.example.co.uk", "b.example.co.uk", "example.co.uk", []string{"ok", "example.co.uk is p=none"}},
		"two organisations":  {"example.co.uk", "other.co.uk", "example.co.uk", []string{"ok", "return path does not"}},
		"alias":              {"alias.example", "alias.example", "alias.example", []string{"ok", "p=reject"}},
		"none":               {"a.none.example", "", "", []string{"fix", "no DMARC record", `publish: _dmarc.none.example. 3600 IN TXT ( "v=DMARC1; p=none; rua=mailto:postmaster@none.example" )`}},
		"text":               {"text.example", "", "", []string{"fix", "no DMARC record"}},
		"two":                {"two.example", "", "", []string{"fix", "2 DMARC records", `remove: _dmarc.two.example. 3600 IN TXT ( "v=DMARC1; p=reject" )`}},
		"without p":          {"lacksp.example", "", "", []string{"fix", "missing a 'p'", "publish: _dmarc.lacksp.example."}},
		"wrong p":            {"badp.example", "", "", []string{"fix", "invalid policy", "remove: "}},
		"the DNS is broken":  {"broken.example", "", "", []string{"unknown", "SERVFAIL"}},
		"a public suffix":    {"co.uk", "", "", []string{"fix", "publish: _dmarc.co.uk."}},
		"below broken's own": {"x.broken.example", "", "", []string{"unknown", "SERVFAIL"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := dmarcCheck(within(t), r, c.domain, c.returnPath, c.signer)
			wants(t, got, c.want)
			publishes(t, got)
		})
	}
}
