package api

import (
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"straks/orders"
)

const (
	smsBody = `{"idempotencyId":"k","sendersReference":"r","recipientSms":{"phoneNumber":"+4799999999",` +
		`"timeToLiveInSeconds":300,"smsSettings":{"sender":"Altinn","body":"Koden din er 1"}}}`
	emailBody = `{"idempotencyId":"k","recipientEmail":{"emailAddress":"gørild@blåbær.no",` +
		`"emailSettings":{"subject":"Koden","body":"Koden din er 1","senderEmailAddress":" post@example.org ","contentType":"hTML"}}}`
)

func TestDecodeOrders(t *testing.T) {
	sms := orders.Order{Key: "k", SendersReference: "r", TTL: 300 * time.Second, Message: orders.Message{
		Channel: orders.SMS, To: "+4799999999", From: "Altinn", Body: "Koden din er 1"}}
	noSender := sms
	noSender.SendersReference, noSender.Message.From = "", ""
	email := orders.Order{Key: "k", TTL: 48 * time.Hour, Message: orders.Message{Channel: orders.Email,
		To: "gørild@blåbær.no", From: "post@example.org", Subject: "Koden", Body: "Koden din er 1", HTML: true}}
	plain := email
	plain.Message.From, plain.Message.HTML = "", false
	oneLine := func(subject string) orders.Order {
		o := email
		o.Message.Subject = subject
		return o
	}
	wrapped := strings.Replace(smsBody, `"recipientSms":`, `"recipient":{"recipientSms":`, 1) + "}"

	for _, c := range []struct {
		name, body string
		read       form
		want       orders.Order
	}{
		{"sms", smsBody, readSMS, sms},
		{"sms, byte order mark", "\ufeff" + smsBody, readSMS, sms},
		{"sms, older form", wrapped, readWrapped, sms},
		{"sms, names in capitals", `{"IDEMPOTENCYID":"k","SENDERSREFERENCE":"r","RECIPIENTSMS":{"PHONENUMBER":"+4799999999",` +
			`"TIMETOLIVEINSECONDS":300,"SMSSETTINGS":{"SENDER":"Altinn","BODY":"Koden din er 1"}}}`, readSMS, sms},
		{"sms, 00", strings.Replace(smsBody, "+47", "0047", 1), readSMS, sms},
		{"sms, unknown properties", strings.Replace(smsBody, "{", `{"x":{"y":[1]},"recipientEmail":7,`, 1), readSMS, sms},
		{"sms, the last of two counts", strings.Replace(smsBody, "{", `{"idempotencyId":7,`, 1), readSMS, sms},
		{"sms, null is absent", strings.NewReplacer(`"r"`, "null", `"Altinn"`, "null").Replace(smsBody), readSMS, noSender},
		{"sms, blank sender", strings.NewReplacer(`"r"`, `""`, `"Altinn"`, `" "`).Replace(smsBody), readSMS, noSender},
		{"sms, quoted TTL", strings.Replace(smsBody, "300", `"300"`, 1), readSMS, sms},
		{"sms, number as people write it", strings.Replace(smsBody, "+4799999999", `\u202a+47\u00a0999‑99 999\u202c`, 1), readSMS, sms},
		{"email", emailBody, readEmail, email},
		{"email, blanks round the address", strings.Replace(emailBody, "gørild@blåbær.no", ` gørild@blåbær.no\t\n`, 1), readEmail, email},
		{"email, header injection", strings.Replace(emailBody, `"Koden"`, `"Koden\r\nBcc: x@example.org"`, 1), readEmail, oneLine("Koden Bcc: x@example.org")},
		{"email, line breaks and tabs", strings.Replace(emailBody, `"Koden"`, `"a\tb\nc\rd\u2028e"`, 1), readEmail, oneLine("a b c d e")},
		{"email, escapes", strings.Replace(emailBody, "ø", `\u00F8`, 1), readEmail, email},
		{"email, plain", strings.NewReplacer(`hTML`, "PLAIN", `" post@example.org "`, "null").Replace(emailBody), readEmail, plain},
		{"email, no content type", strings.NewReplacer(`"hTML"`, "null", `" post@example.org "`, "null").Replace(emailBody), readEmail, plain},
	} {
		if p := decode([]byte(c.body), c.read, nil); p.faults != nil || p.order != c.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", c.name, p.order, p.faults, c.want)
		}
	}
}

// Every case lists all paths with a fault.
func TestDecodeFaults(t *testing.T) {
	sms := func(oldnew ...string) string { return strings.NewReplacer(oldnew...).Replace(smsBody) }
	email := func(oldnew ...string) string { return strings.NewReplacer(oldnew...).Replace(emailBody) }
	for _, c := range []struct {
		name, body string
		read       form
		want       string // paths, sorted, with blanks between
	}{
		{"empty", ``, readSMS, "$"},
		{"array", `[]`, readSMS, "$"},
		{"null", `null`, readSMS, "$"},
		{"two values", smsBody + smsBody, readSMS, "$"},
		{"nothing there", `{}`, readSMS, "idempotencyId recipientSms"},
		{"nothing there, older form", `{}`, readWrapped, "idempotencyId recipient"},
		{"nothing in it, older form", `{"recipient":{}}`, readWrapped, "idempotencyId recipient.recipientSms"},
		{"nothing there, e-mail", `{}`, readEmail, "idempotencyId recipientEmail"},
		{"nothing in it", `{"recipientSms":{}}`, readSMS,
			"idempotencyId recipientSms.phoneNumber recipientSms.smsSettings recipientSms.timeToLiveInSeconds"},
		{"everything wrong", `{"idempotencyId":" ","sendersReference":1,"recipientSms":{"phoneNumber":"1","timeToLiveInSeconds":"5m","smsSettings":{"sender":{},"body":" "}}}`, readSMS,
			"idempotencyId recipientSms.phoneNumber recipientSms.smsSettings.body recipientSms.smsSettings.sender recipientSms.timeToLiveInSeconds sendersReference"},
		{"everything wrong, e-mail", `{"idempotencyId":null,"recipientEmail":{"emailAddress":"x","emailSettings":{"subject":"","body":"","senderEmailAddress":"y","contentType":"xml"}}}`, readEmail,
			"idempotencyId recipientEmail.emailAddress recipientEmail.emailSettings.body recipientEmail.emailSettings.contentType recipientEmail.emailSettings.senderEmailAddress recipientEmail.emailSettings.subject"},
		{"the client's spelling", `{"IDEMPOTENCYID":"","RecipientSMS":{"PhoneNumber":"x","TimeToLiveInSeconds":1,"SmsSettings":{}}}`, readSMS,
			"IDEMPOTENCYID RecipientSMS.PhoneNumber RecipientSMS.SmsSettings.body RecipientSMS.TimeToLiveInSeconds"},
		{"wrong types", `{"idempotencyId":true,"recipientSms":[]}`, readSMS, "idempotencyId recipientSms"},
		{"longest key and reference", sms(`"k"`, `"`+strings.Repeat("k", 1024)+`"`, `"r"`, `"`+strings.Repeat("å", 512)+`"`), readSMS, ""},
		{"key too long", sms(`"k"`, `"`+strings.Repeat("k", 1025)+`"`), readSMS, "idempotencyId"},
		{"reference too long", sms(`"r"`, `"`+strings.Repeat("å", 512)+`x"`), readSMS, "sendersReference"},
		{"longest escaped reference", sms(`"r"`, `"xxxx`+strings.Repeat("<", 170)+`"`), readSMS, ""},
		{"reference too long where it is escaped", sms(`"r"`, `"xxxxx`+strings.Repeat("<", 170)+`"`), readSMS, "sendersReference"},
		{"key of control characters", sms(`"k"`, `"`+strings.Repeat(`\u0001`, 171)+`"`), readSMS, "idempotencyId"},
		{"NUL", sms(`"k"`, `"k\u0000"`, `er 1`, `er \u0000`), readSMS, "idempotencyId recipientSms.smsSettings.body"},
		{"half a surrogate pair", sms(`er 1`, `er \ud83d`), readSMS, "recipientSms.smsSettings.body"},

		{"TTL 59", sms("300", "59"), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL 60", sms("300", "60"), readSMS, ""},
		{"TTL 172800", sms("300", "172800"), readSMS, ""},
		{"TTL 172801", sms("300", "172801"), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL negative", sms("300", "-300"), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL fraction", sms("300", "300.0"), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL exponent", sms("300", "3e2"), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL beyond 64 bits", sms("300", "99999999999999999999"), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL string", sms("300", `"5 min"`), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL empty", sms("300", `""`), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL signed", sms("300", `"+300"`), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL blank before", sms("300", `" 300"`), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL fraction in quotes", sms("300", `"300.0"`), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL too short in quotes", sms("300", `"59"`), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"TTL null", sms("300", `null`), readSMS, "recipientSms.timeToLiveInSeconds"},
		{"number as string", sms(`"+4799999999"`, `4799999999`), readSMS, "recipientSms.phoneNumber"},

		{"list of addresses", email("gørild@blåbær.no", "a@example.org,b@example.org"), readEmail, "recipientEmail.emailAddress"},
		{"display name", email("gørild@blåbær.no", "A <a@example.org>"), readEmail, "recipientEmail.emailAddress"},
		{"blank sender", email(" post@example.org ", " "), readEmail, "recipientEmail.emailSettings.senderEmailAddress"},
		{"escape in subject", email(`"Koden"`, `"a\u001bb"`), readEmail, "recipientEmail.emailSettings.subject"},
		{"C1 in subject", email(`"Koden"`, `"a\u0080b"`), readEmail, "recipientEmail.emailSettings.subject"},
		{"blank content type", email("hTML", ""), readEmail, "recipientEmail.emailSettings.contentType"},
		{"number as content type", email(`"hTML"`, "1"), readEmail, "recipientEmail.emailSettings.contentType"},
	} {
		p := decode([]byte(c.body), c.read, nil)
		if got := strings.Join(paths(p.faults), " "); got != c.want {
			t.Errorf("%s: faults at %q; want %q\n%v", c.name, got, c.want, p.faults)
		}
		for path, messages := range p.faults {
			if len(messages) != 1 {
				t.Errorf("%s: %s has %d messages: %q", c.name, path, len(messages), messages)
			}
		}
	}
}

// A fault that the carrier found is reported at the client's path, unless that has one.
func TestAddServiceFaults(t *testing.T) {
	p := decode([]byte(`{"idempotencyId":"k","RecipientSms":{"phoneNumber":"1","timeToLiveInSeconds":60,"smsSettings":{"Sender":"x","body":"b"}}}`), readSMS, nil)
	p.add([]orders.Fault{
		{Field: orders.FieldSender, Message: "too long"},
		{Field: orders.FieldBody, Message: "too many"},
		{Field: orders.FieldBody, Message: "too odd"},
		{Field: orders.FieldRecipient, Message: "not reported: it has a fault"},
	})
	got := strings.Join(paths(p.faults), " ")
	want := "RecipientSms.phoneNumber RecipientSms.smsSettings.Sender RecipientSms.smsSettings.body"
	if got != want {
		t.Errorf("faults at %q; want %q", got, want)
	}
	if got := p.faults["RecipientSms.smsSettings.body"]; len(got) != 2 {
		t.Errorf("the body has %q; want both messages", got)
	}
	if got := p.faults["RecipientSms.phoneNumber"]; len(got) != 1 || !strings.Contains(got[0], "valid phone number") {
		t.Errorf("the number has %q", got)
	}
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{3,16}$`)

// Whatever comes, decode returns; and an order without faults keeps the rules.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{smsBody, emailBody, `{"recipient":` + smsBody + `}`, `{}`, `[`, `{"a":"\ud800"}`} {
		for which := range uint8(3) {
			f.Add([]byte(body), which)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, which uint8) {
		p := decode(body, []form{readSMS, readEmail, readWrapped}[which%3], nil)
		if p.faults != nil {
			return
		}
		o, m := p.order, p.order.Message
		text := o.Key + o.SendersReference + string(m.To) + m.From + m.Subject + m.Body
		switch {
		case strings.TrimSpace(o.Key) == "", strings.TrimSpace(m.Body) == "":
			t.Fatal("a blank was taken")
		case !utf8.ValidString(text), strings.ContainsRune(text, 0):
			t.Fatalf("%q was taken", text)
		case o.TTL < time.Minute, o.TTL > 48*time.Hour:
			t.Fatalf("TTL %v", o.TTL)
		case m.Channel == orders.SMS && !e164.MatchString(string(m.To)):
			t.Fatalf("number %q", string(m.To))
		case m.Channel == orders.Email && (checkAddress(string(m.To)) != nil || strings.ContainsAny(m.Subject, "\r\n")):
			t.Fatalf("address %q, subject %q", string(m.To), m.Subject)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if p := decode([]byte(smsBody), readSMS, nil); p.faults != nil {
			b.Fatal(p.faults)
		}
	}
}
