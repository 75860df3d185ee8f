package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// someVerification is an id that no verification has.
const someVerification = "/verifications/0d4f1b3a-8f5c-7c1e-9a54-5a8f3c3ad9f1"

// aboutVerifications reports whether the call is one about verifications.
func (c *operation) aboutVerifications() bool { return strings.HasPrefix(c.path, "/verifications") }

// ofVerification returns the call about a verification that there is.
func (c *operation) ofVerification(v verificationAnswer) *operation {
	real := *c
	real.path = strings.Replace(c.path, someVerification, "/verifications/"+v.ID.String(), 1)
	return &real
}

// readVerification is read for a call about verifications.
func (c *operation) readVerification(t *testing.T, s *spec) {
	c.path = strings.Replace(c.path, "/verifications/{id}", someVerification, 1)
	for name, value := range s.examples(c.place + "/requestBody/content/application~1json") {
		w := start(t)
		body, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		want, call := http.StatusCreated, c
		if c.path != "/verifications" {
			_, v := w.verify(verifyBody)
			want, call = http.StatusOK, c.ofVerification(v)
		}
		if a := w.do(c.method, call.path, string(body)); a.status != want {
			t.Errorf("%s, example %s: %d %s", c.path, name, a.status, a.body)
		}
		c.body = string(body)
	}
	if c.path == "/verifications" {
		c.body = verifyBody
	}
}

// produceVerification is produce for what is particular to verifications; ok is false for the rest.
func (c *operation) produceVerification(t *testing.T, w *world, status, kind, name string) (a answer, ok bool) {
	switch status {
	case "200":
		_, v := w.verify(verifyBody)
		if kind == "text/event-stream" {
			next, stop := w.events("?seq=0", func(r *http.Request) { r.URL.Path = DefaultBasePath + c.path })
			defer stop()
			return answer{http.StatusOK, http.Header{"Content-Type": {kind}}, strings.ReplaceAll(next(), "|", "\n")}, true
		}
		return c.ofVerification(v).ask(w), true
	case "404":
		if name == "none" {
			w.api.api.codes = nil
		}
		return c.ask(w), true
	case "410":
		_, v := w.verify(strings.Replace(verifyBody, "{", `{"attempts":1,`, 1))
		code := w.sentCode()
		if name == "exhausted" {
			code = otherCode(code)
		}
		w.do("POST", "/verifications/"+v.ID.String()+"/check", checkBody(code))
		return c.ofVerification(v).ask(w), true
	case "429":
		if name == "failures" {
			return answer{}, false
		}
		if c.path == "/verifications" {
			w.sendSMS("the burst")
			return c.ask(w), true
		}
		_, v := w.verify(strings.Replace(verifyBody, "{", `{"attempts":10,`, 1))
		for n := 0; strings.HasSuffix(c.path, "/check") && n < 100; n++ {
			if n%10 == 0 && n > 0 {
				_, v = w.verify(strings.NewReplacer("{", `{"attempts":10,`, `"k"`, `"`+strings.Repeat("k", n)+`"`).Replace(verifyBody))
			}
			w.do("POST", "/verifications/"+v.ID.String()+"/check", checkBody("x"))
		}
		return c.ofVerification(v).ask(w), true
	}
	return answer{}, false
}
