package daemon_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"html"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/internal/logtest"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

const consolePassword = "correct horse battery"

// consoleWorld is a daemon with a console, and users of each role.
type consoleWorld struct {
	*daemontest.World
	log  *logtest.Log
	base string
}

// newConsole starts a daemon with a console over TLS. extra is added to its section.
func newConsole(t *testing.T, profile smsctest.Profile, extra string) *consoleWorld {
	t.Helper()
	w := &consoleWorld{World: daemontest.NewStopped(t, profile, relaytest.Profile{}, "")}
	w.log = w.KeepLog()
	cert, key := consoleCertificate(t, w.Dir)
	hash, err := bcrypt.GenerateFromPassword([]byte(consolePassword), 10)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[console]\nlisten = \"127.0.0.1:0\"\ntls_cert_file = %q\ntls_key_file = %q\n%s\n", cert, key, extra)
	for name, roles := range map[string]string{"vera": `"view"`, "siri": `"support"`, "ola": `"operate"`, "kari": `"support", "operate"`} {
		text += fmt.Sprintf("[[console.user]]\nname = %q\nbcrypt = %q\nroles = [%s]\n", name, hash, roles)
	}
	w.EditConfig("[journal]\n", text+"[journal]\n")
	w.Start()
	w.base = "https://" + w.Daemon.ConsoleAddr()
	return w
}

// consoleCertificate makes a certificate for the address of the tests.
func consoleCertificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour * 90),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "console.crt"), filepath.Join(dir, "console.key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// person is a user at a browser without JavaScript.
type person struct {
	w    *consoleWorld
	http *http.Client
}

func (w *consoleWorld) person() *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.T.Fatal(err)
	}
	return &person{w, &http.Client{Jar: jar, Timeout: 5 * time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}}
}

// as returns a person who has logged in.
func (w *consoleWorld) as(name string) *person {
	w.T.Helper()
	p := w.person()
	if code, text := p.post("/login", "name", name, "password", consolePassword); code != http.StatusOK {
		w.T.Fatalf("login of %s: %d %s", name, code, text)
	}
	return p
}

func (p *person) do(method, path string, form url.Values, change func(*http.Request)) (int, string) {
	p.w.T.Helper()
	r, err := http.NewRequest(method, p.w.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.w.T.Fatal(err)
	}
	r.Header.Set("Accept-Language", "en")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if change != nil {
		change(r)
	}
	resp, err := p.http.Do(r)
	if err != nil {
		p.w.T.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.w.T.Fatal(err)
	}
	if policy := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
		p.w.T.Errorf("%s has the policy %q", path, policy)
	}
	return resp.StatusCode, html.UnescapeString(string(body))
}

func (p *person) get(path string) (int, string) { return p.do("GET", path, nil, nil) }

func (p *person) post(path string, pairs ...string) (int, string) {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return p.do("POST", path, form, nil)
}

// TestConsoleRoles: each role has its pages and actions, and no others; without a login there is nothing.
func TestConsoleRoles(t *testing.T) {
	w := newConsole(t, smsctest.Profile{}, "")
	placed := w.Send("k", "+4799999999")
	id := placed.ShipmentID
	w.Await(id, "SMS_Delivered")
	people := map[string]*person{"nobody": w.person()}
	for _, name := range []string{"vera", "siri", "ola", "kari"} {
		people[name] = w.as(name)
	}
	for _, c := range []struct{ method, path, form, allowed string }{
		{"GET", "/", "", "vera siri ola kari"},
		{"GET", "/organisations", "", "vera siri ola kari"},
		{"GET", "/carrier/telco", "", "vera siri ola kari"},
		{"GET", "/carrier/mx", "", "vera siri ola kari"},
		{"POST", "/carrier/telco/route", "number=%2B4799999999&organisation=ttd", "vera siri ola kari"},
		{"POST", "/carrier/telco/try", "", "ola kari"},
		{"POST", "/carrier/telco/resume", "reason=x", "ola kari"},
		{"GET", "/find", "", "siri kari"},
		{"POST", "/find", "text=%2B4799999999", "siri kari"},
		{"GET", "/message/" + id, "", "siri kari"},
		{"GET", "/blocked", "", "siri kari"},
		{"POST", "/blocked", "organisation=ttd", "siri kari"},
		{"POST", "/blocked/lift", "organisation=ttd&recipient=%2B4799999999&reason=x", "siri kari"},
	} {
		form, _ := url.ParseQuery(c.form)
		for name, p := range people {
			code, text := p.do(c.method, c.path, form, nil)
			want := http.StatusForbidden
			if strings.Contains(c.allowed, name) || name == "nobody" {
				want = http.StatusOK
			}
			if code != want || (name == "nobody") != strings.Contains(text, `action="/login"`) {
				t.Errorf("%s %s as %s: %d, want %d\n%s", c.method, c.path, name, code, want, text)
			}
			if strings.Contains(text, "+4799999999") && !strings.Contains(c.form, "number=") && c.allowed != "siri kari" {
				t.Errorf("%s %s shows a recipient to %s", c.method, c.path, name)
			}
			if strings.Contains(text, "123456") {
				t.Errorf("%s %s shows a text", c.method, c.path)
			}
		}
	}
	if strings.Contains(w.log.String(), "99999999") {
		t.Errorf("a recipient is in the log")
	}
}

// TestConsoleLogin: wrong names and wrong passwords look the same, and are slowed alike; sessions end.
func TestConsoleLogin(t *testing.T) {
	w := newConsole(t, smsctest.Profile{}, "")
	w.Stop()
	dir := filepath.Join(w.Dir, "audit")
	w.EditConfig("[journal]\n", fmt.Sprintf("[audit]\ndir = %q\n[journal]\n", dir))
	w.Start()
	w.base = "https://" + w.Daemon.ConsoleAddr()
	p := w.person()
	pages := map[string]string{}
	for _, name := range []string{"vera", "nemo"} {
		code, text := p.post("/login", "name", name, "password", "wrong wrong wrong")
		if pages[name] = text; code != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, code)
		}
	}
	if pages["vera"] != pages["nemo"] {
		t.Errorf("a user who does not exist is answered otherwise:\n%s\n%s", pages["vera"], pages["nemo"])
	}
	// The first wait is a second, and may be over before the right password comes. Then the failures are forgotten.
	eventually.True(t, "a login to be slowed after failures", func() bool {
		for range 5 {
			p.post("/login", "name", "vera", "password", "wrong wrong wrong")
		}
		code, text := p.post("/login", "name", "vera", "password", consolePassword)
		return code == http.StatusTooManyRequests && strings.Contains(text, "Wait")
	})
	if log := w.log.String(); strings.Contains(log, "nemo") || strings.Contains(log, "wrong wrong") || strings.Contains(log, consolePassword) {
		t.Errorf("the log has what was typed:\n%s", log)
	}
	w.Stop()
	record := wholeAudit(t, dir)
	for _, want := range []string{`"user":"vera",`, `"object":"login by password","outcome":"refused"`, `"object":"login by password","outcome":"slowed"`} {
		if !strings.Contains(record, want) {
			t.Errorf("the record lacks %s:\n%s", want, record)
		}
	}
	if strings.Contains(record, "nemo") || strings.Contains(record, "wrong wrong") {
		t.Errorf("the record has what was typed:\n%s", record)
	}
}

// wholeAudit returns what is recorded.
func wholeAudit(t *testing.T, dir string) (record string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		record += string(text)
	}
	return record
}

// TestConsoleSession: a session ends at its logout; its cookie has all its marks; other sites can neither log in nor act.
func TestConsoleSession(t *testing.T) {
	w := newConsole(t, smsctest.Profile{}, "")
	p := w.as("ola")
	at, _ := url.Parse(w.base)
	p.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	set := ""
	q := w.person()
	q.http.CheckRedirect = p.http.CheckRedirect
	resp, err := q.http.PostForm(w.base+"/login", url.Values{"name": {"ola"}, "password": {consolePassword}})
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	set = strings.Join(resp.Header.Values("Set-Cookie"), "\n")
	for _, mark := range []string{"__Host-straks=", "Path=/", "HttpOnly", "Secure", "SameSite=Strict", "Max-Age="} {
		if !strings.Contains(set, mark) {
			t.Errorf("the cookie lacks %s: %s", mark, set)
		}
	}
	kept := p.http.Jar.Cookies(at)
	for _, site := range []string{"cross-site", "same-site"} {
		code, _ := p.do("POST", "/carrier/telco/pause", url.Values{"reason": {"x"}}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", site) })
		if code != http.StatusForbidden {
			t.Errorf("an action from %s: %d", site, code)
		}
	}
	if code, _ := p.do("POST", "/language", url.Values{"to": {"nb"}, "back": {strings.Repeat("x", 17<<10)}}, nil); code != http.StatusBadRequest {
		t.Errorf("a large form: %d", code)
	}
	if code, _ := p.post("/logout"); code != http.StatusSeeOther {
		t.Errorf("logout: %d", code)
	}
	p.http.Jar.SetCookies(at, kept)
	if code, _ := p.get("/"); code != http.StatusSeeOther {
		t.Errorf("the cookie of a session that has ended: %d", code)
	}
	if code, _ := p.get("/nothing"); code != http.StatusNotFound {
		t.Errorf("a page that is not there: %d", code)
	}
}

// TestConsoleOperates: pause, drain and resume reach the carrier, and each is a line in the log.
func TestConsoleOperates(t *testing.T) {
	w := newConsole(t, smsctest.Profile{}, "")
	p := w.as("kari")
	state := regexp.MustCompile(`data-live="state" role="status">([^<]*)`)
	shows := func(carrier, want string) {
		t.Helper()
		eventually.True(t, carrier+" "+want, func() bool {
			_, text := p.get("/carrier/" + carrier)
			found := state.FindStringSubmatch(text)
			return found != nil && strings.TrimSpace(found[1]) == want
		})
	}
	for _, carrier := range []string{"telco", "mx"} {
		shows(carrier, "up")
		if code, text := p.post("/carrier/"+carrier+"/pause", "reason", ""); code != http.StatusBadRequest || !strings.Contains(text, "Give a reason") {
			t.Errorf("without a reason: %d", code)
		}
		p.post("/carrier/"+carrier+"/pause", "reason", "planned work")
		shows(carrier, "paused")
		if carrier == "telco" {
			if problem := w.Refused("paused", "+4799999999"); problem.Status != http.StatusServiceUnavailable {
				t.Errorf("while it is paused: %+v", problem)
			}
		}
		p.post("/carrier/"+carrier+"/drain", "reason", "planned work")
		shows(carrier, "drained")
		p.post("/carrier/"+carrier+"/resume", "reason", "done")
		p.post("/carrier/" + carrier + "/try")
		shows(carrier, "up")
	}
	w.Await(w.Send("resumed", "+4799999999").ShipmentID, "SMS_Delivered")
	for _, want := range []string{`"what":"pause","outcome":"ok","user":"kari","roles":"support operate"`, `"why":"planned work","carrier":"telco"`} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	if code, _ := p.post("/carrier/none/pause", "reason", "x"); code != http.StatusNotFound {
		t.Errorf("a carrier that there is not: %d", code)
	}
}

// TestConsoleOfOneName: an SMSC and a relay with the same name have a page each.
func TestConsoleOfOneName(t *testing.T) {
	w := newConsole(t, smsctest.Profile{}, "")
	w.Stop()
	w.EditConfig(`name = "mx"`, `name = "telco"`)
	w.Start()
	w.base = "https://" + w.Daemon.ConsoleAddr()
	p := w.as("kari")
	if _, text := p.get("/"); !strings.Contains(text, `href="/carrier/smsc:telco"`) || !strings.Contains(text, `href="/carrier/relay:telco"`) {
		t.Errorf("%s", text)
	}
	p.post("/carrier/relay:telco/pause", "reason", "planned work")
	if s := w.Daemon.Status(); !s.SMSC[0].Paused.IsZero() || s.Relay[0].Paused.IsZero() {
		t.Errorf("%+v %+v", s.SMSC, s.Relay)
	}
	w.Stop()
}

// TestConsoleSupport: a message is found by number and by id, with its way; a block is lifted.
func TestConsoleSupport(t *testing.T) {
	w := newConsole(t, smsctest.Profile{}, "")
	p := w.as("siri")
	id := w.Send("k", "+4799999999").ShipmentID
	w.Await(id, "SMS_Delivered")
	for _, text := range []string{"+47 999 99 999", "k", "ref-k", id} {
		code, page := p.post("/find", "text", text, "since", "hours24", "reason", "case 7 of +4799999999")
		if code != http.StatusOK || !strings.Contains(page, "/message/"+id) || !strings.Contains(page, "Delivered by telco") {
			t.Errorf("%s: %d %s", text, code, page)
		}
	}
	_, page := p.get("/message/" + id)
	for _, want := range []string{"Delivered by telco", "Submitted to telco", "telco answered", "Receipt from telco", "Final status", "message id ", "DELIVRD", "ref-k"} {
		if !strings.Contains(page, want) {
			t.Errorf("the message lacks %q:\n%s", want, page)
		}
	}
	if code, _ := p.get("/message/00000000-0000-7000-8000-000000000000"); code != http.StatusNotFound {
		t.Errorf("a message that there is not: %d", code)
	}
	if err := w.SMSC.SendMO("+4799999999", "2077", "STOP"); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "the block", func() bool {
		_, page = p.get("/blocked")
		return strings.Contains(page, "+4799999999") && strings.Contains(page, "with “STOP”")
	})
	code, page := p.post("/blocked/lift", "organisation", "ttd", "recipient", "+4799999999", "reason", "asked by phone")
	if code != http.StatusOK || !strings.Contains(page, "The block is lifted.") || !strings.Contains(page, "asked by phone") {
		t.Errorf("lift: %d %s", code, page)
	}
	if code, page := p.post("/blocked/lift", "organisation", "ttd", "recipient", "nonsense", "reason", "x"); code != http.StatusBadRequest || strings.Contains(page, "is lifted") {
		t.Errorf("nonsense: %d", code)
	}
	log := w.log.String()
	for _, want := range []string{`"why":"case 7 of ***","by_what":"recipient","found":1`, `"what":"lift","outcome":"ok"`, `"recipient":"+4799***"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	if strings.Contains(log, "99999999") || strings.Contains(log, "999 99") {
		t.Error("a recipient is in the log")
	}
}
