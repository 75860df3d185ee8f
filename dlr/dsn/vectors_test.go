package dsn

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// vector is a mail whose first line says what must come of it:
//
//	X-Expected-Verdict: final=yes|no|see-note status=S [alt=S] [note=…] shipment=UUID|-
//
// Those in testdata were written by the servers that they are named after. Those in testdata/unverified
// were written by us after documented forms, and prove only that we read what we wrote.
type vector struct {
	name     string
	mail     []byte
	expected map[string]string
}

// statuses are the vectors' words for a verdict.
var statuses = map[string]Verdict{
	"Email_Delivered":                     Delivered,
	"relayed":                             Relayed,
	"expanded":                            Expanded,
	"delayed":                             Delayed,
	"Email_Failed_RecipientNotIdentified": NoSuchMailbox,
	"Email_Failed_InvalidFormat":          BadAddress,
	"Email_Failed_FilteredSpam":           Filtered,
	"Email_Failed_Bounced":                Bounced,
	"Email_Failed_TransientError":         Transient,
	"auto_reply":                          AutoReply,
	"complaint":                           Complaint,
	"nothing":                             Nothing,
}

func vectors(t testing.TB) []vector {
	t.Helper()
	var all []vector
	for dir, atLeast := range map[string]int{"testdata": 60, "testdata/unverified": 15} {
		files, err := filepath.Glob(dir + "/*.eml")
		if err != nil || len(files) < atLeast {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, file := range files {
			mail, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			line, _, _ := strings.Cut(string(mail), "\n")
			said, ok := strings.CutPrefix(line, "X-Expected-Verdict: ")
			if !ok {
				t.Fatalf("%s: the first line is %q", file, line)
			}
			v := vector{strings.TrimSuffix(filepath.Base(file), ".eml"), mail, map[string]string{}}
			for word := range strings.FieldsSeq(said) {
				key, value, _ := strings.Cut(word, "=")
				v.expected[key] = value
			}
			if _, ok := statuses[v.expected["status"]]; !ok {
				t.Fatalf("%s: unknown status in %q", file, line)
			}
			all = append(all, v)
		}
	}
	return all
}

// check reports what is wrong with a result.
func (v vector) check(r Result) string {
	if want := statuses[v.expected["status"]]; r.Verdict != want {
		return fmt.Sprintf("got %v, want %v", r, want)
	}
	if final := v.expected["final"]; final != "see-note" && r.Verdict.Final() != (final == "yes") {
		return fmt.Sprintf("%v: final is %v", r, r.Verdict.Final())
	}
	var shipment string
	if len(r.Keys) > 0 {
		shipment = r.Keys[0].Shipment.String()
	}
	if want := strings.Trim(v.expected["shipment"], "-"); shipment != want {
		return fmt.Sprintf("is about %q, want %q", shipment, want)
	}
	return ""
}

func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		if fault := v.check(Parse(v.mail, Envelope{})); fault != "" {
			t.Errorf("%s: %s", v.name, fault)
		}
	}
}

// The same report in other clothes says the same.
func TestVectorsTransformed(t *testing.T) {
	for name, transform := range map[string]func([]byte) []byte{
		"LF":           lf,
		"CRLF":         func(b []byte) []byte { return bytes.ReplaceAll(lf(b), []byte("\n"), []byte("\r\n")) },
		"CRCRLF":       func(b []byte) []byte { return bytes.ReplaceAll(lf(b), []byte("\n"), []byte("\r\r\n")) },
		"mailbox file": func(b []byte) []byte { return append([]byte("From MAILER-DAEMON Sun Nov 29 03:26:22 2026\n"), b...) },
		"broken line":  func(b []byte) []byte { return append([]byte("no field at all\n"), b...) },
		"upper-case types": func(b []byte) []byte {
			for _, s := range []string{"message/delivery-status", "message/global-delivery-status", "multipart/report", "multipart/mixed", "text/rfc822-headers", "message/rfc822"} {
				b = bytes.ReplaceAll(b, []byte(s), []byte(strings.ToUpper(s)))
			}
			return b
		},
		"comments": func(b []byte) []byte {
			for _, s := range []string{"Action: ", "Status: ", "Original-Envelope-Id: ", "Message-Id: ", "Content-Type: "} {
				b = bytes.ReplaceAll(b, []byte(s), []byte(s+"(a (nested \\) one)) "))
			}
			return b
		},
		"forwarded": func(b []byte) []byte {
			return fmt.Appendf(nil, "Subject: Fwd\nAuto-Submitted: auto-replied\nContent-Type: multipart/mixed; boundary=outer/of=it\n\n--outer/of=it\n\nSee below.\n--outer/of=it\nContent-Type: message/rfc822\n\n%s\n--outer/of=it--\n", b)
		},
		"base64": func(b []byte) []byte {
			return fmt.Appendf(nil, "Content-Type: message/rfc822\nContent-Transfer-Encoding: Base64 (sic)\n\n%s\n", base64.StdEncoding.EncodeToString(b))
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range vectors(t) {
				if name == "forwarded" || name == "base64" {
					if !statuses[v.expected["status"]].Report() || strings.HasPrefix(v.name, "qmail") {
						continue // only a report counts wherever it stands
					}
				}
				if fault := v.check(Parse(transform(bytes.Clone(v.mail)), Envelope{})); fault != "" {
					t.Errorf("%s: %s", v.name, fault)
				}
			}
		})
	}
}

func lf(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }

// Keys come in the order in which they may be believed, each shipment once.
func TestKeys(t *testing.T) {
	own, envelope, message := uuid.MustParse("01a20a30-0000-7000-8000-000000000001"), uuid.MustParse("01a20a30-0000-7000-8000-000000000002"), uuid.MustParse("01a20a30-0000-7000-8000-000000000003")
	mail := func(envelopeID, messageID string) []byte {
		return fmt.Appendf(nil, "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: text/rfc822-headers\n\nMessage-Id: %s\n--b\nContent-Type: message/delivery-status\n\nOriginal-Envelope-Id: %s\n\nFinal-Recipient: rfc822; %s\nAction: failed\nStatus: 5.1.1\n--b--\n",
			messageID, envelopeID, own)
	}
	for name, c := range map[string]struct {
		mail     []byte
		envelope Envelope
		want     []Key
	}{
		"all differ":       {mail(envelope.String(), "<"+message.String()+"@bank.example>"), Envelope{Shipment: own}, []Key{{ReturnPath, own}, {EnvelopeID, envelope}, {MessageID, message}}},
		"all the same":     {mail(own.String(), "<"+own.String()+"@bank.example>"), Envelope{Shipment: own}, []Key{{ReturnPath, own}}},
		"no return path":   {mail(envelope.String(), "<"+envelope.String()+"@bank.example>"), Envelope{}, []Key{{EnvelopeID, envelope}}},
		"Haraka's":         {mail("<"+envelope.String()+"@bank.example>", ""), Envelope{}, []Key{{EnvelopeID, envelope}}},
		"upper case":       {mail(strings.ToUpper(envelope.String()), ""), Envelope{}, []Key{{EnvelopeID, envelope}}},
		"none of our form": {mail("482913", "<482913@bank.example>"), Envelope{}, nil},
		"other forms":      {mail("{"+envelope.String()+"}", message.String()), Envelope{}, nil},
		"the token alone":  {[]byte("Subject: hi\n\nhello\n"), Envelope{Shipment: own}, []Key{{ReturnPath, own}}},
	} {
		if got := Parse(c.mail, c.envelope).Keys; fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}
