package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"straks/api/client"
	"straks/codes"
	"straks/internal/canary"
	"straks/internal/clientcert/certtest"
	"straks/internal/daemon"
	"straks/internal/daemon/daemontest"
	"straks/internal/eventually"
	"straks/internal/pgcluster"
	"straks/smpp/smsctest"
	"straks/smtp/relaytest"
)

// canaryNodes are two nodes over one database, whose messages have words in them that are nowhere else.
type canaryNodes struct {
	*testing.T
	db     *pgcluster.Cluster
	a, b   *node
	sealed bool
	codes  []string // of verifications
}

// The text of all messages and its words, how keys of orders begin, and what matches the recipients. All are in small letters,
// which nothing changes.
const (
	canaryText = "kodeordet er hemmelig, hilsen vigdis"
	canaryKey  = "nokkelen-"
	// canaryNumber is what stands for a number where it is looked up by.
	canaryNumber  = `4839[89]\d\d`
	canaryHex     = `34383339(38|39)3\d3\d` // the same in hexadecimal
	canaryAddress = ".kanari@example"
)

// TestCanariesOfNodes: whatever fails among two nodes, no text, code or key of an order is in a log line of any level, a metric,
// a trace or an audit, nor in the database: in a row, a file of the server, WAL, or its log, though it logs each statement. Recipients
// are in the database alone, and in the clear only where there is no key.
func TestCanariesOfNodes(t *testing.T) {
	for name, sealed := range map[string]bool{"plain": false, "sealed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCanaryNodes(t, sealed)
			c.orders()
			c.blocks()
			c.verifications()
			c.operators()
			c.outage()
			c.takeover()
			c.operators()
			c.b.stop(t)
			c.searchNodes()
			c.searchDatabase()
		})
	}
}

func newCanaryNodes(t *testing.T, sealed bool) *canaryNodes {
	t.Helper()
	c := &canaryNodes{T: t, sealed: sealed, db: servers(t, pgcluster.Options{Servers: 1, Settings: map[string]string{
		"log_statement": "all", "log_parameter_max_length": "-1", "log_parameter_max_length_on_error": "-1", "log_min_error_statement": "info"}})}
	ca := certtest.New("cluster")
	c.a = newNode(t, 1, c.db.DSN(), ca, nil)
	c.b = newNode(t, 2, c.db.DSN(), ca, c.a)
	p := smsctest.Profile{MaxBinds: 1, Rules: smsctest.Sandbox().Rules}
	p.Receipt.EchoText = true
	c.a.SMSC.SetProfile(p)
	key := filepath.Join(c.a.Dir, "verification.password")
	put(t, key, codes.NewKey().Text())
	if sealed {
		c.a.SealJournal()
		c.b.Configure("[journal]", fmt.Sprintf("key_file = %q", filepath.Join(c.a.Dir, "journal-key.password")))
	}
	for _, n := range []*node{c.a, c.b} {
		n.EditConfig("[journal]\n", fmt.Sprintf("[log]\nlevel = \"debug\"\n[audit]\ndir = %q\n[verification]\nkey_file = %q\n[journal]\n", filepath.Join(n.Dir, "audit"), key))
		n.TakeReports("")
		relay, err := relaytest.Listen("127.0.0.1:0", quotingRelay())
		must(t, err)
		t.Cleanup(func() { relay.Close() })
		relay.ReportTo("unix", n.LMTPSocket())
		n.EditConfig(n.Relay.Addr(), relay.Addr())
		n.Relay = relay
	}
	must(t, daemon.CreateJournal(c.a.Config(), 0))
	c.a.start() // it gets the only bind
	c.b.start()
	return c
}

// quotingRelay is a relay whose replies and reports quote the recipient and the text.
func quotingRelay() relaytest.Profile {
	p := relaytest.Sandbox()
	p.Reports.Delay = 0
	for i := range p.Rules {
		p.Rules[i].Text = "<" + p.Rules[i].Local + ".kanari@example.org>: " + canaryText
	}
	for _, rule := range p.Reports.Rules {
		for i := range rule.Reports {
			rule.Reports[i].Diagnostic += " <" + rule.Local + ".kanari@example.org>: " + canaryText
		}
	}
	return p
}

// sms places an order at a node, and returns its shipment; empty where it was refused.
func (c *canaryNodes) sms(n *node, key, number string) string {
	order := daemontest.SMS(canaryKey+key, number)
	order.SendersReference = "" // the journal has it in the clear
	order.Recipient.Settings.Body = canaryText
	placed, err := n.client.SendSMS(c.Context(), order)
	if err != nil {
		return ""
	}
	return placed.ShipmentID
}

// insist repeats a call until it is answered, as a client does: a bind may just be lost.
func (c *canaryNodes) insist(what string, answered func() bool) {
	c.Helper()
	for end := time.Now().Add(time.Minute); !answered(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			c.Fatalf("%s: no answer\n%s", what, c.b.log.String())
		}
	}
}

// placed places an order until it is taken.
func (c *canaryNodes) placed(n *node, key, number string) (id string) {
	c.Helper()
	c.insist(key, func() bool {
		id = c.sms(n, key, number)
		return id != ""
	})
	return id
}

// await waits for a status of a shipment.
func (c *canaryNodes) await(n *node, id, status string) {
	c.Helper()
	eventually.True(c.T, status+" of "+id, func() bool {
		s, err := n.client.Shipment(c.Context(), id)
		return err == nil && s.Recipients[0].Status == status
	})
}

// orders places one for each way in which an SMS or a mail may end: at node b, which hands its SMS to node a.
func (c *canaryNodes) orders() {
	var wait sync.WaitGroup
	for _, ending := range smsctest.Endings() {
		wait.Go(func() { c.sms(c.b, ending.Suffix, "+479483"+ending.Suffix) })
	}
	var bounced string
	for i, rule := range quotingRelay().Rules {
		n := []*node{c.a, c.b}[i%2]
		wait.Go(func() {
			mail := daemontest.Mail(canaryKey+rule.Local, rule.Local+".kanari@example.org")
			mail.SendersReference, mail.Recipient.Settings.Subject, mail.Recipient.Settings.Body = "", canaryText, canaryText
			place := func() (client.Placed, error) { return n.client.SendEmail(c.Context(), mail) }
			if rule.Local != "nosuch" { // some are answered with 503 each time
				_, _ = place()
				return
			}
			err := repeated(func() error {
				placed, err := place()
				bounced = placed.ShipmentID
				return err
			})
			if err != nil {
				c.Error(err)
			}
		})
	}
	wait.Wait()
	c.await(c.a, bounced, "Email_Failed_RecipientNotIdentified")
	c.await(c.b, c.placed(c.b, "delivered", "+4794839800"), "SMS_Delivered")
	if text := c.ask(c.b, "/metrics"); !forwarded.MatchString(text) {
		c.Error("node b has handed over no order")
	}
}

// blocks: a phone sends STOP and other texts, and an operator blocks another one.
func (c *canaryNodes) blocks() {
	must(c.T, c.a.SMSC.SendMO("4794839801", "2077", "STOPP"))
	must(c.T, c.a.SMSC.SendMO("4794839801", "2077", canaryText))
	succeed(c.T, "block", "add", "-config", c.b.ConfigFile(), "+4794839802", "-organisation", "ttd", "-reason", "asked for it")
	for i, number := range []string{"+4794839801", "+4794839802"} {
		eventually.True(c.T, number+" to be blocked", func() bool {
			return strings.Contains(succeed(c.T, "block", "list", "-config", c.b.ConfigFile()), number)
		})
		c.await(c.a, c.placed(c.b, fmt.Sprint("blocked", i), number), "SMS_Failed_RecipientReserved")
	}
}

var codeInText = regexp.MustCompile(`\b\d{10}\b`)

// verifications: a code by SMS is guessed, sent again, and given; one by mail stays pending.
func (c *canaryNodes) verifications() {
	ask := client.VerificationRequest{IdempotencyID: canaryKey + "code", SMS: &client.VerificationSMS{PhoneNumber: "+4794839803"}, CodeLength: 10, ResendAfter: 1}
	var v client.Verification
	var err error
	c.insist("the code", func() bool {
		v, _, err = c.b.client.StartVerification(c.Context(), ask)
		return err == nil
	})
	must(c.T, repeated(func() error {
		_, err := c.b.client.CheckCode(c.Context(), v.VerificationID, "0000000000")
		return err
	}))
	eventually.True(c.T, "the code to be sent again", func() bool {
		v, err = c.b.client.ResendCode(c.Context(), v.VerificationID)
		return err == nil && v.Messages >= 2
	})
	for _, s := range c.a.SMSC.Submits() {
		if code := codeInText.FindString(s.Text()); code != "" && strings.HasSuffix(s.Dest, "94839803") {
			c.codes = append(c.codes, code)
		}
	}
	if len(c.codes) < 2 || c.codes[0] != c.codes[1] {
		c.Fatalf("codes %q were sent", c.codes)
	}
	must(c.T, repeated(func() error {
		got, err := c.a.client.CheckCode(c.Context(), v.VerificationID, c.codes[0])
		if err == nil && got.Status != "approved" {
			c.Errorf("%+v", got)
		}
		return err
	}))
	ask = client.VerificationRequest{IdempotencyID: canaryKey + "mail", Email: &client.VerificationAddress{EmailAddress: "ok.kanari@example.org"}, CodeLength: 10}
	must(c.T, repeated(func() error {
		_, _, err := c.b.client.StartVerification(c.Context(), ask)
		return err
	}))
	bySMS := len(c.codes)
	for _, m := range c.b.Relay.Messages() {
		if code := codeInText.FindString(string(m.Data)); code != "" {
			c.codes = append(c.codes, code)
		}
	}
	if len(c.codes) == bySMS {
		c.Fatalf("codes %q were sent", c.codes)
	}
}

// ask returns what a listener of a node answers.
func (c *canaryNodes) ask(n *node, path string) string {
	c.Helper()
	addr := n.admin
	if path == "/metrics" || path == "/readyz" {
		addr = n.metrics
	}
	resp, err := daemontest.AdminClient(addr).Get("http://localhost" + path)
	must(c.T, err)
	defer resp.Body.Close()
	var text strings.Builder
	must(c.T, resp.Write(&text))
	return text.String()
}

// operators asks the running nodes for all that they show. Only traces have recipients.
func (c *canaryNodes) operators() {
	c.Helper()
	for _, n := range []*node{c.a, c.b} {
		select {
		case <-n.ended:
			continue
		default:
		}
		for _, path := range []string{"/metrics", "/status", "/readyz", "/debug/pprof/goroutine?debug=2"} {
			c.clean(path, canary.Plain(c.ask(n, path)), true)
		}
		for _, number := range []string{"+4794839800", "+4794839803", "nosuch.kanari@example.org"} {
			_, trace, _ := straks(c.T, "", "trace", "-config", n.ConfigFile(), number)
			c.clean("trace", trace, false)
		}
		c.clean("straks status", succeed(c.T, "status", "-config", n.ConfigFile()), true)
	}
}

// secrets returns patterns of what must not be in a place, as it is and in hexadecimal, as a database logs it.
func (c *canaryNodes) secrets(recipientsToo bool) (all []string) {
	words := append([]string{"kodeordet", "hemmelig", "hilsen vigdis", canaryKey}, c.codes...)
	if recipientsToo {
		words = append(words, canaryAddress)
		all = append(all, canaryNumber, canaryHex)
	}
	for _, word := range words {
		all = append(all, regexp.QuoteMeta(word), hex.EncodeToString([]byte(word)))
	}
	return all
}

// compiled are patterns of one search.
func compiled(patterns []string) (all []*regexp.Regexp) {
	for _, p := range patterns {
		all = append(all, regexp.MustCompile(p))
	}
	return all
}

// matchesIn returns what matches one of the patterns.
func matchesIn(octets []byte, patterns []*regexp.Regexp) (found []string) {
	for _, p := range patterns { // each alone, which begins with letters: so the search in large files is fast
		if match := canary.Find(octets, p); match != nil {
			found = append(found, string(match))
		}
	}
	return found
}

// clean: a text has no secret.
func (c *canaryNodes) clean(where, text string, recipientsToo bool) {
	c.Helper()
	if found := matchesIn([]byte(text), compiled(c.secrets(recipientsToo))); found != nil {
		c.Errorf("%q in %s:\n%s", found, where, text)
	}
}

// outage kills the database server while orders come, and starts it again.
func (c *canaryNodes) outage() {
	must(c.T, c.db.Primary.Kill())
	for i, n := range []*node{c.a, c.b} {
		if id := c.sms(n, fmt.Sprint("outage", i), "+4794839804"); id != "" {
			c.Errorf("shipment %s was taken without a database", id)
		}
		c.clean("/readyz", c.ask(n, "/readyz"), true)
	}
	must(c.T, c.db.Primary.Start(c.Context()))
	for _, n := range []*node{c.a, c.b} {
		eventually.True(c.T, "the node to be ready again", func() bool { return n.ready() == "" })
	}
}

// takeover kills node a, in the middle of orders. Node b sends on.
func (c *canaryNodes) takeover() {
	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() { c.sms(c.a, fmt.Sprint("killed", i), "+4794839805") })
	}
	must(c.T, c.a.kill())
	wait.Wait()
	c.await(c.b, c.placed(c.b, "takeover", "+4794839806"), "SMS_Delivered")
}

// searchNodes looks through logs and folders of both nodes.
func (c *canaryNodes) searchNodes() {
	secret := regexp.MustCompile("(?i)" + strings.Join(append(c.secrets(true), regexp.QuoteMeta(c.a.Token)), "|"))
	for _, n := range []*node{c.a, c.b} {
		found, levels, err := canary.Log(n.log.String(), secret)
		if err != nil || levels["DEBUG"] == 0 || levels["INFO"] < 10 || levels["WARN"] == 0 || !strings.Contains(n.log.String(), `"msg":"serving"`) {
			c.Errorf("%v log lines, %v: has the test a log?", levels, err)
		}
		for _, line := range found {
			c.Errorf("in a log: %s", line)
		}
		must(c.T, os.Remove(n.ConfigFile())) // it has the folder's name, and the hash of a token
		secrets := compiled(c.secrets(true))
		all, files, err := canary.Files(n.Dir, func(octets []byte) []string { return matchesIn(octets, secrets) })
		for _, f := range all {
			c.Errorf("%q in %s", f.Words, f.Where)
		}
		if err != nil || files == 0 || len(audited(c.T, filepath.Join(n.Dir, "audit"))) == 0 {
			c.Errorf("%d files were searched, %v", files, err)
		}
	}
}

// searchDatabase looks through all rows, and all files of the server. Without a key they have the recipients.
func (c *canaryNodes) searchDatabase() {
	_, err := c.db.Primary.SQL(c.Context(), "analyze")
	must(c.T, err)
	recipients, secrets, to := false, compiled(c.secrets(c.sealed)), compiled([]string{canaryNumber, regexp.QuoteMeta(canaryAddress)})
	search := func(octets []byte) []string {
		recipients = recipients || matchesIn(octets, to) != nil
		return matchesIn(octets, secrets)
	}
	rows, size, err := canary.Tables(c.Context(), c.db.Primary, "straks", search)
	if err != nil || recipients == c.sealed {
		c.Errorf("%d octets of rows: recipients found: %v; %v", size, recipients, err)
	}
	recipients = false
	files, err := canary.Server(c.Context(), c.db.Primary, search)
	if err != nil || recipients == c.sealed {
		c.Errorf("files: recipients found: %v; %v", recipients, err)
	}
	for _, f := range append(rows, files...) {
		c.Errorf("%q in %s", f.Words, f.Where)
	}
	if log := c.db.Primary.Log(); !strings.Contains(log, "parameters: $1") {
		c.Errorf("the database logs no statements:\n%s", log)
	}
}
