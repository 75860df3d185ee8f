package dsn

import (
	"fmt"
	"strings"
	"testing"
)

// reportOf returns a report with that human text and those blocks of fields.
func reportOf(human, status string) []byte {
	return fmt.Appendf(nil, "Content-Type: multipart/report; boundary=b\nAuto-Submitted: auto-replied\n\n--b\n\n%s\n--b\nContent-Type: message/delivery-status\n\n%s\n--b--\n", human, status)
}

func TestReports(t *testing.T) {
	for name, c := range map[string]struct {
		human, status string
		want          string
	}{
		// Action counts first.
		"action against status":   {"", "Action: delivered\nStatus: 5.1.1", "delivered: delivered 5.1.1"},
		"action in capitals":      {"", "ACTION : FAILED\nSTATUS: 5.1.1", "no_such_mailbox: failed 5.1.1"},
		"comment before":          {"", "Action: (a) failed (b)\nStatus: (c) 5.1.1 (d)", "no_such_mailbox: failed 5.1.1"},
		"a code in a comment":     {"", "Action: (delivered) failed\nStatus: (5.7.1) 5.1.1", "no_such_mailbox: failed 5.1.1"},
		"no action, class 2":      {"", "Final-Recipient: x\nStatus: 2.0.0", "delivered"},
		"no action, class 4":      {"", "Final-Recipient: x\nStatus: 4.4.1", "delayed: 4.4.1"},
		"no action, class 5":      {"", "Final-Recipient: x\nStatus: 5.2.2", "bounced: 5.2.2"},
		"unknown action":          {"", "Action: processed\nStatus: 5.1.1", "no_such_mailbox: 5.1.1"},
		"diagnostic code alone":   {"", "Final-Recipient: x\nDiagnostic-Code: smtp; 550 no such user", "no_such_mailbox: 550 (no such user)"},
		"nothing at all":          {"550 5.1.1 x", "Final-Recipient: x", "nothing"},
		"an empty report":         {"550 5.1.1 x", "", "nothing"},
		"action is a longer word": {"", "Action: failedx\n", "nothing"},

		// Then the code: Status, Diagnostic-Code, human text.
		"status first":          {"550 5.7.1 no", "Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 550 5.1.1 no", "bounced: failed 550 5.2.2"},
		"status not said":       {"550 5.7.1 no", "Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.1.1 no", "no_such_mailbox: failed 550 5.1.1"},
		"diagnostic not said":   {"550 5.7.1 no", "Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 5.0.0 no such user", "no_such_mailbox: failed 550 (no such user)"},
		"reply code, temporary": {"", "Action: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 451 try later", "transient: failed 451"},
		"human text":            {"x@y: 550 5.7.1 no", "Action: failed\nStatus: 5.0.0", "filtered: failed 550 5.7.1"},
		"human text, first":     {"550 5.2.2 full\n550 5.1.1 no", "Action: failed", "bounced: failed 550 5.2.2"},
		"human text, folded":    {"said: 550\n    5.1.1 no", "Action: failed", "no_such_mailbox: failed 550 5.1.1"},
		"human text, class 4":   {"x@y: 450 4.2.0 later", "Action: failed\nStatus: 5.0.0", "transient: failed 450 4.2.0"},
		"failed with class 4":   {"", "Action: failed\nStatus: 4.0.0", "transient: failed"},
		"failed with class 2":   {"", "Action: failed\nStatus: 2.0.0\nDiagnostic-Code: smtp; 550 5.1.1 no", "no_such_mailbox: failed 550 5.1.1"},
		"multi-line reply":      {"", "Action: failed\nDiagnostic-Code: smtp; 550-5.1.1 The account\n 550-5.1.1 does not\n 550 5.1.1 exist", "no_such_mailbox: failed 550 5.1.1"},
		"marked code":           {"", "Action: failed\nDiagnostic-Code: smtp; 550 #5.1.0 Address rejected.", "bounced: failed 550 5.1.0"},
		"code at the end":       {"", "Action: failed\nDiagnostic-Code: smtp; 550 sorry (#5.1.1)", "no_such_mailbox: failed 550 5.1.1"},
		"no type":               {"", "Action: failed\nDiagnostic-Code: 550 5.1.1 no", "no_such_mailbox: failed 550 5.1.1"},
		"in a comment":          {"", "Action: failed\nDiagnostic-Code: smtp; (550 5.1.1 no)", "no_such_mailbox: failed 550 5.1.1"},
		"reply in Status":       {"", "Action: failed\nStatus: 5.0.0 (552 mailbox full)", "bounced: failed 552 (mailbox full)"},
		"expired, 5.4.7":        {"", "Action: failed\nStatus: 5.4.7", "transient: failed 5.4.7"},

		// Numbers that are no codes.
		"an address":           {"host 5.1.1.10 said no", "Action: failed\nDiagnostic-Code: smtp; host 5.1.1.1 said no", "bounced: failed"},
		"a login code":         {"Koden er: 482 913", "Action: failed\nDiagnostic-Code: smtp; 482 913", "bounced: failed"},
		"a class alone":        {"550 5.1 x", "Action: failed\nStatus: 5.1", "bounced: failed 550"},
		"three of four digits": {"5501 5.1.1 x", "Action: failed\nDiagnostic-Code: x; 5501", "bounced: failed"},

		// Reasons.
		"bad syntax":               {"", "Action: failed\nStatus: 5.1.3", "bad_address: failed 5.1.3"},
		"SMTPUTF8":                 {"", "Action: failed\nStatus: 5.6.7", "bad_address: failed 5.6.7"},
		"disabled":                 {"", "Action: failed\nStatus: 5.2.1", "no_such_mailbox: failed 5.2.1"},
		"null MX":                  {"", "Action: failed\nStatus: 5.1.10", "no_such_mailbox: failed 5.1.10"},
		"7.x":                      {"", "Action: failed\nStatus: 5.7.509", "filtered: failed 5.7.509"},
		"too large":                {"", "Action: failed\nStatus: 5.3.4", "bounced: failed 5.3.4"},
		"5.5.0 of a mailbox":       {"", "Action: failed\nStatus: 5.5.0\nDiagnostic-Code: smtp; 550 5.5.0 mailbox not found", "no_such_mailbox: failed 550 5.5.0 (mailbox not found)"},
		"5.4.1 of another server":  {"", "Action: failed\nStatus: 5.4.1\nDiagnostic-Code: smtp; 550 5.4.1 no answer", "bounced: failed 550 5.4.1"},
		"spam":                     {"", "Action: failed\nDiagnostic-Code: smtp; 554 looks like spam", "filtered: failed 554 (spam)"},
		"an address with a phrase": {"", "Action: failed\nDiagnostic-Code: smtp; 554 <spam-policy@nodsn.example> closed", "bounced: failed 554"},
		"a server's own footer":    {"Ask your postmaster about our spam policy.", "Action: failed\nStatus: 5.0.0", "bounced: failed"},

		// 4.4.7 with Action delayed.
		"given up":              {"x@y: Envelope expired", "Action: delayed\nStatus: 4.4.7", "transient: delayed 4.4.7 (envelope expired)"},
		"given up, no text":     {"", "Action: delayed\nStatus: 4.4.7", "transient: delayed 4.4.7"},
		"tries again until":     {"x@y: Envelope expired", "Action: delayed\nStatus: 4.4.7\nWill-Retry-Until: Mon, 30 Nov 2026 03:26:22 +0000", "delayed: delayed 4.4.7"},
		"says delayed":          {"", "Action: delayed\nStatus: 4.4.7\nDiagnostic-Code: smtp;400 4.4.7 Message delayed", "delayed: delayed 4.4.7"},
		"delayed, another code": {"x@y: Envelope expired", "Action: delayed\nStatus: 4.4.1", "delayed: delayed 4.4.1"},

		// Several recipients, and blank lines.
		"one of two got it":       {"", "Action: failed\nStatus: 5.1.1\n\nAction: delivered\nStatus: 2.0.0", "delivered: delivered"},
		"one of two may get it":   {"", "Action: failed\nStatus: 5.1.1\n\nAction: delayed\nStatus: 4.4.1", "delayed: delayed 4.4.1"},
		"none of two":             {"", "Action: failed\nStatus: 5.2.2\n\nAction: failed\nStatus: 5.1.1", "bounced: failed 5.2.2"},
		"no blank line":           {"", "Reporting-MTA: dns; x\nFinal-Recipient: rfc822; y\nAction: failed\nStatus: 5.1.1", "no_such_mailbox: failed 5.1.1"},
		"too many blank lines":    {"", "Reporting-MTA: dns; x\n\n\n \nFinal-Recipient: rfc822; y\n\nAction: failed\n\nStatus: 5.1.1\n\n", "no_such_mailbox: failed 5.1.1"},
		"a line that is no field": {"", "Reporting-MTA: dns; x\nnonsense\n folded\nAction: failed\nsome more\nStatus: 5.1.1", "no_such_mailbox: failed 5.1.1"},
	} {
		if got := Parse(reportOf(c.human, c.status), Envelope{}).String(); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// A report of another shape than servers in the vectors write.
func TestShapes(t *testing.T) {
	const status = "Action: failed\nStatus: 5.1.1\n"
	const headed = "Content-Type: message/delivery-status\n\n" + status
	for name, c := range map[string]struct{ mail, want string }{
		"the whole mail":        {headed, "no_such_mailbox"},
		"quoted-printable":      {"Content-Type: message/delivery-status\nContent-Transfer-Encoding: quoted-printable\n\nAction: fail=\ned\nStatus: 5=2E1.1\n", "no_such_mailbox"},
		"unknown encoding":      {"Content-Type: message/delivery-status\nContent-Transfer-Encoding: x-none\n\n" + status, "no_such_mailbox"},
		"broken base64":         {"Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\nQWN0aW9uOiBmYWlsZWQKU3RhdHVzOiA1LjEuMQo=!!!!", "no_such_mailbox"},
		"no last boundary":      {"Content-Type: multipart/report; boundary=b\n\n--b\n" + headed, "no_such_mailbox"},
		"blanks after boundary": {"Content-Type: multipart/report; boundary=\"b\"\n\n--b \t\n" + headed + "--b-- \n", "no_such_mailbox"},
		"boundary not quoted":   {"Content-Type: multipart/report; boundary=a/b=(c)@d; report-type=x\n\n--a/b= @d\n" + headed, "nothing"},
		"a part without blank":  {"Content-Type: multipart/report; boundary=b\n\n--b\nSorry about this\n--b\n" + headed, "no_such_mailbox"},
		"a long line before":    {"Content-Type: multipart/report; boundary=b\n\n" + strings.Repeat("x", 100_000) + "\n--b\n" + headed, "no_such_mailbox"},
		"after the last":        {"Content-Type: multipart/report; boundary=b\n\n--b\n\nhi\n--b--\n--b\n" + headed, "nothing"},
		"a longer boundary":     {"Content-Type: multipart/report; boundary=b\n\n--b\n\nhi\n--bb\n" + headed, "nothing"},
		"boundary is empty":     {"Content-Type: multipart/report; boundary=\"\"\n\n--\n" + headed, "nothing"},
		"no boundary":           {"Content-Type: multipart/report\n\n--b\n" + headed, "nothing"},
		"in the returned mail":  {"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n" + headed + "\n--b\nContent-Type: message/delivery-status\n\nAction: delivered\n--b--\n", "delivered"},
		"complaint and report":  {"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\n--b\n" + headed, "no_such_mailbox"},
		"too deep":              {strings.Repeat("Content-Type: message/rfc822\n\n", maxDepth+1) + headed, "nothing"},
		"deep enough":           {strings.Repeat("Content-Type: message/rfc822\n\n", maxDepth-1) + headed, "no_such_mailbox"},
		"too many parts":        {"Content-Type: multipart/report; boundary=b\n" + strings.Repeat("\n--b\n\nx", maxParts) + "\n--b\n" + headed, "nothing"},
		"beyond 1 MiB":          {"Content-Type: multipart/report; boundary=b\n\n--b\n\n" + strings.Repeat("x\n", MaxOctets/2) + "\n--b\n" + headed, "nothing"},
		"cut at 1 MiB":          {"Content-Type: multipart/report; boundary=b\n\n--b\n" + headed + "--b\n\n" + strings.Repeat("x\n", MaxOctets), "no_such_mailbox"},
		"a large header":        {"X: " + strings.Repeat("x", 2*maxHeader) + "\n" + headed, "nothing"},
		"a large header after":  {"Content-Type: message/delivery-status\nX: " + strings.Repeat("x", 2*maxHeader) + "\n\n" + status, "no_such_mailbox"},
		"not QSBMF":             {"Hi there", "nothing"},
		"QSBMF, no recipients":  {"Subject: x\n\nHi. This is the qmail-send program.\n\n- copy\n\n<x>:\n550 5.1.1 no\n", "nothing"},
		"empty":                 {"", "nothing"},
	} {
		if got := Parse([]byte(c.mail), Envelope{}).Verdict.String(); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestComments(t *testing.T) {
	for in, want := range map[string]string{
		"failed":          "failed",
		" failed (x) ":    "failed",
		"(x (y) z)failed": "failed",
		"a(b)c":           "a c",
		"a (b":            "a",
		"a) b":            "a) b",
		`"(a)" (b)`:       `"(a)"`,
		`(a\)b) c`:        "c",
		`a \(b`:           `a \(b`,
		`a\`:              `a\`,
		"((((":            "",
	} {
		if got := withoutComments(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestAutoReplies(t *testing.T) {
	for in, want := range map[string]Verdict{
		"Auto-Submitted: auto-replied":            AutoReply,
		"Auto-Submitted: (x) Auto-Generated; y=z": AutoReply,
		"Auto-Submitted: no":                      Nothing,
		"Auto-Submitted: No (a person)":           Nothing,
		"X-Autoreply: yes":                        AutoReply,
		"X-Auto-Response-Suppress: All":           AutoReply,
		"Precedence: auto_reply":                  AutoReply,
		"Precedence: first-class":                 Nothing,
		"Subject: Automatisk svar: Engangskode":   AutoReply,
		"Subject: Out of Office":                  AutoReply,
		"Subject: =?utf-8?B?RnJhdsOmcg==?=":       AutoReply,
		"Subject: Re: Out of Office":              Nothing,
		"Subject: =?utf-8?Q?broken":               Nothing,
	} {
		if got := Parse([]byte(in+"\n\nhi\n"), Envelope{}).Verdict; got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
