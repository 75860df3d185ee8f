package daemon_test

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"straks/internal/daemon/daemontest"
	"straks/smpp/smsctest"
)

// The processor time of a request grows with its octets only, whatever they are: no body costs more than ten
// times a plain one of the same size. All of a request counts: net/http, JSON, the rules of the order,
// and what the carrier says about the text.
func TestCostGoesWithOctets(t *testing.T) {
	const (
		smsHead  = `"idempotencyId":"k","recipientSms":{"phoneNumber":"+4799999999","timeToLiveInSeconds":300,"smsSettings":{"body":"x"}}`
		mailHead = `"idempotencyId":"k","recipientEmail":{"emailAddress":"a@example.org","emailSettings":{"subject":"x","body":"x"}}`
	)
	w := daemontest.New(t, smsctest.Profile{}, "")
	// fill repeats a unit until the body has about as many octets as the limit allows.
	fill := func(octets int, head, unit, tail string) string {
		return head + strings.Repeat(unit, (octets-len(head)-len(tail)-10)/len(unit)) + tail
	}
	for _, call := range []struct {
		path, head     string
		octets         int
		before, behind string // around the settings
		id, number     string // where long values are tried
	}{
		{"/future/orders/instant/sms", smsHead, 256 << 10, `"recipientSms":{"phoneNumber":"+4799999999","timeToLiveInSeconds":300,"smsSettings":{`, `}}`, "phoneNumber", "timeToLiveInSeconds"},
		{"/future/orders/instant", `"recipient":{` + smsHead + `}`, 256 << 10, `"recipient":{"recipientSms":{"phoneNumber":"+4799999999","timeToLiveInSeconds":300,"smsSettings":{`, `}}}`, "phoneNumber", "timeToLiveInSeconds"},
		{"/future/orders/instant/email", mailHead, 1 << 20, `"recipientEmail":{"emailAddress":"a@example.org","emailSettings":{`, `}}`, "emailAddress", "subject"},
	} {
		post := func(body string) {
			r, _ := http.NewRequestWithContext(t.Context(), "POST", "http://"+w.Daemon.APIAddr()+"/notifications/api/v1"+call.path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+w.Token)
			r.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != 400 && resp.StatusCode/100 != 2 {
				t.Fatalf("%s %.80s: %d %s", call.path, body, resp.StatusCode, text)
			}
		}
		once := func(body string) time.Duration { // the kernel counts in steps of some ms, so it is posted for many of them
			n, used, before := 0, time.Duration(0), processorTime(t)
			for ; used < 20*time.Millisecond; used = processorTime(t) - before {
				post(body)
				n++
			}
			return used / time.Duration(n)
		}
		cost := func(body string, enough time.Duration) time.Duration { // the least of several, if one is not enough
			least := once(body)
			for n := 0; n < 4 && least > enough; n++ {
				least = min(least, once(body))
			}
			return least
		}
		n := call.octets
		text := func(unit string) string {
			return fill(n, `{"idempotencyId":"t",`+call.before+`"subject":"x","body":"`, unit, `"`+call.behind+`}`)
		}
		plain := cost(fill(n, "{"+call.head+`,"x":"`, "x", `"}`), 0)
		for kind, body := range map[string]string{
			"text":                       text("x"),
			"text of blanks":             text(" "),
			"text outside of GSM":        text("ж"),
			"text of emoji":              text("😀"),
			"text of marks":              text("e\u0301"),
			"text of look-alikes":        text("“"),
			"text of the extension":      text("€"),
			"text of line ends":          text(`\r\n`),
			"text of escapes":            text(`\u0061`),
			"text of halves":             text(`\ud83d`),
			"text of pairs":              text(`\ud83d\ude00`),
			"text of backslashes":        text(`\\`),
			"text of quotation marks":    text(`\"`),
			"text of one line":           text("x<b>"),
			"escaped names":              fill(n, "{"+call.head, `,"\u0061":1`, "}"),
			"long escaped names":         fill(n, "{"+call.head, `,"\u0061\u0062\u0063\u0064\u0065":1`, "}"),
			"a name of escapes":          fill(n, "{"+call.head+`,"`, `\u0061`, `":1}`),
			"a name of backslashes":      fill(n, "{"+call.head+`,"`, `\\`, `":1}`),
			"short names":                fill(n, "{"+call.head, `,"":1`, "}"),
			"names in the wrong case":    fill(n, "{"+call.head, `,"BODY":1`, "}"),
			"one name again and again":   fill(n, "{"+call.head, `,"sender":1`, "}"),
			"an object again and again":  fill(n, "{"+call.head, ","+call.head, "}"),
			"escaped names in settings":  fill(n, `{"idempotencyId":"n",`+call.before+`"body":"x"`, `,"\u0062\u006fdy":"x"`, call.behind+"}"),
			"empty objects":              fill(n, "{"+call.head+`,"x":[{}`, ",{}", "]}"),
			"numbers":                    fill(n, "{"+call.head+`,"x":[1`, ",1", "]}"),
			"a huge number":              fill(n, "{"+call.head+`,"x":1`, "1", "}"),
			"a huge number where one is": fill(n, `{"recipientSms":{"timeToLiveInSeconds":1`, "1", "}}"),
			"a huge quoted number":       fill(n, `{"recipientSms":{"timeToLiveInSeconds":"1`, "1", `"}}`),
			"blanks":                     fill(n, "{"+call.head, " ", "}"),
			"too deep":                   fill(n, "{"+call.head+`,"x":`, "[", "}"),
			"as deep as may be":          fill(n, "{"+call.head, `,"x":`+strings.Repeat("[", 9000)+strings.Repeat("]", 9000), "}"),
			"wrong at its end":           fill(n, "{"+call.head+`,"x":"`, "x", `"`),
			"a long key":                 fill(n, `{"idempotencyId":"`, "<", `"}`),
			"a long key of escapes":      fill(n, `{"idempotencyId":"`, `\u0001`, `"}`),
			"a long reference":           fill(n, `{"sendersReference":"`, "å", `"}`),
			"a long number":              fill(n, `{"recipientSms":{"phoneNumber":"+47`, "(0)", `"}}`),
			"a long address":             fill(n, `{"recipientEmail":{"emailAddress":"`, "a.", `"}}`),
			"a long sender":              fill(n, `{"recipientSms":{"smsSettings":{"sender":"`, "é", `"}}}`),
			"a long address of a sender": fill(n, `{"recipientEmail":{"emailSettings":{"senderEmailAddress":"`, "ø@", `"}}}`),
			"a long subject":             fill(n, `{"idempotencyId":"s","recipientEmail":{"emailAddress":"a@example.org","emailSettings":{"body":"x","subject":"`, "å", `"}}}`),
			"a long subject of breaks":   fill(n, `{"idempotencyId":"b","recipientEmail":{"emailAddress":"a@example.org","emailSettings":{"body":"x","subject":"`, `\u2028`, `"}}}`),
			"a long content type":        fill(n, `{"recipientEmail":{"emailSettings":{"contentType":"`, "h", `"}}}`),
		} {
			took := cost(body, 5*plain)
			t.Logf("%-40s %-30s %6.2f", call.path, kind, float64(took)/float64(plain))
			if took > 10*plain {
				t.Errorf("%s: %s costs %v, a plain body of the size %v", call.path, kind, took, plain)
			}
		}
	}
}

// processorTime returns the time that all threads of the process have run.
func processorTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
